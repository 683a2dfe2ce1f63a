//! The example `unix_echo`, talked to by sockets of std's and by netcat.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has;
use pollywog_tests::net::Watchdog;
use pollywog_tests::program::{LIMIT, Program, Signal, Unread, run};
use rustix::process::geteuid;

fn client(path: &Path) -> UnixStream {
    let client = UnixStream::connect(path).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    client
}

fn ask(client: &mut UnixStream, word: &[u8]) {
    client.write_all(word).unwrap();
    let mut answer = vec![0; word.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, word);
}

#[test]
fn everybody_gets_back_what_they_sent_and_is_known() {
    let folder = Folder::new();
    let path = folder.file("socket");
    let echo = Program::start_at("unix_echo", &path);
    let mut clients = [client(&path), client(&path), client(&path)];
    for word in [&b"one"[..], b"two", &[7; 100_000]] {
        for client in &mut clients {
            let mut writer = client.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(move || writer.write_all(word).unwrap());
                let mut answer = vec![0; word.len()];
                client.read_exact(&mut answer).unwrap();
                assert!(answer == word);
            });
        }
    }
    let [mut one, two, _three] = clients;
    // One ends, one is gone with its answer unread: the others go on.
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!(one.read(&mut [0; 16]).unwrap(), 0);
    (&two).write_all(b"never read").unwrap();
    drop(two);
    ask(&mut client(&path), b"another");
    let ended = echo.end(Signal::INT);
    assert!(ended.status.success(), "{ended:?}");
    let known = format!("user {}, process {}\n", geteuid().as_raw(), process::id());
    let last = format!("served 4 connections, removed {}\n", path.display());
    assert_eq!((ended.said, ended.complained.as_str()), (known.repeat(4) + &last, ""));
}

/// It says a line for each client. Where nobody reads them, the pipe is full in the end.
#[test]
fn a_full_pipe_holds_nobody_up() {
    let _watchdog = Watchdog::start();
    let folder = Folder::new();
    let path = folder.file("socket");
    let (echo, listening) = Unread::start("unix_echo", &["--path", path.to_str().unwrap()]);
    assert_eq!(listening, format!("listening on {}\n", path.display()));
    let known = format!("user {}, process {}", geteuid().as_raw(), process::id());
    let clients = (64 << 10) / known.len() + 1_000;
    for _ in 0..clients {
        drop(client(&path));
    }
    ask(&mut client(&path), b"undisturbed");
    let (status, said, complained) = echo.end();
    assert!(status.success() && complained.is_empty(), "{status}: {complained}");
    assert!(said.lines().all(|line| line == known), "whole lines, and not the last one");
    assert!(said.lines().count() < clients);
}

#[test]
fn the_file_is_there_while_it_runs_and_after_a_kill() {
    let folder = Folder::new();
    let path = folder.file("socket");
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let echo = Program::start_at("unix_echo", &path);
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        run("unix_echo", &["--path", path.to_str().unwrap()]).failed_with(1, "another socket is bound to it");
        ask(&mut client(&path), b"undisturbed");
        let ended = echo.end(signal);
        assert_eq!(ended.complained, "");
        assert_eq!((ended.status.success(), path.exists()), (signal != Signal::KILL, signal == Signal::KILL));
    }
    let ended = run("unix_echo", &["--path", path.to_str().unwrap()]);
    ended.failed_with(1, "the file is there, but its socket is gone: remove the file and try again");
    fs::remove_file(&path).unwrap();
    let echo = Program::start_at("unix_echo", &path);
    ask(&mut client(&path), b"again");
    drop(echo);
}

#[test]
fn answers_netcat() {
    if !has("answers_netcat", "nc") {
        return;
    }
    let folder = Folder::new();
    let path = folder.file("socket");
    let _echo = Program::start_at("unix_echo", &path);
    let mut nc = Command::new("nc");
    nc.args(["-N", "-w", "60", "-U"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut nc = nc.spawn().unwrap();
    nc.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let output = nc.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"one\ntwo\n");
}

#[test]
fn a_path_that_is_wrong_is_an_error_that_says_so() {
    run("unix_echo", &["--path", "/no/such/folder/socket"]).failed_with(1, "No such file or directory");
    run("unix_echo", &["--path", &"x".repeat(200)]).failed_with(1, "path must be shorter than SUN_LEN");
    run("unix_echo", &["--addr", "127.0.0.1:0"]).failed_with(2, "unexpected argument");
}
