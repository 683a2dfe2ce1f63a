//! Exercises of chapter 2, the iterative server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
use pollywog_exercises::bounded;

/// 2.1: A program listens at `addr` and never accepts. How many clients does the kernel connect all the same, before
/// it leaves one waiting? Only you can say how long is too long: half a second is, on one machine.
#[cfg(not(feature = "solutions"))]
fn connections_in_queue(addr: SocketAddr) -> usize {
    todo!("2.1: connect to {addr} again and again, keep the connections, and count until one takes too long")
}

#[cfg(feature = "solutions")]
fn connections_in_queue(addr: SocketAddr) -> usize {
    let mut connected = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(500)) {
        // Dropped, it would still have its place in the queue; but the count should not rest on that.
        connected.push(stream);
    }
    connected.len()
}

/// A listener with a backlog of one's own: std takes 128 for everybody.
fn listener(backlog: i32) -> TcpListener {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&socket, Backlog::new(backlog).unwrap()).unwrap();
    socket.into()
}

#[test]
fn the_queue_holds_what_was_counted() {
    for backlog in [0, 1, 5, 50] {
        let listener = listener(backlog);
        let addr = listener.local_addr().unwrap();
        let counted =
            bounded(Duration::from_secs(30), "2.1: one connection has to time out", move || connections_in_queue(addr));
        assert_eq!(counted, backlog as usize + 1, "2.1: this is not what fits behind a backlog of {backlog}");
    }
}

/// 2.2: As `echo` of the iterative server; but a client that lets us wait for longer than `patience` at a time, whatever
/// for, is given up, with the error of that `read` or `write`.
#[cfg(not(feature = "solutions"))]
fn echo_with_patience(stream: TcpStream, patience: Duration) -> io::Result<()> {
    drop(stream);
    todo!("2.2: send back what the stream gives, and wait for no longer than {patience:?} at a time")
}

#[cfg(feature = "solutions")]
fn echo_with_patience(mut stream: TcpStream, patience: Duration) -> io::Result<()> {
    // Both: a client that does not read is as slow as one that does not write.
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

/// The server's end of a connection, and the client's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}

const LIMIT: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(200);

/// What a read or a write says that took too long: on Linux it is not `TimedOut`.
fn is_given_up(result: &io::Result<()>) -> bool {
    result.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_client_that_says_nothing_is_given_up() {
    let (server, _client) = pair();
    let result = bounded(LIMIT, "2.2: it still waits for a word", move || echo_with_patience(server, PATIENCE));
    assert!(is_given_up(&result), "2.2: the error of the read is what tells, and here is {result:?}");
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let (server, mut client) = pair();
    // It ends when the server has closed the connection.
    let sending = thread::spawn(move || while client.write_all(&[0; 4096]).is_ok() {});
    let result = bounded(LIMIT, "2.2: it still waits for room to write", move || echo_with_patience(server, PATIENCE));
    assert!(is_given_up(&result), "2.2: the error of the write is what tells, and here is {result:?}");
    bounded(LIMIT, "2.2: the connection is still open", move || sending.join().unwrap());
}

#[test]
fn a_client_that_speaks_slowly_is_served_to_its_end() {
    let (server, mut client) = pair();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let speaking = thread::spawn(move || {
        for _ in 0..5 {
            client.write_all(b"word").unwrap();
            client.read_exact(&mut [0; 4]).expect("2.2: each word comes back");
            thread::sleep(Duration::from_millis(300));
        }
    });
    let patience = Duration::from_secs(1);
    let result = bounded(LIMIT, "2.2: it does not see the end", move || echo_with_patience(server, patience));
    assert!(result.is_ok(), "2.2: it never waited for longer than its patience at a time, and here is {result:?}");
    speaking.join().unwrap();
}

#[test]
fn a_client_that_speaks_gets_its_words_and_the_end() {
    let (server, mut client) = pair();
    client.write_all(b"one\ntwo\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let result = bounded(LIMIT, "2.2: it does not see the end", move || echo_with_patience(server, PATIENCE));
    assert!(result.is_ok(), "2.2: the end is no error, and here is {result:?}");
    let mut answer = String::new();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.read_to_string(&mut answer).expect("2.2: the connection is still open");
    assert_eq!(answer, "one\ntwo\n", "2.2: what comes back is not what was sent");
}
