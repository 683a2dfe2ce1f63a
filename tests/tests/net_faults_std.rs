//! Sockets that come from std, blocking as they are there, and go back to it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::AsRawFd;
use std::pin::pin;

use futures::{AsyncReadExt, AsyncWriteExt, poll};
use pollywog_net::{TcpListener, TcpSocket, TcpStream};
use pollywog_tests::net::{alone, arrived_bytes, read, run, turns, with_peer};
use socket2::{Domain, Socket, Type};

/// Both ends block.
fn blocking_pair() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}

#[test]
fn a_blocking_stream_does_not_block_the_loop() {
    run(async {
        let (stream, mut peer) = blocking_pair();
        let mut stream = TcpStream::from_std(stream).unwrap();
        let mut buffer = [0; 16];
        {
            let mut reading = pin!(stream.read(&mut buffer));
            assert!(poll!(reading.as_mut()).is_pending(), "there is nothing to read");
            turns(2).await;
            peer.write_all(b"ping").unwrap();
            assert_eq!(reading.await.unwrap(), 4);
        }
        let mut sent = 0;
        let room = vec![0; 1 << 16];
        while let Ok(count) = stream.try_write(&room) {
            sent += count;
        }
        let mut writing = pin!(stream.write(b"more"));
        assert!(poll!(writing.as_mut()).is_pending(), "there is no room");
        let mut rest = vec![0; sent];
        peer.read_exact(&mut rest).unwrap();
        assert_eq!(writing.await.unwrap(), 4);
    });
}

#[test]
fn a_blocking_listener_does_not_block_the_loop() {
    run(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let mut accepting = pin!(listener.accept());
        assert!(poll!(accepting.as_mut()).is_pending(), "nobody has come");
        turns(2).await;
        let client = net::TcpStream::connect(addr).unwrap();
        let (stream, peer) = accepting.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(poll!(pin!(read(&stream, &mut [0; 1]))).is_pending(), "what it accepts does not block either");
    });
}

/// It would block in `connect` already: its listener has no room, and answers a second later.
#[test]
fn a_blocking_socket_does_not_block_the_loop() {
    run(async {
        let listener = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
        listener.bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let _first = net::TcpStream::connect(addr).unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
        let socket = TcpSocket::from_std_stream(socket.into()).unwrap();
        let mut connecting = pin!(socket.connect(addr));
        assert!(poll!(connecting.as_mut()).is_pending());
        listener.accept().unwrap();
        assert_eq!(connecting.await.unwrap().peer_addr().unwrap(), addr);
    });
}

/// Whether a selector of this process watches a descriptor.
fn is_watched(socket: &impl AsRawFd) -> bool {
    let number = socket.as_raw_fd().to_string();
    let open = fs::read_dir("/proc/self/fdinfo").unwrap();
    let infos = open.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok());
    let mut watched = infos.flat_map(|info| {
        let numbers = info.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
        numbers.map(str::to_owned).collect::<Vec<_>>()
    });
    watched.any(|watched| watched == number)
}

#[test]
fn a_socket_that_goes_back_to_std_is_registered_nowhere() {
    alone("a_socket_that_goes_back_to_std_is_registered_nowhere", || {
        run(async {
            let (stream, mut peer) = with_peer().await;
            assert!(poll!(pin!(stream.readable())).is_pending());
            assert!(is_watched(&stream));
            let mut stream = stream.into_std().unwrap();
            assert!(!is_watched(&stream));
            assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "it is as it was here");
            peer.write_all(b"for std").unwrap();
            arrived_bytes(&stream, 7);
            let mut text = [0; 7];
            stream.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"for std");

            let stream = TcpStream::from_std(stream).unwrap();
            let mut buffer = [0; 16];
            let mut reading = pin!(read(&stream, &mut buffer));
            assert!(poll!(reading.as_mut()).is_pending());
            peer.write_all(b"for us").unwrap();
            assert_eq!(reading.await.unwrap(), 6);
        });
    });
}
