//! Every server that is measured, in both modes: the same bytes from each, whatever the client does. Those that are not
//! Rust are tested where what they need is installed, and those on io_uring where the system allows it.

mod servers {
    pub(crate) mod client;
    pub(crate) mod peers;
}

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use pollywog_bench::requests::ANSWER;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use servers::client::{answers, back, connect, message, stuff};
use servers::peers::with_every_server;

const REQUEST: &[u8] = b"GET /some/path HTTP/1.1\r\nhost: localhost\r\nuser-agent: test\r\n\r\n";

#[test]
fn echo_gives_back_every_byte() {
    with_every_server("echo", |server| {
        let mut stream = connect(server.addr);
        for size in [1, 64, 4095, 4096, 4097, 16_384, 65_536] {
            for round in 0..3 {
                back(&mut stream, &message(size, round));
            }
        }
    });
}

#[test]
fn echo_waits_for_a_client_that_does_not_read() {
    with_every_server("echo", |server| {
        let mut stream = connect(server.addr);
        let bytes = message(65_536, 7);
        let sent = stuff(&mut stream, &bytes);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).unwrap();
        assert_eq!(came.len(), sent);
        assert!(came.chunks(bytes.len()).all(|chunk| bytes.starts_with(chunk)), "other bytes came back");
    });
}

#[test]
fn a_half_closed_connection_gets_its_bytes_and_then_the_end() {
    with_every_server("echo", |server| {
        for size in [0, 64, 4096, 16_384] {
            let mut stream = connect(server.addr);
            stream.write_all(&message(size, 1)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut came = Vec::new();
            stream.read_to_end(&mut came).unwrap();
            assert!(came == message(size, 1), "{} bytes came back of {size}", came.len());
        }
    });
    with_every_server("http", |server| {
        let mut stream = connect(server.addr);
        stream.write_all(REQUEST).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).unwrap();
        assert_eq!(came, ANSWER);
    });
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    with_every_server("echo", |server| {
        let mut streams: Vec<TcpStream> = (0..1000).map(|_| connect(server.addr)).collect();
        for round in 0..2 {
            for (number, stream) in streams.iter_mut().enumerate() {
                stream.write_all(&message(64, number + round)).unwrap();
            }
            for (number, stream) in streams.iter_mut().enumerate() {
                let mut came = [0; 64];
                stream.read_exact(&mut came).unwrap();
                assert_eq!(came, *message(64, number + round), "connection {number}");
            }
        }
    });
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    with_every_server("echo", |server| {
        back(&mut connect(server.addr), &message(64, 0));
        for round in 0..300 {
            let mut stream = connect(server.addr);
            back(&mut stream, &message(64, round));
            if round % 3 == 0 {
                // Unread bytes: the close is a reset.
                stream.write_all(&message(64, round)).unwrap();
            }
        }
        server.until_no_connection_is_open();
        back(&mut connect(server.addr), &message(64, 1));
    });
}

#[test]
fn requests_on_one_connection_get_an_answer_each() {
    with_every_server("http", |server| {
        let mut stream = connect(server.addr);
        for _ in 0..10 {
            stream.write_all(REQUEST).unwrap();
            answers(&mut stream, 1);
        }
    });
}

#[test]
fn requests_that_come_at_once_get_an_answer_each() {
    with_every_server("http", |server| {
        let mut stream = connect(server.addr);
        for count in [2, 16, 63, 64, 65, 66, 500] {
            stream.write_all(&REQUEST.repeat(count)).unwrap();
            answers(&mut stream, count);
        }
        // As many as a buffer can hold.
        stream.write_all(&b"\r\n\r\n".repeat(4096)).unwrap();
        answers(&mut stream, 4096);
    });
}

#[test]
fn a_request_may_be_split_anywhere() {
    with_every_server("http", |server| {
        let mut stream = connect(server.addr);
        for place in 1..REQUEST.len() {
            // The answer to a whole request says that what came along with it has been read.
            stream.write_all(&[REQUEST, &REQUEST[..place]].concat()).unwrap();
            answers(&mut stream, 1);
            stream.write_all(&REQUEST[place..]).unwrap();
            answers(&mut stream, 1);
        }
        for byte in REQUEST {
            stream.write_all(&[*byte]).unwrap();
        }
        answers(&mut stream, 1);
    });
}

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    with_every_server("http", |server| {
        let mut stream = connect(server.addr);
        let result = stream.write_all(&[b'x'; 5000]).and_then(|()| stream.read(&mut [0; 1]));
        match result {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}")
            }
        }
        let mut another = connect(server.addr);
        another.write_all(REQUEST).unwrap();
        answers(&mut another, 1);
    });
}
