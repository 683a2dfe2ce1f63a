//! A connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

use super::connect::connect;
use super::lent::{Leftover, one_charge};
use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, halves, owned_halves};
use crate::addr::{ToSocketAddrs, resolve};
use crate::source::{Left, Source};
use crate::sources::Direction::{Read as Reading, Write as Writing};
use crate::waiter::Waiter;

/// A TCP connection.
///
/// It is read and written through the traits of `futures::io`, also behind a shared reference (`&TcpStream`). Their
/// `poll_*` methods keep the waker of the task that polled last, one for reading and one for writing; the async
/// methods of this type may be awaited by any number of tasks. Dropping it closes the connection.
///
/// It is `Send` and `Sync`: one thread may read and another write. Two threads that read (or write) at once are a
/// mistake. A future of an async method that waits then gets an error; through the traits, which remember nothing
/// between two calls, they take the direction from each other again and again.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::{TcpListener, TcpStream, spawn};
///
/// pollywog_net::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let addr = listener.local_addr()?;
///     spawn(async move {
///         let (mut stream, _) = listener.accept().await?;
///         stream.write_all(b"hello").await
///     });
///     let mut text = String::new();
///     TcpStream::connect(addr).await?.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
///     Ok(())
/// })?
/// # }
/// ```
pub struct TcpStream {
    source: Source<mio::net::TcpStream>,
    leftover: Leftover,
}

impl TcpStream {
    pub(super) fn new(stream: mio::net::TcpStream) -> Self {
        Self { source: Source::new(stream), leftover: Leftover::default() }
    }

    pub(super) fn source(&self) -> &Source<mio::net::TcpStream> {
        &self.source
    }

    pub(super) fn leftover(&self) -> &Leftover {
        &self.leftover
    }

    /// Connects to the first of the addresses that answers, trying them in turn.
    ///
    /// # Errors
    ///
    /// That of the last address: refused, unreachable, timed out. There is no time limit of our own: see
    /// [`timeout`](crate::time::timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the descriptor.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = connect(addr).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Reads from the socket alone: what `read_with` left comes before.
    pub(super) fn poll_read_raw(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(cx, Reading, waiter, |mut io| {
            let count = io.read(buffer)?;
            Ok(left(count, buffer.len()))
        })
    }

    /// Waits until something can be read, or the peer has closed. It can be wrong: the read tells.
    ///
    /// # Errors
    ///
    /// When the socket cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until a read finds nothing.
    pub async fn readable(&self) -> io::Result<()> {
        let waiter = Waiter::new(Reading);
        // Each time: what another task's `read_with` leaves can come while this waits.
        poll_fn(|cx| match self.leftover.is_some() {
            true => one_charge(cx).map(Ok),
            false => self.source.poll_ready(cx, Reading, Some(&waiter)),
        })
        .await
    }

    /// Waits until something can be written, or writing would fail. It can be wrong: the write tells.
    ///
    /// # Errors
    ///
    /// When the socket cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until a write finds no room.
    pub async fn writable(&self) -> io::Result<()> {
        let waiter = Waiter::new(Writing);
        poll_fn(|cx| self.source.poll_ready(cx, Writing, Some(&waiter))).await
    }

    /// Reads what is there, and gives the number of bytes; zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there: await [`readable`](Self::readable) then.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.leftover.is_some() {
            return Ok(self.leftover.read(&mut [IoSliceMut::new(buffer)]));
        }
        self.source.try_io(Reading, |mut io| Ok(left(io.read(buffer)?, buffer.len())))
    }

    /// Writes what the socket's buffer has room for, and gives the number of bytes.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room: await [`writable`](Self::writable) then.
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.source.try_io(Writing, |mut io| Ok(left(io.write(buffer)?, buffer.len())))
    }

    /// Waits for bytes and copies them without taking them off the queue: the next read gives them again. Zero is the
    /// end of the stream.
    ///
    /// # Errors
    ///
    /// Those of reading.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiter = Waiter::new(Reading);
        poll_fn(|cx| {
            if !self.leftover.is_some() {
                return self.source.poll_io(cx, Reading, Some(&waiter), |io| io.peek(buffer).map(Left::Maybe));
            }
            one_charge(cx).map(|()| {
                let count = self.leftover.peek(buffer);
                // What came since stands behind it.
                let room = &mut buffer[count..];
                let more = if room.is_empty() { 0 } else { self.source.io().peek(room).unwrap_or(0) };
                Ok(count + more)
            })
        })
        .await
    }

    /// Closes one direction or both. A reader that waits on this side then gets what stands in the queue and the end;
    /// the peer's reader gets the end after what was written.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.io().shutdown(how)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.io().nodelay()
    }

    /// Has small writes sent at once rather than gathered (`TCP_NODELAY`): less delay, more packets.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.io().set_nodelay(nodelay)
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// When the connection is gone: it may have been reset before it was accepted.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// Splits it into two borrowed halves, to read and write in one task at once.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        halves(self)
    }

    /// Splits it into two halves that can go to different tasks. The connection closes when both are dropped;
    /// dropping the write half says 'end' to the peer.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        owned_halves(Arc::new(self))
    }
}

/// A transfer of `count` bytes where `room` was offered. Zero is the end, or an empty buffer: neither says anything
/// of what is left.
#[inline]
fn left(count: usize, room: usize) -> Left<usize> {
    if 0 < count && count < room { Left::Nothing(count) } else { Left::Maybe(count) }
}

/// The room in the buffers that the kernel is offered: std passes on no more than `IOV_MAX` of them.
fn total(buffers: &[impl std::ops::Deref<Target = [u8]>]) -> usize {
    const IOV_MAX: usize = 1024;
    buffers.iter().take(IOV_MAX).map(|buffer| buffer.len()).sum()
}

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(self.leftover.read(&mut [IoSliceMut::new(buffer)])));
        }
        self.poll_read_raw(cx, None, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.leftover.is_some() {
            return one_charge(cx).map(|()| Ok(self.leftover.read(buffers)));
        }
        let room = total(buffers);
        self.source.poll_io(cx, Reading, None, |mut io| Ok(left(io.read_vectored(buffers)?, room)))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_io(cx, Writing, None, |mut io| Ok(left(io.write(buffer)?, buffer.len())))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = total(buffers);
        self.source.poll_io(cx, Writing, None, |mut io| Ok(left(io.write_vectored(buffers)?, room)))
    }

    /// Ready at once: nothing is buffered here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Shuts down writing. Reading goes on.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            // The peer was faster: it is closed.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
