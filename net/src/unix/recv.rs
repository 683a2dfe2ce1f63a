//! Receiving datagrams.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::{SocketAddr, UnixDatagram};
use crate::interest::Interest;
use crate::sources::Direction::Read;
use crate::waiter::Waiter;

impl UnixDatagram {
    /// Waits for a datagram, and gives its length. What does not fit into the buffer is cut off.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// See [`pair`](Self::pair).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiter = Waiter::new(Read);
        poll_fn(|cx| self.poll_recv_with(cx, Some(&waiter), buffer)).await
    }

    /// As [`recv`](Self::recv), once.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when none is there: await [`readable`](Self::readable) then.
    ///
    /// # Examples
    ///
    /// See [`readable`](Self::readable).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.try_io(Interest::READABLE, |io| self.received(io.recv(buffer), || Ok(0)))
    }

    /// As [`recv`](Self::recv), for hand-written futures. The waker of the task that polled reading last, by whichever
    /// `poll_*` method, is kept.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.send(b"ping").await?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(std::future::poll_fn(|cx| other.poll_recv(cx, &mut buffer)).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_recv_with(cx, None, buffer)
    }

    fn poll_recv_with(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(cx, Read, waiter, |io| self.received(io.recv(buffer), || Ok(0)))
    }

    /// As [`recv`](Self::recv), with the address of who sent it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// See [`UnixDatagram`].
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let waiter = Waiter::new(Read);
        poll_fn(|cx| self.poll_recv_from_with(cx, Some(&waiter), buffer)).await
    }

    /// As [`recv_from`](Self::recv_from), once.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when none is there: await [`readable`](Self::readable) then.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.send(b"ping").await?;
    /// other.readable().await?;
    /// assert_eq!(other.try_recv_from(&mut [0; 16])?.0, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.try_io(Interest::READABLE, |io| self.received(io.recv_from(buffer), nobody))
    }

    /// As [`recv_from`](Self::recv_from), for hand-written futures. The waker of the task that polled reading last, by
    /// whichever `poll_*` method, is kept.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.send(b"ping").await?;
    /// let mut buffer = [0; 16];
    /// let (count, from) = std::future::poll_fn(|cx| other.poll_recv_from(cx, &mut buffer)).await?;
    /// assert!(count == 4 && from.is_unnamed());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_recv_from_with(cx, None, buffer)
    }

    fn poll_recv_from_with(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.source.poll_io(cx, Read, waiter, |io| self.received(io.recv_from(buffer), nobody))
    }
}

/// The end, from no name.
fn nobody() -> io::Result<(usize, SocketAddr)> {
    Ok((0, SocketAddr::from_pathname("")?))
}
