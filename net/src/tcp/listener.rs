//! A socket that accepts connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;

use super::{TcpSocket, TcpStream};
use crate::accept::{Attempt, Backoff, PolledBackoff, poll_accept, try_accept};
use crate::addr::{ToSocketAddrs, resolve};
use crate::source::Source;
use crate::sources::Direction;
use crate::waiter::Waiter;

/// How many connections the kernel keeps until they are accepted; it takes the smaller of this and its own limit
/// (`net.core.somaxconn`, 4,096 on Linux).
pub(crate) const BACKLOG: u32 = 65_535;

/// A TCP socket that accepts connections.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use pollywog_net::{TcpListener, TcpStream};
///
/// pollywog_net::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (stream, peer) = listener.accept().await?;
///     assert_eq!(peer, client.local_addr()?);
///     assert_eq!(stream.local_addr()?, listener.local_addr()?);
///     Ok(())
/// })?
/// # }
/// ```
pub struct TcpListener {
    source: Source<mio::net::TcpListener>,
    polled: PolledBackoff,
}

impl TcpListener {
    /// Listens on the first of the addresses that it can be bound to, with `SO_REUSEADDR` so that a server can be
    /// started again at once. Port 0 has the system pick one: see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// That of the last address: in use, not of this machine, not permitted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound before the poll that gives the listener.
    ///
    /// # Examples
    ///
    /// See [`TcpListener`]; for other options [`TcpSocket`].
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = listen(addr);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Takes the next connection off the queue, and gives it with the peer's address.
    ///
    /// Trouble that passes is not reported. A connection that broke while it stood in the queue is skipped. When the
    /// process or the machine has no descriptor or no memory left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), a
    /// `tracing` warning says so, and accept tries again after a pause, which doubles from a millisecond to a second;
    /// the connection stays in the queue meanwhile, and other tasks run and can close descriptors.
    ///
    /// Several tasks may accept from one listener; each connection goes to one of them.
    ///
    /// # Errors
    ///
    /// When the listener itself is broken.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a connection is taken off the queue only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// See [`TcpListener`].
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let waiter = Waiter::new(Direction::Read);
        let mut backoff = Backoff::new();
        poll_fn(|cx| self.poll_accept_with(cx, Some(&waiter), &mut backoff)).await
    }

    /// The connections as a stream that never ends; each item is as of [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use futures::StreamExt;
    /// use pollywog_net::{TcpListener, TcpStream};
    ///
    /// pollywog_net::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let stream = listener.incoming().next().await.expect("it never ends")?;
    ///     assert_eq!(stream.peer_addr()?, client.local_addr()?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self, backoff: Backoff::new() }
    }

    /// As [`accept`](Self::accept), for hand-written futures. The waker of the task that polled last is kept.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (_, peer) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.polled.with(|backoff| self.poll_accept_with(cx, None, backoff))
    }

    /// Without waiting.
    pub(crate) fn try_accept(&self) -> Attempt<(TcpStream, SocketAddr)> {
        try_accept(&self.source, |io| io.accept().map(|(stream, peer)| (TcpStream::new(stream), peer)))
    }

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        backoff: &mut Backoff,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = poll_accept(&self.source, cx, waiter, backoff, mio::net::TcpListener::accept);
        accepted.map_ok(|(stream, peer)| (TcpStream::new(stream), peer))
    }

    /// Takes a listener of std's, and makes it non-blocking: one that was inherited, say.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::TcpListener;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = TcpListener::from_std(listener)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let source = Source::new(mio::net::TcpListener::from_std(listener));
        Ok(Self { source, polled: PolledBackoff::default() })
    }

    /// Gives the listener to std, registered nowhere. It is still non-blocking.
    ///
    /// # Errors
    ///
    /// None yet; the signature is tokio's.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let listener: std::net::TcpListener = listener.into_std()?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Ok(OwnedFd::from(self.source.into_io()).into())
    }

    /// The address it listens on, with the port that the system picked.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// The error that waits on the socket, which this clears.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.take_error()?.is_none());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::for_addr(addr)?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// The stream of [`TcpListener::incoming`].
///
/// As every `poll_*`, it keeps the waker of the task that polled last.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    backoff: Backoff,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let accepted = this.listener.poll_accept_with(cx, None, &mut this.backoff);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
