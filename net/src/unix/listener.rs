//! A Unix socket that accepts connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;

use super::file::{self, SocketFile};
use super::{SocketAddr, UnixStream, addr};
use crate::accept::{Attempt, Backoff, PolledBackoff, poll_accept, try_accept};
use crate::source::Source;
use crate::sources::Direction;
use crate::waiter::Waiter;

/// A Unix socket that accepts connections.
///
/// # Examples
///
/// ```
/// # pollywog_net::run(async {
/// use pollywog_net::{UnixListener, UnixStream};
///
/// # let path = std::env::temp_dir().join(format!("pollywog-listener-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path).await?;
/// let (stream, peer) = listener.accept().await?;
/// assert!(peer.is_unnamed(), "clients seldom have a name");
/// drop(listener);
/// assert!(!path.exists(), "its file is gone");
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
pub struct UnixListener {
    /// The first to be dropped.
    file: SocketFile,
    source: Source<mio::net::UnixListener>,
    polled: PolledBackoff,
}

impl UnixListener {
    /// Listens at `path`. On Linux and Android a zero byte in front makes it an [abstract name](crate::unix#names).
    ///
    /// Binding makes the file, with the permissions that the process's umask leaves. Dropping the listener removes it
    /// before the socket closes, unless another file has taken its name. So a server that was started again on the same
    /// path keeps its file when the one before it ends. [`into_std`](Self::into_std) leaves the file: for a listener
    /// that another process is to go on with.
    ///
    /// A process that is killed leaves its file, and nobody can bind to the path before it is removed.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) where there is a file already; it says whether a socket is bound to it,
    /// or the file is left over and can be removed. No such directory; not permitted; the path is too long (108 bytes on
    /// Linux).
    ///
    /// # Examples
    ///
    /// See [`UnixListener`].
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
    /// # if !cfg!(target_os = "linux") { return Ok(()); }
    /// use std::os::linux::net::SocketAddrExt;
    ///
    /// use pollywog_net::UnixListener;
    /// use pollywog_net::unix::SocketAddr;
    ///
    /// let addr = SocketAddr::from_abstract_name(format!("example-{}", std::process::id()))?;
    /// let listener = UnixListener::bind_addr(&addr)?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), addr.as_abstract_name());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        let (listener, file) = file::bind(addr, mio::net::UnixListener::bind_addr)?;
        Ok(Self { file, source: Source::new(listener), polled: PolledBackoff::default() })
    }

    /// Takes the next connection off the queue, and gives it with the client's address, which seldom has a name.
    ///
    /// Trouble that passes is not reported, as in [`TcpListener::accept`](crate::TcpListener::accept).
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
    /// See [`UnixListener`].
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let waiter = Waiter::new(Direction::Read);
        let mut backoff = Backoff::new();
        poll_fn(|cx| self.poll_accept_with(cx, Some(&waiter), &mut backoff)).await
    }

    /// The connections as a stream that never ends; each item is as of [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use futures::StreamExt;
    /// use pollywog_net::{UnixListener, UnixStream};
    ///
    /// # let path = std::env::temp_dir().join(format!("pollywog-incoming-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path).await?;
    /// let stream = listener.incoming().next().await.expect("it never ends")?;
    /// assert_eq!(stream.local_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
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
    /// # use pollywog_net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("pollywog-accept-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path).await?;
    /// let (stream, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.polled.with(|backoff| self.poll_accept_with(cx, None, backoff))
    }

    /// Without waiting.
    pub(crate) fn try_accept(&self) -> Attempt<(UnixStream, SocketAddr)> {
        try_accept(&self.source, |io| io.accept().map(|(stream, peer)| (UnixStream::new(stream), peer)))
    }

    fn poll_accept_with(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        backoff: &mut Backoff,
    ) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = poll_accept(&self.source, cx, waiter, backoff, mio::net::UnixListener::accept);
        accepted.map_ok(|(stream, peer)| (UnixStream::new(stream), peer))
    }

    /// Takes a listener of std's, and makes it non-blocking: one that was inherited, say. Its file is left alone when the
    /// listener is dropped.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("pollywog-from-std-{}", std::process::id()));
    /// let listener = UnixListener::from_std(std::os::unix::net::UnixListener::bind(&path)?)?;
    /// drop(listener);
    /// std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let source = Source::new(mio::net::UnixListener::from_std(listener));
        Ok(Self { file: SocketFile::default(), source, polled: PolledBackoff::default() })
    }

    /// Gives the listener to std, registered nowhere. It is still non-blocking. Its file stays.
    ///
    /// # Errors
    ///
    /// None yet; the signature is tokio's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("pollywog-into-std-{}", std::process::id()));
    /// let listener: std::os::unix::net::UnixListener = UnixListener::bind(&path)?.into_std()?;
    /// drop(listener);
    /// std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_std(mut self) -> io::Result<std::os::unix::net::UnixListener> {
        self.file.keep();
        Ok(OwnedFd::from(self.source.into_io()).into())
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("pollywog-local-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(())
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
    /// # use pollywog_net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("pollywog-error-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// assert!(listener.take_error()?.is_none());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// The stream of [`UnixListener::incoming`].
///
/// As every `poll_*`, it keeps the waker of the task that polled last.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
    backoff: Backoff,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let accepted = this.listener.poll_accept_with(cx, None, &mut this.backoff);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
