//! The example `udp_echo`, talked to by sockets of std's and by netcat.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use pollywog_tests::limits::has;
use pollywog_tests::net::Random;
use pollywog_tests::program::{LIMIT, Program, Signal, run};

fn client(addr: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(addr).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

fn ask(client: &UdpSocket, datagram: &[u8]) {
    client.send(datagram).unwrap();
    let mut answer = vec![0; 1 << 16];
    let count = client.recv(&mut answer).unwrap();
    assert!(answer[..count] == *datagram, "{count} bytes for {}", datagram.len());
}

#[test]
fn everybody_gets_back_what_they_sent() {
    let echo = Program::start("udp_echo", &[]);
    let clients = [client(echo.addr()), client(echo.addr()), client(echo.addr())];
    let mut random = Random::new(11);
    for length in [0, 1, 1_472, 9_000, 65_507] {
        for client in &clients {
            let datagram: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
            ask(client, &datagram);
        }
    }
    // Those that are under way at once come back to whom they belong.
    for (number, client) in clients.iter().enumerate() {
        client.send(&[number as u8]).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let mut answer = [0; 16];
        assert_eq!(client.recv(&mut answer).unwrap(), 1);
        assert_eq!(answer[0], number as u8);
    }
    let ended = echo.end(Signal::INT);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("sent back 18 datagrams, could not send 0\n", ""));
}

#[test]
fn answers_netcat() {
    if !has("answers_netcat", "nc") {
        return;
    }
    let echo = Program::start("udp_echo", &[]);
    let mut nc = Command::new("nc");
    nc.args(["-u", "-w", "60", "127.0.0.1", &echo.addr().port().to_string()]);
    let mut nc = nc.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut lines) = (nc.stdin.take().unwrap(), BufReader::new(nc.stdout.take().unwrap()));
    for line in ["one\n", "two\n"] {
        input.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        lines.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    // Nothing tells netcat that a datagram was the last.
    nc.kill().unwrap();
    nc.wait().unwrap();
}

/// The answer to a client that is gone finds nobody, and the next client is served.
#[test]
fn a_client_that_is_gone_ends_nothing() {
    let echo = Program::start("udp_echo", &[]);
    for _ in 0..20 {
        let gone = client(echo.addr());
        gone.send(b"no time to wait").unwrap();
        drop(gone);
        ask(&client(echo.addr()), b"still there?");
    }
    let ended = echo.end(Signal::TERM);
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.said.starts_with("sent back 40 datagrams"), "{ended:?}");
}

#[test]
fn another_socket_on_its_port_is_refused() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    run("udp_echo", &["--addr", &addr])
        .failed_with(1, &format!("udp_echo: cannot listen on {addr}: Address already in use"));
}
