//! Commands out of bytes.
//!
//! redis-protocol decodes one argument at a time, as a range: nothing is copied and nothing allocated. A whole command is
//! an array to it, which it would collect in a vector, from the start again with every read, and with arrays inside
//! arrays as deep as a client likes to nest them. So the array around the arguments is unwrapped here, and how far
//! that has come is kept: a command of a million arguments that arrives byte by byte costs no more than the same at once.

use std::fmt;

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use super::inline::{Unbalanced, split};
use super::number::integer;
use super::{MAX_ARGUMENT, MAX_ARGUMENTS, MAX_COMMAND, MAX_LINE};

/// Bytes of a line that holds a length.
const MAX_HEADER: usize = 32;
/// Arguments for which a connection keeps the room.
const KEPT: usize = 64;

/// Where an argument stands. Commands are shorter than 4 GiB.
type Range = (u32, u32);

/// How far the next command of a connection has come.
#[derive(Debug, Default)]
pub struct Decoder {
    arguments: Vec<Range>,
    /// How many are still to come. None: the next byte begins a command.
    missing: usize,
    /// Where the next one begins, from the start of the command.
    at: usize,
    /// The words of a line that was typed, without their quotes.
    words: Vec<u8>,
}

/// A whole command: its name, and what comes after it.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    text: &'a [u8],
    ranges: &'a [Range],
}

impl<'a> Args<'a> {
    /// With the name. It is zero for a blank line, which is no command and gets no reply.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether it is a blank line.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Each argument; the first is the name of the command.
    ///
    /// # Panics
    ///
    /// When there is no argument `index`.
    pub fn get(&self, index: usize) -> &'a [u8] {
        let (start, end) = self.ranges[index];
        &self.text[start as usize..end as usize]
    }

    /// The arguments from number `first` on.
    pub fn rest(self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let ranges = self.ranges.get(first..).unwrap_or_default();
        ranges.iter().map(move |(start, end)| &self.text[*start as usize..*end as usize])
    }
}

impl Decoder {
    /// The command that `bytes` begin with, and how many bytes it has. `None`: it is not whole yet. Then the same
    /// bytes come again with more behind them.
    ///
    /// # Errors
    ///
    /// When no command begins so, or it is larger than allowed. Nothing can be decoded after that.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<(Args<'a>, usize)>, ProtocolError> {
        if self.missing == 0 {
            self.forget();
            match bytes.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let Some((count, length)) = header(bytes, ProtocolError::LongCount)? else { return Ok(None) };
                    self.missing = match count {
                        // An array that is empty or null is nothing to do, to Redis too.
                        Some(count) if count <= 0 => return Ok(Some((Args { text: &[], ranges: &[] }, length))),
                        Some(count) if count <= MAX_ARGUMENTS as i64 => count as usize,
                        _ => return Err(ProtocolError::Count),
                    };
                    self.at = length;
                }
                Some(_) => return self.line(bytes),
            }
        }
        while self.missing > 0 {
            let Some((start, end, length)) = argument(&bytes[self.at..], MAX_COMMAND - self.at)? else {
                return Ok(None);
            };
            self.arguments.push(((self.at + start) as u32, (self.at + end) as u32));
            self.at += length;
            self.missing -= 1;
        }
        Ok(Some((Args { text: bytes, ranges: &self.arguments }, self.at)))
    }

    fn forget(&mut self) {
        self.arguments.clear();
        self.words.clear();
        // A connection that waits does not hold what its largest command took.
        self.arguments.shrink_to(KEPT);
        self.words.shrink_to(0);
        self.at = 0;
    }

    fn line<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<(Args<'a>, usize)>, ProtocolError> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return if bytes.len() > MAX_LINE { Err(ProtocolError::LongLine) } else { Ok(None) };
        };
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        if line.len() > MAX_LINE {
            return Err(ProtocolError::LongLine);
        }
        split(line, &mut self.words, |start, end| self.arguments.push((start as u32, end as u32)))
            .map_err(|Unbalanced| ProtocolError::Quotes)?;
        Ok(Some((Args { text: &self.words, ranges: &self.arguments }, end + 1)))
    }
}

/// An argument: where it starts and ends, and how many bytes it takes with what is around it.
fn argument(bytes: &[u8], room: usize) -> Result<Option<(usize, usize, usize)>, ProtocolError> {
    match bytes.first() {
        None => return Ok(None),
        Some(b'$') => {}
        Some(other) => return Err(ProtocolError::NoArgument(*other)),
    }
    let length = match decode_range(bytes) {
        Ok(Some((RangeFrame::BulkString((start, end)), length))) => {
            // `$+4` and `$04` are lengths to the decoder, and to Redis they are none.
            if !matches!(bytes[1], b'1'..=b'9') && !bytes.starts_with(b"$0\r") {
                return Err(ProtocolError::Length);
            }
            check(end - start, length, room)?;
            return Ok(Some((start, end, length)));
        }
        // What will be too long is refused before it comes.
        Ok(None) => header(bytes, ProtocolError::LongLength)?,
        _ => return Err(ProtocolError::Length),
    };
    match length {
        Some((Some(length @ 0..), header)) => {
            check(length as usize, (length as usize).saturating_add(header + 2), room)?
        }
        Some(_) => return Err(ProtocolError::Length),
        None => {}
    }
    Ok(None)
}

fn check(argument: usize, length: usize, room: usize) -> Result<(), ProtocolError> {
    if argument > MAX_ARGUMENT {
        return Err(ProtocolError::Length);
    }
    if length > room { Err(ProtocolError::LongCommand) } else { Ok(()) }
}

/// The number in a line like `*3` or `$5`, if it is one, and the bytes of that line.
fn header(bytes: &[u8], too_long: ProtocolError) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
    match bytes.iter().take(MAX_HEADER).position(|byte| *byte == b'\n') {
        Some(end) => {
            let number = bytes[1..end].strip_suffix(b"\r").and_then(integer);
            Ok(Some((number, end + 1)))
        }
        None if bytes.len() < MAX_HEADER => Ok(None),
        None => Err(too_long),
    }
}

/// Why bytes are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is none, or too large.
    Count,
    /// The length of an argument is none, or too large.
    Length,
    /// The line with the number of arguments does not end.
    LongCount,
    /// The line with the length of an argument does not end.
    LongLength,
    /// More than [`MAX_COMMAND`] bytes.
    LongCommand,
    /// More than [`MAX_LINE`] bytes.
    LongLine,
    /// Where an argument had to come there is this byte.
    NoArgument(u8),
    /// Quotes that do not end, or something right behind them.
    Quotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::Count => f.write_str("invalid multibulk length"),
            Self::Length => f.write_str("invalid bulk length"),
            Self::LongCount => f.write_str("too big mbulk count string"),
            Self::LongLength => f.write_str("too big bulk count string"),
            Self::LongCommand => write!(f, "more than {MAX_COMMAND} bytes in one command"),
            Self::LongLine => f.write_str("too big inline request"),
            // What would end the line, or is no character, is replaced.
            Self::NoArgument(byte) if !byte.is_ascii_graphic() => f.write_str("expected '$', got ' '"),
            Self::NoArgument(byte) => write!(f, "expected '$', got '{}'", char::from(*byte)),
            Self::Quotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

impl std::error::Error for ProtocolError {}
