//! The example `client`: what it asks, what it counts, and that it notices what is wrong. What it asks at which time is
//! in `examples_client_loads.rs`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use pollywog_tests::limits::{in_child, limit_descriptors};
use pollywog_tests::net::refusing;
use pollywog_tests::program::{Ended, Program, bounded, path, run};

/// The number in the line that begins with `name`.
#[track_caller]
fn number(said: &str, name: &str) -> f64 {
    let line = said.lines().find(|line| line.split(' ').next() == Some(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no '{name}' in:\n{said}"))
}

#[test]
fn says_how_many_requests_were_answered_and_how_fast() {
    let echo = Program::start("echo", &[]);
    let client = run("client", &["--addr", &echo.addr().to_string(), "--seconds", "1"]);
    assert!(client.status.success(), "{client:?}");
    assert!(number(&client.said, "requests") >= 50.0, "{client:?}");
    assert!(number(&client.said, "requests/s") > 0.0, "{client:?}");
    let latencies = ["p50", "p90", "p99", "p99.9", "max"].map(|name| number(&client.said, name));
    assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{client:?}");
}

#[test]
fn nobody_listens() {
    let (_socket, addr) = refusing();
    let expected = format!("client: cannot connect to {addr}: Connection refused");
    run("client", &["--addr", &addr.to_string()]).failed_with(1, &expected);
}

/// A server that accepts one connection and does `serve`, while a client with one connection talks to it.
fn against(serve: impl FnOnce(TcpStream) + Send + 'static) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || serve(bounded(listener.accept().unwrap().0)));
    let ended = run("client", &["--addr", &addr, "--connections", "1", "--size", "16"]);
    server.join().unwrap();
    ended
}

#[test]
fn a_wrong_byte() {
    let client = against(|mut stream| {
        let mut line = [0; 16];
        stream.read_exact(&mut line).unwrap();
        stream.write_all(&line).unwrap();
        stream.read_exact(&mut line).unwrap();
        line[2] ^= 1;
        stream.write_all(&line).unwrap();
    });
    client.failed_with(1, "client: connection 0: the answer is not what was sent");
    assert_eq!(client.said, "");
}

#[test]
fn the_answer_to_an_earlier_line() {
    let client = against(|mut stream| {
        let mut first = [0; 16];
        stream.read_exact(&mut first).unwrap();
        stream.write_all(&first).unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(&first).unwrap();
    });
    client.failed_with(1, "client: connection 0: the answer is not what was sent");
}

#[test]
fn a_connection_that_the_server_closes() {
    let client = against(|mut stream| {
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(&[b'.'; 7]).unwrap();
    });
    client.failed_with(1, "client: connection 0: the server closed it");
}

#[test]
fn too_few_descriptors() {
    in_child("too_few_descriptors", || {
        path("client"); // cargo may need more
        limit_descriptors(100);
        run("client", &["--connections", "200"]).failed_with(1, "200 connections need as many descriptors");
    });
}

#[test]
fn what_makes_no_sense_together() {
    for (arguments, text) in [
        (&["--hot", "1"][..], "required arguments were not provided: --rate <N>"),
        (&["--idle", "--rate", "5"], "'--idle' cannot be used with '--rate <N>'"),
        (&["--idle", "--reconnect"], "'--idle' cannot be used with '--reconnect'"),
        (&["--reconnect", "--active", "5"], "'--reconnect' cannot be used with '--active <N>'"),
        (&["--rate", "0"], "invalid value '0' for '--rate <N>'"),
        (&["--seconds", "nan"], "invalid value 'nan' for '--seconds <S>': seconds from 0.001 to 86400 are needed"),
    ] {
        run("client", arguments).failed_with(2, text);
    }
    let active = run("client", &["--connections", "10", "--active", "11"]);
    active.failed_with(1, "client: 11 of 10 connections cannot ask");
    let hot = run("client", &["--connections", "10", "--hot", "10", "--rate", "5"]);
    hot.failed_with(1, "client: with 10 hot connections of 10 no other is left to ask");
}
