//! Sending datagrams.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use pollywog_executor::task::yield_now;
use socket2::SockRef;

use super::full::poll_attempt;
use super::{SocketAddr, UnixDatagram, addr};
use crate::accept::Backoff;
use crate::interest::Interest;
use crate::lent::one_charge;
use crate::source::Left;
use crate::sources::Direction::Write;
use crate::waiter::Waiter;

impl UnixDatagram {
    /// Sends a datagram to the socket that this one is connected to, and gives its length. It waits while the receiver's
    /// queue is full.
    ///
    /// # Errors
    ///
    /// The receiver is gone (`ECONNREFUSED`); this is not connected; the datagram is longer than the socket's send buffer
    /// (`EMSGSIZE`).
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent only in the poll that says so.
    ///
    /// # Examples
    ///
    /// See [`connect`](Self::connect) and [`pair`](Self::pair).
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let waiter = Waiter::new(Write);
        poll_fn(|cx| self.poll_send_with(cx, Some(&waiter), datagram)).await
    }

    /// As [`send`](Self::send), once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); and [`WouldBlock`](io::ErrorKind::WouldBlock) when the receiver's queue is full: await
    /// [`writable`](Self::writable) then.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.writable().await?;
    /// assert_eq!(one.try_send(b"ping")?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.source.try_io(Interest::WRITABLE, |io| io.send(datagram).map(Left::Maybe))
    }

    /// As [`send`](Self::send), for hand-written futures. The waker of the task that polled writing last, by whichever
    /// `poll_*` method, is kept.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// assert_eq!(std::future::poll_fn(|cx| one.poll_send(cx, b"ping")).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_with(cx, None, datagram)
    }

    fn poll_send_with(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        datagram: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(cx, Write, waiter, |io| io.send(datagram).map(Left::Maybe))
    }

    /// Sends a datagram to the socket at `path`, and gives its length.
    ///
    /// It waits while the receiver's queue is full. The system does not say when there is room in a queue, if this socket
    /// is not [connected](Self::connect) to it. So this lets other tasks run once, since the receiver may be one of them,
    /// and tries again; then after a pause, which doubles from a millisecond to a second. To send a lot to one receiver,
    /// connect.
    ///
    /// # Errors
    ///
    /// There is no such file; no socket is bound to it (`ECONNREFUSED`); not permitted; the socket there is connected to
    /// another one; the datagram is longer than this one's send buffer (`EMSGSIZE`).
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent only in the poll that says so.
    ///
    /// # Examples
    ///
    /// See [`UnixDatagram`].
    pub async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(datagram, &addr::of(path.as_ref())?).await
    }

    /// As [`send_to`](Self::send_to), to an address: that of who sent a datagram, say.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Cancel safety
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// # let [server, client] = ["server", "client"].map(|name| {
    /// #     std::env::temp_dir().join(format!("pollywog-send-to-addr-{name}-{}", std::process::id()))
    /// # });
    /// let (server, client) = (UnixDatagram::bind(server)?, UnixDatagram::bind(client)?);
    /// client.send_to_addr(b"ping", &server.local_addr()?).await?;
    ///
    /// let mut buffer = [0; 16];
    /// let (count, from) = server.recv_from(&mut buffer).await?;
    /// server.send_to_addr(&buffer[..count], &from).await?;
    /// assert_eq!(client.recv(&mut buffer).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn send_to_addr(&self, datagram: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        poll_fn(one_charge).await;
        match self.send_once(datagram, addr) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
        let mut backoff = Backoff::new();
        poll_fn(|cx| poll_attempt(cx, &mut backoff, || self.send_once(datagram, addr))).await
    }

    /// As [`send_to`](Self::send_to), once.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); and [`WouldBlock`](io::ErrorKind::WouldBlock) when the receiver's queue is full.
    /// [`writable`](Self::writable) knows nothing of that one: wait with [`send_to`](Self::send_to).
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("pollywog-try-send-to-{}", std::process::id()));
    /// let server = UnixDatagram::bind(&path)?;
    /// assert_eq!(UnixDatagram::unbound()?.try_send_to(b"ping", &path)?, 4);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_once(datagram, &addr::of(path.as_ref())?)
    }

    /// As [`send_to`](Self::send_to), for hand-written futures. The waker of the task that polled this last is kept, and
    /// there is one pause for all receivers.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("pollywog-poll-send-to-{}", std::process::id()));
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// assert_eq!(std::future::poll_fn(|cx| client.poll_send_to(cx, b"ping", &path)).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        let addr = addr::of(path.as_ref())?;
        self.polled.with(|backoff| poll_attempt(cx, backoff, || self.send_once(datagram, &addr)))
    }

    /// Beside the readiness of this socket, which knows nothing of the receiver's queue. On Linux, an event even says
    /// 'ready' each time that sending was tried in vain.
    fn send_once(&self, datagram: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        SockRef::from(self).send_to(datagram, &addr::to_socket2(addr)?)
    }
}
