//! What a server that must not wait keeps for each of its clients: the bytes that did not go out.

use std::io::{self, ErrorKind, Read, Write};

/// A client on a non-blocking connection, and what it is owed. Nothing more is read from it while it is owed anything,
/// so this is never more than one read brings.
#[derive(Debug)]
pub struct Client<S> {
    /// The connection.
    pub stream: S,
    unsent: Vec<u8>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Bytes went back; there may be more to do at once.
    Moved,
    /// The kernel has said `WouldBlock`: to the read, or, when the client is owed something, to the write.
    NotNow,
    /// The client has ended and was sent everything, or the connection is broken.
    Over,
}

impl<S: Read + Write> Client<S> {
    /// A client that is owed nothing. `stream` must be non-blocking.
    pub fn new(stream: S) -> Self {
        Self { stream, unsent: Vec::new() }
    }

    /// Whether it waits for room to write. Otherwise it waits for something to read.
    pub fn is_owed(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// One step: sends what is owed, or, when nothing is, reads once and sends that back.
    pub fn turn(&mut self) -> Turn {
        let moved = if self.is_owed() { self.send_rest() } else { self.read_and_send() };
        match moved {
            Ok(0) => Turn::Over,
            Ok(_) if self.is_owed() => Turn::NotNow,
            Ok(_) => Turn::Moved,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Turn::NotNow,
            Err(_) => Turn::Over,
        }
    }

    /// Keeps `bytes`, to be sent by the next steps.
    pub fn owe(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    fn read_and_send(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        let sent = send(&mut self.stream, &buffer[..count])?;
        self.unsent = buffer[sent..count].to_vec();
        Ok(count)
    }

    fn send_rest(&mut self) -> io::Result<usize> {
        let sent = send(&mut self.stream, &self.unsent)?;
        // Not `drain`: who is owed nothing should cost nothing.
        self.unsent = self.unsent[sent..].to_vec();
        Ok(1)
    }
}

/// Writes until all of `bytes` are gone or the kernel has no room, and gives the number that went.
fn send(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
