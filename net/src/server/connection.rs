//! A connection as its handler has it.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};
use pollywog_executor::cancel::CancelToken;

use crate::{TcpStream, UnixStream};

/// A stream that a [`Listener`](super::Listener) accepts: [`TcpStream`], [`UnixStream`].
pub trait Accepted: fmt::Debug + Send + Unpin + 'static {
    /// What names the other end.
    type Addr: fmt::Debug + Clone + Send + Unpin + 'static;
}

impl Accepted for TcpStream {
    type Addr = std::net::SocketAddr;
}

impl Accepted for UnixStream {
    type Addr = crate::unix::SocketAddr;
}

/// What the server watches of a connection. Relaxed: it is looked at after the poll in which it was written, by the
/// same thread in most cases.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// A byte was moved since the server last looked.
    moved: AtomicBool,
    /// The stream was taken out: nothing is known of it any more.
    untracked: AtomicBool,
}

impl Activity {
    /// Whether the connection did something since the last call.
    pub(super) fn take(&self) -> bool {
        let moved = self.moved.load(Ordering::Relaxed);
        if moved {
            self.moved.store(false, Ordering::Relaxed);
        }
        moved
    }

    pub(super) fn is_untracked(&self) -> bool {
        self.untracked.load(Ordering::Relaxed)
    }
}

/// A connection that a [`Server`](super::Server) accepted: the stream, its peer, and the token that tells of the end.
///
/// It is an `AsyncRead` and `AsyncWrite` of `futures::io`, also by reference, so that one part of a handler can read
/// while another writes. What is read and written through it keeps it from being [idle](super::Server::idle_timeout).
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
///
/// async fn greet(mut connection: Connection) -> std::io::Result<()> {
///     let peer = *connection.peer();
///     connection.write_all(format!("hello, {peer}").as_bytes()).await?;
///     connection.close().await
/// }
///
/// pollywog_net::run(async {
///     let server = Server::bind("127.0.0.1:0").await?;
///     let addr = server.listener().local_addr()?;
///     spawn(server.serve(greet));
///     let mut client = TcpStream::connect(addr).await?;
///     let mut greeting = String::new();
///     client.read_to_string(&mut greeting).await?;
///     assert_eq!(greeting, format!("hello, {}", client.local_addr()?));
///     Ok(())
/// })?
/// # }
/// ```
pub struct Connection<S: Accepted = TcpStream> {
    stream: S,
    peer: S::Addr,
    shutdown: CancelToken,
    /// `None` where no time limit depends on it.
    activity: Option<Arc<Activity>>,
}

impl<S: Accepted> Connection<S> {
    pub(super) fn new(stream: S, peer: S::Addr, shutdown: CancelToken, activity: Option<Arc<Activity>>) -> Self {
        Self { stream, peer, shutdown, activity }
    }

    /// The other end, as `accept` gave it: also where the connection is broken by now.
    pub fn peer(&self) -> &S::Addr {
        &self.peer
    }

    /// Is cancelled when the server shuts down: finish what was begun, and begin nothing more. What still runs at the
    /// server's [deadline](super::Server::drain_timeout) is dropped where it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
    ///
    /// async fn echo(mut connection: Connection) -> std::io::Result<()> {
    ///     let shutdown = connection.shutdown_token().clone();
    ///     let mut buffer = [0; 1024];
    ///     // Only between two messages does it end, so none is lost.
    ///     while let Some(count) = shutdown.run_until_cancelled(connection.read(&mut buffer)).await {
    ///         match count? {
    ///             0 => break,
    ///             count => connection.write_all(&buffer[..count]).await?,
    ///         }
    ///     }
    ///     connection.write_all(b"bye").await
    /// }
    ///
    /// pollywog_net::run(async {
    ///     let server = Server::bind("127.0.0.1:0").await?;
    ///     let addr = server.listener().local_addr()?;
    ///     let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    ///     let serving = spawn(server.serve_until(stopped, echo));
    ///     let mut client = TcpStream::connect(addr).await?;
    ///     client.write_all(b"ping").await?;
    ///     let mut answer = [0; 4];
    ///     client.read_exact(&mut answer).await?;
    ///     drop(stop);
    ///     let mut rest = String::new();
    ///     client.read_to_string(&mut rest).await?;
    ///     assert_eq!((&answer, &*rest), (b"ping", "bye"));
    ///     assert!(serving.await??.is_complete());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn shutdown_token(&self) -> &CancelToken {
        &self.shutdown
    }

    /// The stream, for its options and addresses. What is read and written on it there does not count as activity.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream alone: to be handed to another core, say. The server's idle timeout does not apply to this connection
    /// any more; it ends with its handler all the same, for the server's limit and timeouts.
    pub fn into_inner(self) -> S {
        if let Some(activity) = &self.activity {
            activity.untracked.store(true, Ordering::Relaxed);
        }
        self.stream
    }

    /// So many bytes were moved.
    #[inline]
    fn note(&self, count: usize) {
        if let Some(activity) = &self.activity
            && count > 0
        {
            activity.moved.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    fn noted(&self, moved: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = moved {
            self.note(count);
        }
        moved
    }
}

/// The methods that both kinds of stream have, with their activity noted.
macro_rules! byte_methods {
    ($stream:ident) => {
        impl Connection<$stream> {
            #[doc = concat!("As [`", stringify!($stream), "::read_with`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::read_with`].")]
            ///
            /// # Cancel safety
            ///
            #[doc = concat!("As [`", stringify!($stream), "::read_with`].")]
            pub fn read_with<R>(
                &self,
                borrow: impl FnOnce(&[u8]) -> (usize, R),
            ) -> impl Future<Output = io::Result<Option<R>>> {
                self.stream.read_with(move |bytes| {
                    self.note(bytes.len());
                    borrow(bytes)
                })
            }

            #[doc = concat!("As [`", stringify!($stream), "::poll_read_with`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::read_with`].")]
            #[inline]
            pub fn poll_read_with<R>(
                &self,
                cx: &mut Context<'_>,
                borrow: impl FnOnce(&[u8]) -> (usize, R),
            ) -> Poll<io::Result<Option<R>>> {
                self.stream.poll_read_with(cx, |bytes| {
                    self.note(bytes.len());
                    borrow(bytes)
                })
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_read`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_read`].")]
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buffer).inspect(|count| self.note(*count))
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_write`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_write`].")]
            pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
                self.stream.try_write(buffer).inspect(|count| self.note(*count))
            }
        }
    };
}

byte_methods!(TcpStream);
byte_methods!(UnixStream);

impl<S: Accepted> AsyncRead for &Connection<S>
where
    for<'a> &'a S: AsyncRead,
{
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.noted(Pin::new(&mut &self.stream).poll_read(cx, buffer))
    }

    #[inline]
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.noted(Pin::new(&mut &self.stream).poll_read_vectored(cx, buffers))
    }
}

impl<S: Accepted> AsyncWrite for &Connection<S>
where
    for<'a> &'a S: AsyncWrite,
{
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.noted(Pin::new(&mut &self.stream).poll_write(cx, buffer))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.noted(Pin::new(&mut &self.stream).poll_write_vectored(cx, buffers))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.stream).poll_close(cx)
    }
}

impl<S: Accepted + AsyncRead> AsyncRead for Connection<S> {
    #[inline(always)]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.noted(moved)
    }

    #[inline(always)]
    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_read_vectored(cx, buffers);
        self.noted(moved)
    }
}

impl<S: Accepted + AsyncWrite> AsyncWrite for Connection<S> {
    #[inline(always)]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.noted(moved)
    }

    #[inline(always)]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.noted(moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

impl<S: Accepted> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).field("stream", &self.stream).finish_non_exhaustive()
    }
}
