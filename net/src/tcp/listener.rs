//! A socket that accepts connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use super::backoff::{Backoff, Trouble};
use crate::addr::{ToSocketAddrs, resolve};
use crate::source::{Left, Source};
use crate::sources::Direction;
use crate::trace;
use crate::waiter::Waiter;

/// How many connections the kernel keeps until they are accepted; it takes the smaller of this and its own limit
/// (`net.core.somaxconn`, 4,096 on Linux).
const BACKLOG: i32 = 65_535;

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
}

impl TcpListener {
    /// Listens on the first of the addresses that it can be bound to, with `SO_REUSEADDR` so that a server can be
    /// started again at once. Port 0 has the system pick one: see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// That of the last address: in use, not of this machine, not permitted.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = listen(addr);
            if result.is_ok() {
                break;
            }
        }
        let listener = mio::net::TcpListener::from_std(result?);
        Ok(Self { source: Source::new(listener) })
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
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let waiter = Waiter::new(Direction::Read);
        let mut backoff = Backoff::new();
        poll_fn(|cx| self.poll_accept(cx, Some(&waiter), &mut backoff)).await
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

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        backoff: &mut Backoff,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            ready!(backoff.poll_over(cx));
            let accepted = self.source.poll_io(cx, Direction::Read, waiter, |io| io.accept().map(Left::Maybe));
            match ready!(accepted) {
                Ok((stream, peer)) => {
                    backoff.reset();
                    return Poll::Ready(Ok((TcpStream::new(stream), peer)));
                }
                Err(error) => match Trouble::of(&error) {
                    Trouble::Connection => trace::accept_skipped(&error),
                    // Without a runtime there is no timer to wait on.
                    Trouble::Resources if crate::context::with(|reactor| reactor.is_none()) => {
                        return Poll::Ready(Err(error));
                    }
                    Trouble::Resources => trace::accept_paused(&error, backoff.start()),
                    Trouble::Listener => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// The address it listens on, with the port that the system picked.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }
}

fn listen(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
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
        let accepted = this.listener.poll_accept(cx, None, &mut this.backoff);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
