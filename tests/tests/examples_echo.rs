//! The example `echo`, talked to by clients that people have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_tests::limits::{has, in_child, limit_descriptors};
use pollywog_tests::net::Random;
use pollywog_tests::program::{Program, Signal, bounded, path, run};
use socket2::{Domain, SockRef, Socket, Type};

const MEGABYTE: usize = 1 << 20;
const SMALL: usize = 4 << 10;

/// The answer to a word on this connection.
fn ask(stream: &mut TcpStream, word: &[u8]) {
    stream.write_all(word).unwrap();
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, word);
}

/// A connection to `addr` whose buffers hold 4 KiB (and what the kernel adds).
fn with_small_buffers(addr: std::net::SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    socket.connect(&addr.into()).unwrap();
    bounded(socket.into())
}

/// Sends a megabyte in pieces of random sizes while it reads what comes back in others, and compares.
fn push_a_megabyte(mut stream: TcpStream, seed: u64) {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let bytes: Vec<u8> = (0..MEGABYTE).map(|_| random.below(256) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = bytes.clone();
    let writing = thread::spawn(move || {
        let mut random = Random::new(seed + 1);
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let count = (1 + random.below(3 * SMALL)).min(rest.len());
            writer.write_all(&rest[..count]).unwrap();
            rest = &rest[count..];
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    loop {
        let mut piece = vec![0; 1 + random.below(3 * SMALL)];
        match stream.read(&mut piece).unwrap() {
            0 => break,
            count => received.extend_from_slice(&piece[..count]),
        }
    }
    writing.join().unwrap();
    assert_eq!(received.len(), bytes.len());
    let differs = received.iter().zip(&bytes).position(|(one, other)| one != other);
    assert_eq!(differs, None, "the first byte that differs");
}

/// Another one in each run, which the test prints.
fn seed() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// What `command` says when it is told `text` and then the end.
fn told(mut command: Command, text: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn answers_netcat() {
    if !has("answers_netcat", "nc") {
        return;
    }
    let echo = Program::start("echo", &[]);
    let mut nc = Command::new("nc");
    nc.args(["-N", "-w", "60", "127.0.0.1", &echo.addr().port().to_string()]);
    assert_eq!(told(nc, "one\ntwo\n"), "one\ntwo\n");
}

#[test]
fn answers_curl() {
    if !has("answers_curl", "curl") {
        return;
    }
    let echo = Program::start("echo", &[]);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--no-buffer", "--max-time", "60", &format!("telnet://{}", echo.addr())]);
    let mut curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Some versions of curl end with their input, whether the answer has come or not; others with the server.
    let mut input = curl.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let mut line = String::new();
    BufReader::new(curl.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    drop(input);
    echo.end(Signal::INT);
    assert!(curl.wait().unwrap().success());
}

#[test]
fn answers_python() {
    if !has("answers_python", "python3") {
        return;
    }
    let echo = Program::start("echo", &[]);
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON, &echo.addr().port().to_string()]);
    assert_eq!(told(python, ""), "hello from python\n");
}

const PYTHON: &str = r#"
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as stream:
    stream.sendall(b"hello from ")
    stream.sendall(b"python\n")
    stream.shutdown(socket.SHUT_WR)
    while piece := stream.recv(5):
        sys.stdout.write(piece.decode())
"#;

#[test]
fn answers_our_client() {
    for mode in [&[][..], &["--lent"]] {
        for size in ["1", "64", "100000"] {
            let echo = Program::start("echo", mode);
            let addr = echo.addr().to_string();
            let client = run("client", &["--addr", &addr, "--connections", "10", "--seconds", "1", "--size", size]);
            let ended = echo.end(Signal::INT);
            assert!(client.status.success(), "{client:?}, {ended:?}");
            assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("served 10 connections\n", ""));
        }
    }
}

#[test]
fn a_megabyte_comes_back_through_small_buffers() {
    for mode in [&[][..], &["--lent"]] {
        let echo = Program::start("echo", mode);
        push_a_megabyte(with_small_buffers(echo.addr()), seed());
    }
}

/// As the example, with the listener's buffers made small, which accepted connections inherit.
#[test]
fn a_megabyte_comes_back_through_small_buffers_on_both_sides() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        pollywog_net::run(async {
            let listener = pollywog_net::TcpListener::bind("127.0.0.1:0").await?;
            SockRef::from(&listener).set_send_buffer_size(SMALL)?;
            SockRef::from(&listener).set_recv_buffer_size(SMALL)?;
            sender.send(listener.local_addr()?).unwrap();
            let (mut stream, _) = listener.accept().await?;
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return std::io::Result::Ok(()),
                    count => stream.write_all(&buffer[..count]).await?,
                }
            }
        })
    });
    push_a_megabyte(with_small_buffers(receiver.recv().unwrap()), seed());
    server.join().unwrap().unwrap().unwrap();
}

#[test]
fn an_error_ends_only_its_own_connection() {
    let echo = Program::start("echo", &[]);
    let mut stays = echo.connect();
    ask(&mut stays, b"before");
    for _ in 0..10 {
        let mut breaks = echo.connect();
        ask(&mut breaks, b"soon gone");
        SockRef::from(&breaks).set_linger(Some(Duration::ZERO)).unwrap();
    }
    ask(&mut stays, b"after");
    ask(&mut echo.connect(), b"new");
    let ended = echo.end(Signal::INT);
    assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("served 12 connections\n", ""));
}

#[test]
fn ctrl_c_ends_it_with_success() {
    for signal in [Signal::INT, Signal::TERM] {
        let echo = Program::start("echo", &[]);
        let mut stream = echo.connect();
        ask(&mut stream, b"hello");
        let ended = echo.end(signal);
        assert!(ended.status.success(), "{signal:?}: {ended:?}");
        assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("served 1 connections\n", ""));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "its connections are closed");
    }
}

#[test]
fn trace_says_which_feature_it_needs() {
    let echo = Program::start("echo", &["--trace"]);
    ask(&mut echo.connect(), b"hello");
    let ended = echo.end(Signal::INT);
    assert!(ended.complained.contains("--features trace"), "{ended:?}");
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn says_when_there_are_few_descriptors() {
    in_child("says_when_there_are_few_descriptors", || {
        path("echo"); // cargo may need more
        limit_descriptors(100);
        let echo = Program::start("echo", &[]);
        ask(&mut echo.connect(), b"hello");
        let ended = echo.end(Signal::INT);
        assert!(ended.complained.starts_with("echo: 100 descriptors are allowed"), "{ended:?}");
    });
}

#[test]
fn another_server_on_its_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    run("echo", &["--addr", &addr]).failed_with(1, &format!("echo: cannot listen on {addr}: Address already in use"));
}
