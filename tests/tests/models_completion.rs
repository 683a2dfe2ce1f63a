//! The models that are told by the kernel: by a signal that something has happened, and by a result that it is done.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::{has, has_io_uring};
use pollywog_tests::model::{answer, ask, attach, byte, rest};
use pollywog_tests::program::{Program, Signal, path};

/// A signal that waits to be delivered is not sent again: one stands for all that happened meanwhile.
#[test]
fn one_signal_stands_for_many_clients() {
    let program = Program::start("signal_driven", &[]);
    let mut clients: Vec<TcpStream> = (0..20).map(|_| program.connect()).collect();
    for client in &mut clients {
        ask(client, b"before");
    }
    program.signal(Signal::STOP);
    while status(&program, "State") != "T (stopped)" {
        thread::yield_now();
    }
    for client in &mut clients {
        client.write_all(b"while it could not look").unwrap();
    }
    let mut new: Vec<TcpStream> = (0..20).map(|_| program.connect()).collect();
    for client in &mut new {
        client.write_all(b"while it could not look").unwrap();
    }
    // Forty clients, and one signal.
    assert_eq!(status(&program, "ShdPnd"), format!("{:016x}", 1_u64 << (29 - 1)));
    program.signal(Signal::CONT);
    for client in clients.iter_mut().chain(&mut new) {
        answer(client, b"while it could not look");
        ask(client, b"after");
    }
}

/// A line of `/proc/PID/status`.
fn status(program: &Program, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

/// Neither does the program read or write, nor does it ask who is ready.
#[test]
fn io_uring_moves_the_bytes_by_itself() {
    const NAME: &str = "io_uring_moves_the_bytes_by_itself";
    if !has_io_uring(NAME) {
        return;
    }
    let program = Program::start("io_uring", &[]);
    let folder = Folder::new();
    let trace = folder.file("trace");
    let Some(mut strace) = attach(NAME, &program, &["-o", trace.to_str().unwrap()]) else { return };
    ask(&mut program.connect(), b"once there and back");
    let mut stream = program.connect();
    let bytes: Vec<u8> = (0..1 << 15).map(byte).collect();
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), bytes.len());
    drop(program);
    strace.wait().unwrap();
    let trace = fs::read_to_string(&trace).unwrap();
    let calls: BTreeSet<&str> = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name).collect();
    // Memory, and the look that std without optimisation has at a descriptor before it closes it.
    let others = ["brk", "fcntl", "madvise", "mmap", "mremap", "munmap"];
    let calls: Vec<&str> = calls.into_iter().filter(|name| !others.contains(name)).collect();
    assert_eq!(calls, ["close", "io_uring_enter"], "{trace}");
}

/// Where the kernel forbids it, or never had it, there is one line that says so.
#[test]
fn io_uring_says_when_there_is_none() {
    const NAME: &str = "io_uring_says_when_there_is_none";
    if !has(NAME, "strace") {
        return;
    }
    for (error, text) in [("ENOSYS", "Function not implemented"), ("EPERM", "Operation not permitted")] {
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject=io_uring_setup:error={error}")]);
        strace.arg(path("io_uring")).args(["--addr", "127.0.0.1:0"]);
        let output = strace.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = format!("io_uring: this kernel has no io_uring for a server, or forbids it: {text}\n");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
    }
}
