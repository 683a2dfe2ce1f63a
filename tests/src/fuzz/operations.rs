//! What can be done to a stream.

use super::connection::Connection;
use super::handle::Handle;
use super::judge::Step;
use super::stats::Kind;
use super::{reads, writes};

/// How often in a row a direction may be reported ready and then block.
pub(super) const IN_VAIN: usize = 1_000;

/// How much of what it is lent a caller consumes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Consume {
    All,
    Nothing,
    /// Up to that many bytes.
    Some(usize),
}

impl Consume {
    pub(super) fn of(self, lent: usize) -> usize {
        match self {
            Self::All => lent,
            Self::Nothing => 0,
            Self::Some(count) => count.min(lent),
        }
    }
}

/// One operation, with how many bytes it offers or has room for; in several buffers, how many in each.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Read(usize),
    ReadVectored(Vec<usize>),
    ReadBuf(usize),
    /// Waits, and then tries.
    TryRead(usize),
    TryReadVectored(Vec<usize>),
    Peek(usize),
    ReadWith(Consume),
    Readable,
    Write(usize),
    WriteVectored(Vec<usize>),
    /// Tries, and waits if need be.
    TryWrite(usize),
    TryWriteVectored(Vec<usize>),
    Writable,
}

impl Operation {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Read(_) => Kind::Read,
            Self::ReadVectored(_) => Kind::ReadVectored,
            Self::ReadBuf(_) => Kind::ReadBuf,
            Self::TryRead(_) => Kind::TryRead,
            Self::TryReadVectored(_) => Kind::TryReadVectored,
            Self::Peek(_) => Kind::Peek,
            Self::ReadWith(_) => Kind::ReadWith,
            Self::Readable => Kind::Readable,
            Self::Write(_) => Kind::Write,
            Self::WriteVectored(_) => Kind::WriteVectored,
            Self::TryWrite(_) => Kind::TryWrite,
            Self::TryWriteVectored(_) => Kind::TryWriteVectored,
            Self::Writable => Kind::Writable,
        }
    }

    /// How many bytes it offers or has room for, if it says so.
    pub(super) fn room(&self) -> Option<usize> {
        match self {
            Self::Read(count) | Self::TryRead(count) | Self::Peek(count) => Some(*count),
            Self::Write(count) | Self::TryWrite(count) => Some(*count),
            Self::ReadVectored(counts) | Self::TryReadVectored(counts) => Some(counts.iter().sum()),
            Self::WriteVectored(counts) | Self::TryWriteVectored(counts) => Some(counts.iter().sum()),
            Self::ReadBuf(_) | Self::ReadWith(_) | Self::Readable | Self::Writable => None,
        }
    }

    /// Does it, and judges what it gives.
    pub(super) async fn perform(
        &self,
        handle: &mut Handle<'_>,
        connection: &Connection,
        end: usize,
    ) -> Result<Step, String> {
        match self {
            Self::Read(room) => reads::read(handle, &[*room], false, connection, end).await,
            Self::ReadVectored(rooms) => reads::read(handle, rooms, true, connection, end).await,
            Self::ReadBuf(room) => reads::read_buf(handle.stream(), *room, connection, end).await,
            Self::TryRead(room) => reads::try_read(handle.stream(), &[*room], false, connection, end).await,
            Self::TryReadVectored(rooms) => reads::try_read(handle.stream(), rooms, true, connection, end).await,
            Self::Peek(room) => reads::peek(handle.stream(), *room, connection, end).await,
            Self::ReadWith(consume) => reads::read_with(handle.stream(), *consume, connection, end).await,
            Self::Readable => reads::readable(handle.stream(), connection, end).await,
            Self::Write(count) => writes::write(handle, &[*count], false, connection, end).await,
            Self::WriteVectored(counts) => writes::write(handle, counts, true, connection, end).await,
            Self::TryWrite(count) => writes::try_write(handle.stream(), &[*count], false, connection, end).await,
            Self::TryWriteVectored(counts) => writes::try_write(handle.stream(), counts, true, connection, end).await,
            Self::Writable => writes::writable(handle.stream(), connection, end).await,
        }
    }
}
