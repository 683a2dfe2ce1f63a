//! Connections that are refused, that hang, and that come late.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, poll};
use pollywog_net::time::timeout;
use pollywog_net::{TcpListener, TcpStream};
use pollywog_tests::net::{alone, counted, descriptors, refusing, reset, run, turns};
use socket2::{Domain, Socket, Type};

/// The broadcast address of the loopback network: no packet is sent, the system says so at once.
fn unreachable() -> SocketAddr {
    (Ipv4Addr::new(127, 255, 255, 255), 1).into()
}

/// A listener with room for one connection, which somebody has taken: the next one hangs until one is accepted.
fn full() -> (Socket, SocketAddr, std::net::TcpStream) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, addr, std::net::TcpStream::connect(addr).unwrap())
}

#[test]
fn refused() {
    alone("refused", || {
        run(async {
            let (_socket, addr) = refusing();
            let before = descriptors();
            for _ in 0..3 {
                let (connecting, polls) = counted(TcpStream::connect(addr));
                assert_eq!(connecting.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
                assert!(polls.get() <= 2, "one event tells: {} polls", polls.get());
            }
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn several_addresses_are_tried_in_turn() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (_socket, refused) = refusing();
        let stream = TcpStream::connect([refused, unreachable(), addr]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        listener.accept().await.unwrap();
    });
}

#[test]
fn where_no_address_answers_the_last_error_is_given() {
    run(async {
        let (_socket, refused) = refusing();
        let error = TcpStream::connect([refused, unreachable()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
        let error = TcpStream::connect([unreachable(), refused]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "no address to use: the list is empty");
    });
}

#[test]
fn a_connect_that_hangs_is_closed_by_a_timeout() {
    alone("a_connect_that_hangs_is_closed_by_a_timeout", || {
        let (_listener, addr, _first) = full();
        run(async {
            let before = descriptors();
            let (connecting, polls) = counted(TcpStream::connect(addr));
            timeout(Duration::from_millis(20), connecting).await.unwrap_err();
            assert!(polls.get() <= 3, "{} polls", polls.get());
            assert_eq!(descriptors(), before);
            let mut dropped = Box::pin(TcpStream::connect(addr));
            assert!(poll!(dropped.as_mut()).is_pending());
            assert_eq!(descriptors(), before + 1);
            drop(dropped);
            assert_eq!(descriptors(), before);
        });
    });
}

/// The first look finds a socket that is not connected; the kernel tries again a second later, and there is room.
#[test]
fn a_connect_that_comes_late_works_in_both_directions() {
    let (listener, addr, _first) = full();
    run(async {
        let mut connecting = pin!(TcpStream::connect(addr));
        assert!(poll!(connecting.as_mut()).is_pending());
        turns(10).await;
        assert!(poll!(connecting.as_mut()).is_pending(), "it is not connected");
        listener.accept().unwrap();
        let mut stream = connecting.await.unwrap();
        let mut accepted = std::net::TcpStream::from(listener.accept().unwrap().0);
        std::io::Write::write_all(&mut accepted, b"welcome").unwrap();
        turns(3).await;
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 16]).unwrap(), 7);
        stream.write_all(b"thanks").await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut accepted, &mut text).unwrap();
        assert_eq!(text, "thanks");
    });
}

#[test]
fn a_connection_that_is_reset_in_the_accept_queue_is_no_error_of_the_listener() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        reset(std::net::TcpStream::connect(addr).unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let client = TcpStream::connect(addr).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
    });
}
