//! The files in `deploy/` are what those programs take that they are for.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has;
use pollywog_tests::program::{Program, Signal, path};

const PROGRAM: &str = "/usr/local/bin/pollywog-http";
const UNITS: [&str; 2] = ["pollywog-http.service", "pollywog-http.socket"];

fn given(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if !has("systemd_finds_no_fault_in_the_units", "systemd-analyze") {
        return;
    }
    let folder = Folder::new();
    for unit in UNITS {
        // The only line that depends on what is installed.
        fs::write(folder.file(unit), given(unit).replace(PROGRAM, path("http").to_str().unwrap())).unwrap();
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]).args(UNITS.map(|unit| folder.file(unit)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // It tells of what it ignores, and is content.
    let ours: Vec<_> = out.lines().chain(err.lines()).filter(|line| line.contains("pollywog-http")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}\n{out}{err}", output.status);
}

#[test]
fn the_service_starts_the_program_as_it_is() {
    let folder = Folder::new();
    fs::write(folder.file("index.html"), "hello").unwrap();
    let unit = given("pollywog-http.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let line = line.replace("/srv/www", folder.path().to_str().unwrap());
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some(PROGRAM));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = Program::activated("http", &listener, &words.collect::<Vec<_>>());
    drop(http.connect());
    assert!(http.end(Signal::TERM).status.success());
}

/// The service is killed at the end of a time that has to be longer than what the server waits.
#[test]
fn the_service_has_time_to_shut_down() {
    let unit = given("pollywog-http.service");
    let after = |name: &str| unit.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    let (stop, timeout): (Option<u64>, Option<u64>) = (after("TimeoutStopSec="), after("--drain-timeout "));
    let delay = after("--drain-delay ").unwrap_or(0);
    assert!(stop.unwrap() > delay + timeout.unwrap(), "{stop:?} {delay} {timeout:?}");
}

#[test]
fn haproxy_finds_no_fault_in_its_configuration() {
    if !has("haproxy_finds_no_fault_in_its_configuration", "haproxy") {
        return;
    }
    let folder = Folder::new();
    let config = folder.file("haproxy.cfg");
    fs::write(&config, given("haproxy.cfg").replace("/run/haproxy", folder.path().to_str().unwrap())).unwrap();
    let output = Command::new("haproxy").arg("-c").arg("-f").arg(config).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("WARNING"), "{told}");
}
