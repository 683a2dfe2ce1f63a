//! The examples as a service manager starts them: with a socket that listens already.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use pollywog_tests::limits::has;
use pollywog_tests::namespace::in_namespace;
use pollywog_tests::net::Watchdog;
use pollywog_tests::program::{Program, Signal, bounded, path};

fn ask(stream: &mut TcpStream) {
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

/// `Program::activated` asks it to listen where it cannot.
#[test]
fn the_socket_that_is_given_is_taken_instead_of_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut early = bounded(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let echo = Program::activated("echo", &listener, &[]);
    ask(&mut early);
    ask(&mut echo.connect());
    let ended = echo.end(Signal::TERM);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.said, "served 2 connections\n");
}

#[test]
fn what_is_given_and_does_not_listen_is_an_error() {
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" 3</dev/null"]).arg(path("echo"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "echo: cannot listen: descriptor 3, which the process was started with (LISTEN_FDS), is no socket that accepts \
         connections, of TCP or Unix\n"
    );
}

/// It starts the program when the first client comes.
#[test]
fn systemd_activates_an_example() {
    let test = "systemd_activates_an_example";
    if !has(test, "systemd-socket-activate") {
        return;
    }
    let echo = path("echo");
    in_namespace(test, || {
        let _watchdog = Watchdog::start();
        let mut command = Command::new("systemd-socket-activate");
        command.args(["-l", "127.0.0.1:7007"]).arg(&echo).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut stream = loop {
            match TcpStream::connect("127.0.0.1:7007") {
                Ok(stream) => break bounded(stream),
                Err(_) => thread::yield_now(),
            }
        };
        ask(&mut stream);
        stream.shutdown(Shutdown::Both).unwrap();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, Signal::TERM).unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(said, "listening on 127.0.0.1:7007\nserved 1 connections\n");
    });
}
