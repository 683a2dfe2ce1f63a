//! A connected stream of bytes: what TCP and Unix streams have in common.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::interest::{Interest, Ready};
use crate::lent::{Leftover, one_charge};
use crate::source::{Io, Left, Source};
use crate::sources::Direction::{Read as Reading, Write as Writing};
use crate::waiter::Waiters;

/// `MSG_NOSIGNAL`, with which writing to a peer that is gone is an error and not `SIGPIPE`. std has no vectored write with
/// it, and none for Unix streams. Elsewhere std sets what the system has for it on the socket, if anything.
const NO_SIGNAL: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) { Some(0x4000) } else { None };

/// A descriptor that is read and written behind a shared reference.
pub(crate) trait ByteIo: Io {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    fn write(&self, buffer: &[u8]) -> io::Result<usize>;
    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl<S: Io> ByteIo for S
where
    for<'a> &'a S: Read + Write,
{
    #[inline]
    fn read(mut self: &Self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self, buffer)
    }

    #[inline]
    fn read_vectored(mut self: &Self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Read::read_vectored(&mut self, buffers)
    }

    #[inline]
    fn write(mut self: &Self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(flag) = NO_SIGNAL {
            return SockRef::from(self).send_with_flags(buffer, flag);
        }
        Write::write(&mut self, buffer)
    }

    #[inline]
    fn write_vectored(mut self: &Self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(flag) = NO_SIGNAL {
            return SockRef::from(self).send_vectored_with_flags(offered(buffers), flag);
        }
        Write::write_vectored(&mut self, buffers)
    }
}

/// The descriptor, and what `read_with` left.
pub(crate) struct ByteStream<S: ByteIo> {
    pub(crate) source: Source<S>,
    pub(crate) leftover: Leftover,
}

impl<S: ByteIo> ByteStream<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { source: Source::new(io), leftover: Leftover::default() }
    }

    pub(crate) fn io(&self) -> &S {
        self.source.io()
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(self.leftover.read(&mut [IoSliceMut::new(buffer)])));
        }
        self.source.poll_syscall(cx, Reading, None, |io| Ok(left(io.read(buffer)?, buffer.len())))
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(self.leftover.read(buffers)));
        }
        let room = total(buffers);
        self.source.poll_syscall(cx, Reading, None, |io| Ok(left(io.read_vectored(buffers)?, room)))
    }

    #[inline]
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_syscall(cx, Writing, None, |io| Ok(left(io.write(buffer)?, buffer.len())))
    }

    pub(crate) fn poll_write_vectored(&self, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let room = total(buffers);
        self.source.poll_syscall(cx, Writing, None, |io| Ok(left(io.write_vectored(buffers)?, room)))
    }

    /// Shuts down writing. Reading goes on.
    pub(crate) fn close(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            // The peer was faster: it is closed.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self.io()).shutdown(how)
    }

    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        waiters: Option<&Waiters>,
    ) -> Poll<io::Result<Ready>> {
        // Each time: what another task's `read_with` leaves can come while this waits.
        if interest.is_readable() && self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(Ready::READABLE));
        }
        self.source.poll_ready(cx, interest, waiters)
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let waiters = Waiters::new();
        poll_fn(|cx| self.poll_ready(cx, interest, Some(&waiters))).await
    }

    /// An operation of the caller's, on the descriptor, where left-over bytes are not.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce(&S) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        self.check_leftover(interest)?;
        self.source.try_io(interest, operation)
    }

    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.check_leftover(interest)?;
        self.source.async_io(interest, operation).await
    }

    fn check_leftover(&self, interest: Interest) -> io::Result<()> {
        if interest.is_readable() && self.leftover.is_some() {
            return Err(io::Error::other("`read_with` left bytes over, which come first: take them with `try_read`"));
        }
        Ok(())
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.leftover.is_some() {
            return Ok(self.leftover.read(&mut [IoSliceMut::new(buffer)]));
        }
        self.source.try_io(Interest::READABLE, |io| Ok(left(io.read(buffer)?, buffer.len())))
    }

    pub(crate) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if self.leftover.is_some() {
            return Ok(self.leftover.read(buffers));
        }
        let room = total(buffers);
        self.source.try_io(Interest::READABLE, |io| Ok(left(io.read_vectored(buffers)?, room)))
    }

    pub(crate) fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.source.try_io(Interest::WRITABLE, |io| Ok(left(io.write(buffer)?, buffer.len())))
    }

    pub(crate) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = total(buffers);
        self.source.try_io(Interest::WRITABLE, |io| Ok(left(io.write_vectored(buffers)?, room)))
    }
}

/// Reading behind what a vector holds, without a byte being written twice.
#[cfg(feature = "rustix")]
impl<S: ByteIo> ByteStream<S> {
    pub(crate) fn poll_read_buf(
        &self,
        cx: &mut Context<'_>,
        waiter: &crate::waiter::Waiter,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        if self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(self.leftover.append(make_room(buffer), buffer)));
        }
        self.source.poll_syscall(cx, Reading, Some(waiter), |io| receive(io, buffer))
    }

    pub(crate) fn try_read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if self.leftover.is_some() {
            return Ok(self.leftover.append(make_room(buffer), buffer));
        }
        self.source.try_io(Interest::READABLE, |io| receive(io, buffer))
    }
}

#[cfg(feature = "rustix")]
fn receive(io: &impl Io, buffer: &mut Vec<u8>) -> io::Result<Left<usize>> {
    use rustix::buffer::spare_capacity;
    use rustix::net::{RecvFlags, recv};

    let room = make_room(buffer);
    let (count, _) = recv(io, spare_capacity(buffer), RecvFlags::empty())?;
    Ok(left(count, room))
}

/// The spare capacity of a vector; a full one grows.
#[cfg(feature = "rustix")]
fn make_room(buffer: &mut Vec<u8>) -> usize {
    /// What it grows by at least.
    const ROOM: usize = 64;

    if buffer.len() == buffer.capacity() {
        buffer.reserve(ROOM);
    }
    buffer.capacity() - buffer.len()
}

/// A transfer of `count` bytes where `room` was offered. Zero is the end, or an empty buffer: neither says anything
/// of what is left.
#[inline]
pub(crate) fn left(count: usize, room: usize) -> Left<usize> {
    if 0 < count && count < room { Left::Nothing(count) } else { Left::Maybe(count) }
}

/// The buffers that the kernel is offered: no more than `IOV_MAX` of them. std cuts the others off, too.
fn offered<T>(buffers: &[T]) -> &[T] {
    const IOV_MAX: usize = 1024;
    &buffers[..buffers.len().min(IOV_MAX)]
}

/// The room in them.
fn total(buffers: &[impl std::ops::Deref<Target = [u8]>]) -> usize {
    offered(buffers).iter().map(|buffer| buffer.len()).sum()
}
