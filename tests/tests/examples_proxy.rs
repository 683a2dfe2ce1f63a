//! The example `proxy`: what goes in at one side comes out at the other, ends included.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use pollywog_tests::net::{Random, Watchdog, refusing};
use pollywog_tests::program::{Program, Signal, Unread, bounded, run};
use socket2::SockRef;

const MEGABYTE: usize = 1 << 20;

/// A proxy, and the server behind it.
fn proxy() -> (Program, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Program::start("proxy", &["--to", &server.local_addr().unwrap().to_string()]);
    (proxy, server)
}

/// A connection through the proxy, and its end at the server.
fn pair(proxy: &Program, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = proxy.connect();
    (client, bounded(server.accept().unwrap().0))
}

fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_end_is_passed_on_and_the_answer_still_comes_back() {
    let (proxy, listener) = proxy();
    let (mut client, mut server) = pair(&proxy, &listener);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&mut server), b"question");
    server.write_all(b"answer").unwrap();
    drop(server);
    assert_eq!(rest_of(&mut client), b"answer");
}

#[test]
fn the_server_may_end_first() {
    let (proxy, listener) = proxy();
    let (mut client, mut server) = pair(&proxy, &listener);
    server.write_all(b"greeting").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&mut client), b"greeting");
    client.write_all(b"goodbye").unwrap();
    drop(client);
    assert_eq!(rest_of(&mut server), b"goodbye");
}

#[test]
fn a_megabyte_each_way_at_once() {
    let (proxy, listener) = proxy();
    let (client, server) = pair(&proxy, &listener);
    let ends = [(client, 1), (server, 2)].map(|(stream, seed)| {
        let bytes = move |seed| {
            let mut random = Random::new(seed);
            (0..MEGABYTE).map(|_| random.below(256) as u8).collect::<Vec<_>>()
        };
        thread::spawn(move || {
            let mut writer = stream.try_clone().unwrap();
            let writing = thread::spawn(move || {
                writer.write_all(&bytes(seed)).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut reader = stream;
            assert!(rest_of(&mut reader) == bytes(3 - seed), "side {seed} got something else");
            writing.join().unwrap();
        })
    });
    for end in ends {
        end.join().unwrap();
    }
}

#[test]
fn a_reset_ends_only_its_own_connection() {
    let (proxy, listener) = proxy();
    let (mut client, mut server) = pair(&proxy, &listener);
    let (breaks, mut other_end) = pair(&proxy, &listener);
    SockRef::from(&breaks).set_linger(Some(Duration::ZERO)).unwrap();
    drop(breaks);
    assert_eq!(other_end.read(&mut [0]).unwrap(), 0, "the server behind is told");
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    assert_eq!(proxy.end(Signal::INT).said, "carried 2 connections\n");
}

#[test]
fn nobody_listens_behind_it() {
    let (socket, behind) = refusing();
    let proxy = Program::start("proxy", &["--to", &behind.to_string()]);
    let mut client = proxy.connect();
    assert_eq!(rest_of(&mut client), b"");
    socket.listen(8).unwrap();
    let listener = TcpListener::from(socket);
    let (mut client, mut server) = pair(&proxy, &listener);
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    let complained = proxy.end(Signal::INT).complained;
    assert_eq!(complained, format!("proxy: a connection was dropped: {behind}: Connection refused\n"));
}

/// It complains of each connection that goes nowhere. Where nobody reads that, the pipe is full in the end.
#[test]
fn a_full_pipe_holds_nobody_up() {
    let _watchdog = Watchdog::start();
    let (_refusing, nowhere) = refusing();
    let (proxy, listening) = Unread::start("proxy", &["--addr", "127.0.0.1:0", "--to", &nowhere.to_string()]);
    let addr: SocketAddr = listening.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    let complaint = format!("proxy: a connection was dropped: {nowhere}: Connection refused");
    let clients = (64 << 10) / complaint.len() + 500;
    for _ in 0..clients {
        assert_eq!(rest_of(&mut bounded(TcpStream::connect(addr).unwrap())), b"");
    }
    let (status, said, complained) = proxy.end();
    assert!(status.success(), "{status}");
    assert_eq!(said, format!("carried {clients} connections\n"));
    assert!(complained.lines().all(|line| line == complaint), "whole lines");
    assert!(complained.lines().count() < clients);
}

#[test]
fn it_passes_on_to_our_echo() {
    let echo = Program::start("echo", &[]);
    let proxy = Program::start("proxy", &["--to", &echo.addr().to_string()]);
    let client = run("client", &["--addr", &proxy.addr().to_string(), "--seconds", "1"]);
    assert!(client.status.success(), "{client:?}");
    assert!(proxy.end(Signal::INT).status.success());
    assert_eq!(echo.end(Signal::INT).said, "served 50 connections\n");
}
