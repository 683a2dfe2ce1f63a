//! A Unix socket for datagrams: making one, and its names.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

use super::file::{self, SocketFile};
use super::{SocketAddr, addr};
use crate::accept::PolledBackoff;
use crate::readiness::readiness_methods;
use crate::source::{Left, Source};

/// A Unix socket for datagrams. None is lost, doubled or out of order, and each is received as a whole.
///
/// The async methods may be awaited by any number of tasks. The `poll_*` methods keep the waker of the task that polled
/// last, one for reading and one for writing.
///
/// A receiver's queue is short (`net.unix.max_dgram_qlen`: often 10 datagrams). When it is full, [`send`](Self::send)
/// and [`send_to`](Self::send_to) wait. With the feature `rustix`, `send_with_fds` and `recv_with_fds` pass descriptors
/// along; those that come to another method are closed by the kernel.
///
/// # Examples
///
/// ```
/// # pollywog_net::run(async {
/// use pollywog_net::UnixDatagram;
///
/// # let path = std::env::temp_dir().join(format!("pollywog-datagram-{}", std::process::id()));
/// let server = UnixDatagram::bind(&path)?;
/// let client = UnixDatagram::unbound()?;
/// client.send_to(b"hello", &path).await?;
///
/// let mut buffer = [0; 16];
/// let (count, from) = server.recv_from(&mut buffer).await?;
/// assert_eq!(&buffer[..count], b"hello");
/// assert!(from.is_unnamed(), "it cannot be answered");
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
pub struct UnixDatagram {
    /// The first to be dropped.
    file: SocketFile,
    pub(super) source: Source<mio::net::UnixDatagram>,
    pub(super) polled: PolledBackoff,
    /// Receiving was shut down. Linux says so to who blocks, and 'would block' to who does not.
    is_shut: AtomicBool,
}

impl UnixDatagram {
    fn new(socket: mio::net::UnixDatagram, file: SocketFile) -> Self {
        Self { file, source: Source::new(socket), polled: PolledBackoff::default(), is_shut: AtomicBool::new(false) }
    }

    /// A socket at `path`. On Linux and Android a zero byte in front makes it an [abstract name](crate::unix#names).
    ///
    /// Binding makes the file, and dropping the socket removes it, as that of a
    /// [`UnixListener`](crate::UnixListener::bind).
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`](crate::UnixListener::bind).
    ///
    /// # Examples
    ///
    /// See [`UnixDatagram`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&addr::of(path.as_ref())?)
    }

    /// As [`bind`](Self::bind), to an address.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixDatagram;
    /// use pollywog_net::unix::SocketAddr;
    ///
    /// # let path = std::env::temp_dir().join(format!("pollywog-bind-addr-{}", std::process::id()));
    /// let addr = SocketAddr::from_pathname(&path)?;
    /// let socket = UnixDatagram::bind_addr(&addr)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        let (socket, file) = file::bind(addr, mio::net::UnixDatagram::bind_addr)?;
        Ok(Self::new(socket, file))
    }

    /// A socket without a name: it can send, and receive what is sent to it as a peer.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    ///
    /// # Examples
    ///
    /// See [`UnixDatagram`].
    pub fn unbound() -> io::Result<Self> {
        Ok(Self::new(mio::net::UnixDatagram::unbound()?, SocketFile::default()))
    }

    /// Two sockets that are connected with each other, without a name.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.send(b"ping").await?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(other.recv(&mut buffer).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = mio::net::UnixDatagram::pair()?;
        Ok((Self::new(one, SocketFile::default()), Self::new(other, SocketFile::default())))
    }

    /// Has [`send`](Self::send) send to the socket at `path`, and receives from that one alone. It may be connected
    /// anew.
    ///
    /// # Errors
    ///
    /// There is no such file; no socket is bound to it; not permitted; the socket there is connected to another one.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("pollywog-connected-{}", std::process::id()));
    /// let server = UnixDatagram::bind(&path)?;
    /// let client = UnixDatagram::unbound()?;
    /// client.connect(&path)?;
    /// client.send(b"hello").await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&addr::of(path.as_ref())?)
    }

    /// As [`connect`](Self::connect), to an address: that of who sent a datagram, say.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("pollywog-connect-addr-{}", std::process::id()));
    /// let server = UnixDatagram::bind(&path)?;
    /// let client = UnixDatagram::unbound()?;
    /// client.connect_addr(&server.local_addr()?)?;
    /// assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        SockRef::from(self).connect(&addr::to_socket2(addr)?)
    }

    /// Takes a socket of std's, and makes it non-blocking. Its file is left alone when the socket is dropped.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixDatagram;
    /// let socket = UnixDatagram::from_std(std::os::unix::net::UnixDatagram::unbound()?)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(mio::net::UnixDatagram::from_std(socket), SocketFile::default()))
    }

    /// Gives the socket to std, registered nowhere. It is still non-blocking. Its file stays.
    ///
    /// # Errors
    ///
    /// None yet; the signature is tokio's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixDatagram;
    /// let socket: std::os::unix::net::UnixDatagram = UnixDatagram::unbound()?.into_std()?;
    /// socket.set_nonblocking(false)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_std(mut self) -> io::Result<std::os::unix::net::UnixDatagram> {
        self.file.keep();
        Ok(OwnedFd::from(self.source.into_io()).into())
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`bind_addr`](Self::bind_addr).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// When it is not connected.
    ///
    /// # Examples
    ///
    /// See [`connect_addr`](Self::connect_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().peer_addr()
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
    /// # use pollywog_net::UnixDatagram;
    /// assert!(UnixDatagram::unbound()?.take_error()?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }

    /// Closes one direction or both. Who receives then gets what stands in the queue, and zero bytes after that; who sends
    /// gets [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UnixDatagram;
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.shutdown(std::net::Shutdown::Both)?;
    /// assert_eq!(one.recv(&mut [0; 16]).await?, 0);
    /// assert_eq!(one.send(b"ping").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            // Before: who waits is woken by the call, on another thread perhaps.
            self.is_shut.store(true, Ordering::SeqCst);
        }
        self.source.io().shutdown(how)
    }

    /// What was received, or `end` where nothing more comes.
    pub(super) fn received<R>(
        &self,
        result: io::Result<R>,
        end: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<Left<R>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_shut.load(Ordering::SeqCst) => end(),
            result => result,
        }
        .map(Left::Maybe)
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

readiness_methods!(
    UnixDatagram,
    source,
    "# let (socket, peer) = pollywog_net::UnixDatagram::pair()?;",
    "peer.send(b\"ping\").await?;",
    "try_recv(&mut buffer)"
);
