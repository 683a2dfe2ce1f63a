//! Reading into memory that is not initialised yet, without unsafe code.
//!
//! Of such memory a safe interface takes only what is copied into it. So the bytes come into a buffer that stays
//! initialised, and what came is copied. The buffer is the reactor's, which lies in the cache: copying a message costs
//! less than zeroing the room for the largest one before each try.

use std::io;
use std::task::{Poll, ready};

use crate::io::with_lent;

/// Calls `read` with a buffer of at most `room` bytes, and `put` with what it brought.
#[inline]
pub(crate) fn poll_read_uninit(
    room: usize,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    put: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    with_lent(|buffer| {
        let room = room.min(buffer.len());
        let count = ready!(read(&mut buffer[..room]))?;
        put(&buffer[..count]);
        Poll::Ready(Ok(()))
    })
}
