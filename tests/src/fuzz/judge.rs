//! The judgement on what an operation gave.

use std::io::{self, ErrorKind};

use super::connection::Connection;
use super::flow::{Flow, Gate, Sending};

/// What a connection that was taken over says to who waited.
const TAKEN_OVER: &str = "another thread polls this direction of the socket now";

/// What a read gave.
#[derive(Debug)]
pub(super) enum Got {
    /// Bytes that are no longer there, and how many could have been.
    Taken(Vec<u8>, usize),
    /// Bytes that are still there, and how many could have been.
    Seen(Vec<u8>, usize),
    /// What `read_with` lent, and how much of it was consumed.
    Lent(Vec<u8>, usize),
    /// `read_with` said that the stream is at its end.
    Nothing,
}

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// That many bytes were moved.
    Moved(usize),
    /// Nothing was moved, and nothing went wrong.
    Looked,
    /// It would block.
    Blocked,
    /// The end of the stream.
    End,
    /// The connection is broken, as it may be.
    Broken,
    /// Another thread polls now.
    TakenOver,
    /// This side of the connection is about to be dropped.
    Left,
}

impl Connection {
    /// Judges what a read at `end` gave.
    pub(super) fn read(&self, end: usize, gate: &mut Gate, got: io::Result<Got>) -> Result<Step, String> {
        let flow = self.incoming(end);
        match got {
            Ok(Got::Taken(bytes, room) | Got::Seen(bytes, room)) if bytes.is_empty() && room > 0 => self.end(flow, 0),
            Ok(Got::Taken(bytes, _)) => {
                flow.compare(&bytes, "a read")?;
                gate.kept = 0;
                gate.left = gate.left.saturating_sub(bytes.len());
                Ok(moved(flow, bytes.len()))
            }
            Ok(Got::Seen(bytes, _)) => flow.compare(&bytes, "a peek").map(|()| Step::Looked),
            Ok(Got::Lent(bytes, consumed)) => {
                flow.compare(&bytes, "a lent buffer")?;
                if bytes.len() <= gate.kept {
                    return Err(format!("{} bytes were lent again, though more were needed", bytes.len()));
                }
                if bytes.len() < gate.left {
                    return Err(format!("{} of {} bytes that were left were lent", bytes.len(), gate.left));
                }
                gate.left = bytes.len() - consumed;
                gate.kept = if consumed == 0 { bytes.len() } else { 0 };
                Ok(moved(flow, consumed))
            }
            Ok(Got::Nothing) => self.end(flow, gate.kept),
            Err(error) => self.error(gate, error, false),
        }
    }

    fn end(&self, flow: &Flow, kept: usize) -> Result<Step, String> {
        let (taken, accepted, ended) = (flow.taken(), flow.accepted(), flow.has_ended());
        if self.may_be_reset() || ended && taken + kept == accepted {
            return Ok(Step::End);
        }
        Err(format!("the end after {taken} bytes and {kept} kept, of {accepted} (has it ended? {ended})"))
    }

    /// Judges what a write of `room` bytes at `end` said.
    pub(super) fn wrote(
        &self,
        end: usize,
        sending: &mut Sending<'_>,
        room: usize,
        said: io::Result<usize>,
    ) -> Result<Step, String> {
        match said {
            Ok(0) if room == 0 => Ok(Step::Looked),
            Ok(count) if 0 < count && count <= room => {
                sending.accept(count);
                Ok(Step::Moved(count))
            }
            Ok(count) => Err(format!("a write of {room} bytes moved {count}")),
            Err(error) => self.error(sending.gate(), error, self.outgoing(end).has_ended()),
        }
    }

    /// Judges what waiting for readiness gave; `ended`: of a writer after the end.
    pub(super) fn waited(&self, gate: &mut Gate, said: io::Result<()>, ended: bool) -> Result<Step, String> {
        match said {
            Ok(()) => Ok(Step::Looked),
            Err(error) => self.error(gate, error, ended),
        }
    }

    fn error(&self, gate: &mut Gate, error: io::Error, ended: bool) -> Result<Step, String> {
        match error.kind() {
            ErrorKind::WouldBlock => Ok(Step::Blocked),
            ErrorKind::ConnectionReset if self.may_be_reset() => Ok(Step::Broken),
            ErrorKind::BrokenPipe if ended || self.may_be_reset() => Ok(Step::Broken),
            _ if error.to_string().starts_with(TAKEN_OVER) => gate.taken_over().map(|()| Step::TakenOver),
            _ => Err(format!("{error} ({:?})", error.kind())),
        }
    }
}

fn moved(flow: &Flow, count: usize) -> Step {
    if count == 0 {
        return Step::Looked;
    }
    flow.take(count);
    Step::Moved(count)
}
