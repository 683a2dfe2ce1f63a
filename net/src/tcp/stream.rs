//! A connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

use super::connect::{connect, no_connection};
use crate::addr::{ToSocketAddrs, resolve};
use crate::byte_stream::ByteStream;
use crate::lent::one_charge;
use crate::readiness::readiness_methods;
use crate::source::Left;
use crate::sources::Direction;
use crate::split::{HalfClose, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream_methods::stream_methods;
use crate::waiter::Waiter;

/// A TCP connection.
///
/// It is read and written through the traits of `futures::io`, also behind a shared reference (`&TcpStream`). Their
/// `poll_*` methods keep the waker of the task that polled last, one for reading and one for writing; the async
/// methods of this type may be awaited by any number of tasks. Dropping it closes the connection.
///
/// It is `Send` and `Sync`: one thread may read and another write. Two threads that read (or write) at once are a
/// mistake: the second takes the direction over, and a future of an async method that waited on the first gets an error;
/// through the traits, which remember nothing between two calls, one of them gets it once they have taken it from each
/// other a few times. A stream that is handed to another thread goes on there.
///
/// Options that have no method here are set with [`socket2::SockRef::from`](https://docs.rs/socket2), or before
/// connecting by [`TcpSocket`](crate::TcpSocket).
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
    stream: ByteStream<mio::net::TcpStream>,
}

impl TcpStream {
    pub(super) fn new(stream: mio::net::TcpStream) -> Self {
        Self { stream: ByteStream::new(stream) }
    }

    /// Connects to the first of the addresses that answers, trying them in turn.
    ///
    /// # Errors
    ///
    /// That of the address: refused, unreachable, timed out. Where several fail it lists them, and has the kind of the
    /// last. There is no time limit of our own: see [`timeout`](crate::time::timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failures = Vec::new();
        for addr in resolve(addr).await? {
            let stream = mio::net::TcpStream::connect(addr).map(Self::new);
            let result = match stream {
                Ok(stream) => connected(stream).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.push((addr, error)),
            }
        }
        Err(no_connection(failures))
    }

    /// Takes a connection of std's, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(stream)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::new(mio::net::TcpStream::from_std(stream)))
    }

    /// Gives the connection to std, registered nowhere. It is still non-blocking. What
    /// [`read_with`](Self::read_with) left over is lost: read it before.
    ///
    /// # Errors
    ///
    /// None yet; the signature is tokio's.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let stream: std::net::TcpStream = stream.into_std()?;
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Ok(OwnedFd::from(self.stream.source.into_io()).into())
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut stream, _) = listener.accept().await?;
    /// client.write_all(b"GET /").await?;
    /// let mut first = [0; 1];
    /// stream.peek(&mut first).await?;
    /// assert_eq!(&first, b"G", "HTTP, not TLS");
    /// let mut all = [0; 5];
    /// stream.read_exact(&mut all).await?;
    /// assert_eq!(&all, b"GET /");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiter = Waiter::new(Direction::Read);
        let ByteStream { source, leftover } = &self.stream;
        poll_fn(|cx| {
            if !leftover.is_some() {
                return source.poll_io(cx, Direction::Read, Some(&waiter), |io| io.peek(buffer).map(Left::Maybe));
            }
            one_charge(cx).map(|()| {
                let count = leftover.peek(buffer);
                // What came since stands behind it.
                let room = &mut buffer[count..];
                let more = if room.is_empty() { 0 } else { source.io().peek(room).unwrap_or(0) };
                Ok(count + more)
            })
        })
        .await
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// When the connection is gone: it may have been reset before it was accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.io().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.io().local_addr()
    }
}

/// The stream, once its connection is there.
pub(super) async fn connected(stream: TcpStream) -> io::Result<TcpStream> {
    connect(&stream.stream.source).await?;
    Ok(stream)
}

stream_methods!(
    TcpStream,
    "# use pollywog_net::{TcpListener, TcpStream};
# let listener = TcpListener::bind(\"127.0.0.1:0\").await?;
# #[allow(unused_mut)] let mut peer = TcpStream::connect(listener.local_addr()?).await?;
# #[allow(unused_mut)] let (mut stream, _) = listener.accept().await?;"
);
readiness_methods!(
    TcpStream,
    stream,
    "# use std::io::Write;
# let listener = pollywog_net::TcpListener::bind(\"127.0.0.1:0\").await?;
# let mut peer = std::net::TcpStream::connect(listener.local_addr()?)?;
# let (socket, _) = listener.accept().await?;",
    "peer.write_all(b\"ping\")?;",
    "try_read(&mut buffer)"
);
