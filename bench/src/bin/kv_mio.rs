//! Keys and values as a bare mio loop: the same decoding, executing and encoding as in the example `kv`, one buffer to
//! read into and one for replies. It has neither limits nor timeouts, delivers no messages, and does not take turns.

use std::io::{self, Read, Write};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use pollywog_bench::{listening_on, uninterrupted};
use pollywog_examples::kv::{Db, Next, Session};

const LISTENER: Token = Token(usize::MAX);
/// As large as the buffer that Pollywog lends.
const BUFFER: usize = 64 << 10;

/// What all connections share.
struct Shared {
    db: Db,
    buffer: Vec<u8>,
    replies: BytesMut,
}

/// A connection, the beginning of a command, and what could not be written yet.
struct Connection {
    stream: TcpStream,
    session: Session,
    unread: Vec<u8>,
    rest: BytesMut,
}

impl Connection {
    /// Answers until it would block; `false` when the connection is over.
    fn turn(&mut self, shared: &mut Shared) -> io::Result<bool> {
        loop {
            while !self.rest.is_empty() {
                let count = self.stream.write(&self.rest)?;
                self.rest.advance(count);
            }
            let count = self.stream.read(&mut shared.buffer)?;
            if count == 0 || !self.answer(count, shared)? {
                return Ok(false);
            }
            // A short read has drained the socket.
            if count < shared.buffer.len() && self.rest.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Answers what came, and keeps what is no whole command.
    fn answer(&mut self, count: usize, shared: &mut Shared) -> io::Result<bool> {
        let Shared { db, buffer, replies } = shared;
        let mut unread = std::mem::take(&mut self.unread);
        let mut bytes = &buffer[..count];
        if !unread.is_empty() {
            unread.extend_from_slice(bytes);
            bytes = &unread;
        }
        loop {
            let turn = self.session.turn(bytes, db, replies, Instant::now());
            bytes = &bytes[turn.consumed..];
            self.send(replies)?;
            match turn.next {
                Next::Wait | Next::WaitForRest => break,
                Next::GoOn => {}
                Next::Close => return Ok(false),
            }
        }
        self.unread = bytes.to_vec();
        Ok(true)
    }

    /// Writes what the socket takes at once.
    fn send(&mut self, replies: &mut BytesMut) -> io::Result<()> {
        let written = match self.rest.is_empty() {
            true => match self.stream.write(replies) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            },
            false => 0,
        };
        self.rest.extend_from_slice(&replies[written..]);
        replies.clear();
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    listening_on(listener.local_addr()?);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let db = Db::new(1 << 30, Instant::now());
    let mut shared = Shared { db, buffer: vec![0; BUFFER], replies: BytesMut::new() };
    loop {
        uninterrupted(poll.poll(&mut events, None))?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(place), interest)?;
                    let session = shared.db.join();
                    connections[place] =
                        Some(Connection { stream, session, unread: Vec::new(), rest: BytesMut::new() });
                }
                continue;
            }
            let place = event.token().0;
            let Some(connection) = &mut connections[place] else { continue };
            // One turn for each event; the end of the stream brings a second read.
            let mut result = connection.turn(&mut shared);
            if event.is_read_closed() && matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                result = connection.turn(&mut shared);
            }
            let is_over = match result {
                Ok(goes_on) => !goes_on,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            if is_over {
                shared.db.leave(&mut connection.session);
                connections[place] = None;
                free.push(place);
            }
        }
    }
}
