//! HTTP as far as it is measured: a request is a head without a body, and each gets the same answer. Connections are kept
//! alive, and several requests may come at once.

use crate::BUFFER;

/// The answer, whatever is asked.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";

/// Appends an answer for each whole request that `input` begins with, and returns how many bytes these are.
pub fn answer(input: &[u8], answers: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(place) = input[used..].windows(4).position(|four| four == b"\r\n\r\n") {
        answers.extend_from_slice(ANSWER);
        used += place + 4;
    }
    used
}

/// The buffers of a connection: what came and is no whole request yet, and the answers to what was.
#[derive(Debug)]
pub struct Requests {
    buffer: [u8; BUFFER],
    filled: usize,
    answers: Vec<u8>,
}

impl Requests {
    /// Empty ones.
    #[expect(clippy::new_without_default, reason = "made in one way, and seen to be made")]
    pub fn new() -> Self {
        Self { buffer: [0; BUFFER], filled: 0, answers: Vec::new() }
    }

    /// Where to read to. Empty once a head is longer than the buffer: reading into it gives 0, as at the end.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// What to write after `count` bytes came; nothing while they make no whole request.
    pub fn answers(&mut self, count: usize) -> &[u8] {
        self.filled += count;
        self.answers.clear();
        let used = answer(&self.buffer[..self.filled], &mut self.answers);
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        &self.answers
    }
}
