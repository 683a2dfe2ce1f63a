//! A direction that is registered late, when the other has been for a while: what was reported meanwhile counts.

use std::io::{self, Read, Write};
use std::time::Duration;

use futures::AsyncReadExt;
use pollywog_net::task::yield_now;
use pollywog_net::time::timeout;
use pollywog_net::{TcpListener, TcpStream, run};

/// Writes until the socket has no room left, and waits once, so that writing is registered.
async fn fill(stream: &TcpStream) {
    let block = [0; 65_536];
    loop {
        match stream.try_write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(timeout(Duration::ZERO, stream.writable()).await.is_err(), "it is full");
}

async fn turns(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// A connection of which only writing is registered, after a short read; then the peer sends `late`.
async fn drained_then_registered_for_writing() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.write_all(b"early").unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 5, "a short read, before anything is registered");
    fill(&stream).await;
    peer.write_all(b"late").unwrap();
    turns(3).await;
    (stream, peer)
}

#[test]
fn bytes_that_were_reported_before_reading_is_registered_are_read() {
    run(async {
        let (mut stream, _peer) = drained_then_registered_for_writing().await;
        let mut buffer = [0; 64];
        let count = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await.expect("it is told").unwrap();
        assert_eq!(&buffer[..count], b"late");
    })
    .unwrap();
}

#[test]
fn an_end_that_was_reported_before_reading_is_registered_is_read() {
    run(async {
        let (mut stream, peer) = drained_then_registered_for_writing().await;
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        turns(3).await;
        let mut text = Vec::new();
        timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await.expect("it is told").unwrap();
        assert_eq!(text, b"late");
    })
    .unwrap();
}

#[test]
fn readable_knows_what_was_reported_before_it_was_asked() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        fill(&stream).await;
        peer.write_all(b"early").unwrap();
        turns(3).await;
        timeout(Duration::from_secs(10), stream.readable()).await.expect("it is told").unwrap();
        assert_eq!(stream.try_read(&mut [0; 64]).unwrap(), 5);
        peer.set_nonblocking(true).unwrap();
        assert!(peer.read(&mut [0; 64]).unwrap() > 0, "and the peer has what was written");
    })
    .unwrap();
}
