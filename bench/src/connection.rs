//! A connection of a bare loop: no task, no future, and one buffer for all of them.

use std::io::{self, ErrorKind, Read, Write};

use crate::BUFFER;
use crate::options::Mode;
use crate::requests::answer;

/// What the connections of a loop share.
#[derive(Debug)]
pub struct Shared {
    mode: Mode,
    buffer: Vec<u8>,
    answers: Vec<u8>,
}

impl Shared {
    /// For connections that do what `mode` says.
    pub fn new(mode: Mode) -> Self {
        Self { mode, buffer: vec![0; BUFFER], answers: Vec::new() }
    }
}

/// A connection whose socket tells by edges that something happened.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    /// What came and is no whole request yet.
    kept: Vec<u8>,
    /// What could not be written yet.
    rest: Vec<u8>,
    /// No edge follows a short read any more.
    has_ended: bool,
}

impl<S: Read + Write> Connection<S> {
    /// A connection to which nothing has happened.
    pub fn new(stream: S) -> Self {
        Self { stream, kept: Vec::new(), rest: Vec::new(), has_ended: false }
    }

    /// Serves until it would block; `false` when the connection is over. `has_ended`: the peer sends no more.
    pub fn turn(&mut self, has_ended: bool, shared: &mut Shared) -> bool {
        self.has_ended |= has_ended;
        match self.serve(shared) {
            Ok(goes_on) => goes_on,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn serve(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let Shared { mode, buffer, answers } = shared;
        while !self.rest.is_empty() {
            let count = self.stream.write(&self.rest)?;
            self.rest.drain(..count);
        }
        loop {
            let kept = self.kept.len();
            buffer[..kept].copy_from_slice(&self.kept);
            // Without room the head is too long, and the read gives 0 as at the end.
            let count = self.stream.read(&mut buffer[kept..])?;
            if count == 0 {
                return Ok(false);
            }
            let came = &buffer[..kept + count];
            let out: &[u8] = match mode {
                Mode::Echo => came,
                Mode::Http => {
                    answers.clear();
                    let used = answer(came, answers);
                    self.kept.clear();
                    self.kept.extend_from_slice(&came[used..]);
                    answers
                }
            };
            let mut written = 0;
            while written < out.len() {
                match self.stream.write(&out[written..]) {
                    Ok(more) => written += more,
                    Err(error) => {
                        self.rest.extend_from_slice(&out[written..]);
                        return Err(error);
                    }
                }
            }
            // A short read has drained the socket.
            if kept + count < BUFFER && !self.has_ended {
                return Ok(true);
            }
        }
    }
}
