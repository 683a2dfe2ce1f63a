//! Echo as a bare mio loop: no tasks, no futures, one buffer. What a runtime adds is measured against this.

use std::io::{self, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use pollywog_bench::{BUFFER, listening_on};

const LISTENER: Token = Token(usize::MAX);

/// A connection, and what it could not write yet.
struct Connection {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Connection {
    /// Echoes until it would block; `false` when the connection is over.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while !self.rest.is_empty() {
            let count = self.stream.write(&self.rest)?;
            self.rest.drain(..count);
        }
        loop {
            let count = self.stream.read(buffer)?;
            if count == 0 {
                return Ok(false);
            }
            let mut written = 0;
            while written < count {
                match self.stream.write(&buffer[written..count]) {
                    Ok(more) => written += more,
                    Err(error) => {
                        self.rest.extend_from_slice(&buffer[written..count]);
                        return Err(error);
                    }
                }
            }
            // A short read has drained the socket.
            if count < buffer.len() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
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
    let mut buffer = vec![0; BUFFER];
    loop {
        poll.poll(&mut events, None)?;
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
                    connections[place] = Some(Connection { stream, rest: Vec::new() });
                }
                continue;
            }
            let place = event.token().0;
            let Some(connection) = &mut connections[place] else { continue };
            // One turn for each event; the end of the stream brings a second read.
            let mut result = connection.turn(&mut buffer);
            if event.is_read_closed() && matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                result = connection.turn(&mut buffer);
            }
            let is_over = match result {
                Ok(goes_on) => !goes_on,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            if is_over {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}
