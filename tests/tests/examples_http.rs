//! The example `http`, talked to by clients that people have.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::process::Command;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has;
use pollywog_tests::program::{Program, Signal, run};
