//! A connection over a Unix socket.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};

use super::full::poll_attempt;
use super::{SocketAddr, addr};
use crate::accept::Backoff;
use crate::byte_stream::ByteStream;
use crate::readiness::readiness_methods;
use crate::split::{HalfClose, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream_methods::stream_methods;

/// A connection over a Unix socket.
///
/// It is read and written through the traits of `futures::io`, also behind a shared reference (`&UnixStream`). Their
/// `poll_*` methods keep the waker of the task that polled last, one for reading and one for writing; the async
/// methods of this type may be awaited by any number of tasks. Dropping it closes the connection.
///
/// It is `Send` and `Sync`: one thread may read and another write. Two threads that read (or write) at once are a
/// mistake: the second takes the direction over, and the first gets an error. A stream that is handed to another
/// thread goes on there.
///
/// A peer can pass descriptors along with its bytes. With the feature `rustix`, `recv_with_fds` takes them; every other
/// read gets the bytes alone, and the kernel closes the descriptors.
///
/// # Examples
///
/// ```
/// # pollywog_net::run(async {
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::{UnixListener, UnixStream, spawn};
///
/// # let path = std::env::temp_dir().join(format!("pollywog-stream-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// spawn(async move {
///     let (mut stream, _) = listener.accept().await?;
///     stream.write_all(b"hello").await
/// });
/// let mut text = String::new();
/// UnixStream::connect(&path).await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
pub struct UnixStream {
    pub(super) stream: ByteStream<mio::net::UnixStream>,
}

impl UnixStream {
    pub(super) fn new(stream: mio::net::UnixStream) -> Self {
        Self { stream: ByteStream::new(stream) }
    }

    /// Connects to the socket at `path`. On Linux and Android a zero byte in front makes it an
    /// [abstract name](crate::unix#names).
    ///
    /// Connecting does not wait for the server to accept: it is done as soon as there is a place in the server's queue.
    /// While the queue is full, Linux says 'would block', and no event says when there is room. So this tries again
    /// after a pause, which doubles from a millisecond to a second, and goes on for as long as it takes: see
    /// [`timeout`](crate::time::timeout) for a limit. Other systems refuse the connection.
    ///
    /// # Errors
    ///
    /// There is no such file; nobody listens (`ECONNREFUSED`); not permitted; the path is too long (108 bytes on Linux).
    /// When the server's queue is full and no Pollywog runtime, whose timer could be waited for, runs on this thread.
    ///
    /// # Cancel safety
    ///
    /// Nothing is connected before the poll that gives the stream.
    ///
    /// # Examples
    ///
    /// See [`UnixStream`].
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr(&addr::of(path.as_ref())?).await
    }

    /// As [`connect`](Self::connect), to an address: one that another socket told, say.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("pollywog-connect-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let stream = UnixStream::connect_addr(&listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn connect_addr(addr: &SocketAddr) -> io::Result<Self> {
        let mut backoff = Backoff::new();
        let attempt = || mio::net::UnixStream::connect_addr(addr).map(Self::new);
        poll_fn(|cx| {
            // Its own, so it is kept whoever else has the task polled.
            ready!(backoff.poll_over(cx));
            poll_attempt(cx, &mut backoff, attempt)
        })
        .await
    }

    /// Two streams that are connected with each other, without a name.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use pollywog_net::UnixStream;
    ///
    /// let (mut one, mut other) = UnixStream::pair()?;
    /// one.write_all(b"ping").await?;
    /// let mut buffer = [0; 4];
    /// other.read_exact(&mut buffer).await?;
    /// assert_eq!(&buffer, b"ping");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        mio::net::UnixStream::pair().map(|(one, other)| (Self::new(one), Self::new(other)))
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
    /// # use pollywog_net::UnixStream;
    /// let (one, _other) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(one)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::new(mio::net::UnixStream::from_std(stream)))
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
    /// # use pollywog_net::UnixStream;
    /// let (stream, _other) = UnixStream::pair()?;
    /// let stream: std::os::unix::net::UnixStream = stream.into_std()?;
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        Ok(OwnedFd::from(self.stream.source.into_io()).into())
    }

    /// The address of this end. That of a client has no name, unless it was bound to one.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixStream;
    /// let (stream, _other) = UnixStream::pair()?;
    /// assert!(stream.local_addr()?.is_unnamed());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.io().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// When it was never connected.
    ///
    /// # Examples
    ///
    /// See [`connect_addr`](Self::connect_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.io().peer_addr()
    }

    /// The process at the other end (`SO_PEERCRED`): of a client the one that connected, of a server the one that
    /// listened, of a [`pair`](Self::pair) the one that made it. The kernel vouches for it.
    ///
    /// # Errors
    ///
    /// When that process is not seen from this one's pid namespace, as the host's processes from within a container.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixStream;
    /// let (stream, _other) = UnixStream::pair()?;
    /// let peer = stream.peer_cred()?;
    /// println!("user {}, group {}", peer.uid(), peer.gid());
    /// assert_eq!(peer.pid(), Some(std::process::id() as i32), "it is this process");
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(all(feature = "rustix", any(target_os = "linux", target_os = "android")))]
    pub fn peer_cred(&self) -> io::Result<super::UCred> {
        super::cred::of_peer(self)
    }
}

stream_methods!(
    UnixStream,
    "# use pollywog_net::UnixStream;
# #[allow(unused_mut)] let (mut stream, mut peer) = UnixStream::pair()?;"
);
readiness_methods!(
    UnixStream,
    stream,
    "# use std::io::Write;
# let (peer, socket) = pollywog_net::UnixStream::pair()?;
# #[allow(unused_mut)] let mut peer = peer.into_std()?;",
    "peer.write_all(b\"ping\")?;",
    "try_read(&mut buffer)"
);
