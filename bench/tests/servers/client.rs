//! What a test does as a client. A minute without a byte is a failure.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_bench::requests::ANSWER;

/// A connection whose reads and writes are bounded.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Bytes of which no two neighbouring stretches are alike; another `seed` gives others.
pub(crate) fn message(size: usize, seed: usize) -> Vec<u8> {
    let mut state = seed as u32 + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Sends `bytes`, and waits until they are back.
pub(crate) fn back(stream: &mut TcpStream, bytes: &[u8]) {
    let mut came = vec![0; bytes.len()];
    thread::scope(|scope| {
        let mut writer = &*stream;
        scope.spawn(move || writer.write_all(bytes).unwrap());
        (&*stream).read_exact(&mut came).unwrap();
    });
    assert!(came == bytes, "other bytes came back than the {} that were sent", bytes.len());
}

/// Waits for `count` answers.
pub(crate) fn answers(stream: &mut TcpStream, count: usize) {
    let mut came = vec![0; count * ANSWER.len()];
    stream.read_exact(&mut came).unwrap();
    assert!(came == ANSWER.repeat(count), "not {count} answers: {}", String::from_utf8_lossy(&came));
}

/// Sends `bytes` over and over without reading what comes back, until the server takes no more. Returns how many it took.
pub(crate) fn stuff(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    let mut moved = Instant::now();
    stream.set_nonblocking(true).unwrap();
    while moved.elapsed() < Duration::from_millis(200) {
        match stream.write(&bytes[sent % bytes.len()..]) {
            Ok(count) => {
                sent += count;
                moved = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 << 20, "the server goes on reading though nobody reads its answers");
    }
    stream.set_nonblocking(false).unwrap();
    sent
}
