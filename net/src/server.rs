//! A server that survives: what the Internet does to it, and its own end.
//!
//! [`Server`] accepts, and spawns a handler for each [`Connection`]. It keeps to a limit of connections, ends those that
//! take too long, counts what happens, and shuts down so that nobody loses a request.
//!
//! # How it ends
//!
//! When the future that was given to [`Server::serve_until`] is ready:
//!
//! 1. the [status](Status::is_draining) says so, and for the [delay](Server::drain_delay) nothing else changes;
//! 2. what stands in the accept queue is accepted: a listener that is closed before resets it;
//! 3. the listener is closed;
//! 4. what was accepted is given to the handler; with as many as the [limit](Server::max_connections) allows, the rest
//!    waits until others have ended;
//! 5. the [token](Connection::shutdown_token) of every connection is cancelled, when its handler has been polled once;
//! 6. handlers have until the [deadline](Server::drain_timeout), counted from the end of the delay;
//! 7. those that still run are dropped where they wait, and [reported](Drained).
//!
//! Where no descriptor is left in the second step, those that run are told at once, so that they make room.
//!
//! # Restarting without losing anybody
//!
//! The steps above lose nobody who has connected. Who connects next has to find somebody, which takes one of these:
//!
//! - **The socket outlives the process.** A service manager holds it, and each process inherits it (`Inherited`, feature
//!   `listenfd`), or the old process passes it to the new one over a Unix socket. Both may accept at once, and where
//!   neither runs, whoever comes waits in the queue. Nothing has to be told to anybody.
//! - **A load balancer sends them elsewhere.** It asks each of several servers whether it is ready, on a page of its own,
//!   which looks at [`Status::is_draining`]; and [`drain_delay`](Server::drain_delay) gives it the time to hear a no.
//! - **Both processes listen on one address** (`SO_REUSEPORT`:
//!   [`TcpSocket::set_reuseport`](crate::TcpSocket::set_reuseport)). This loses somebody now and then, unless
//!   `net.ipv4.tcp_migrate_req` is 1 (Linux 5.14 and newer): the kernel gives each listener a queue, and resets what comes
//!   into that of the old one between its last accept and its close.
//!
//! A connection that is open is another matter: its protocol needs a word for 'this answer is the last one', and a client
//! that has just asked must not be cut off. HTTP has both, and `http::Http` (feature `http`) does them.

mod attend;
mod connection;
mod crowd;
mod drain;
#[cfg(feature = "listenfd")]
mod inherited;
mod listener;
mod running;
mod status;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pollywog_executor::cancel::CancelToken;

use self::attend::Limits;
pub use self::connection::{Accepted, Connection};
use self::crowd::Crowd;
pub use self::crowd::Left;
pub use self::drain::Drained;
#[cfg(feature = "listenfd")]
pub use self::inherited::Inherited;
pub use self::listener::Listener;
use self::running::Running;
pub use self::status::Status;
use crate::TcpListener;
use crate::addr::ToSocketAddrs;

/// The address of the other end of what `L` accepts.
pub type Addr<L> = <<L as Listener>::Stream as Accepted>::Addr;

type Admit<L> = Box<dyn FnMut(&<L as Listener>::Stream, &Addr<L>) -> bool>;

/// How long a shutdown waits, unless told otherwise.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Accepts connections, and runs a handler for each.
///
/// Trouble in accepting that passes is no error, and does not spin: see [`TcpListener::accept`].
///
/// # Examples
///
/// ```no_run
/// use std::{io, time::Duration};
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::{server::{Connection, Server}, signal};
///
/// async fn echo(mut connection: Connection) -> io::Result<()> {
///     let mut buffer = [0; 4096];
///     loop {
///         match connection.read(&mut buffer).await? {
///             0 => return Ok(()),
///             count => connection.write_all(&buffer[..count]).await?,
///         }
///     }
/// }
///
/// fn main() -> io::Result<()> {
///     pollywog_net::run(async {
///         let server = Server::bind("127.0.0.1:7007").await?;
///         let server = server.max_connections(10_000).idle_timeout(Duration::from_secs(60));
///         let drained = server.serve_until(signal::ctrl_c(), echo).await?;
///         for left in drained.left() {
///             eprintln!("{} was cut off after {:?}", left.peer, left.age);
///         }
///         Ok(())
///     })?
/// }
/// ```
#[must_use = "a server does nothing until `serve`"]
pub struct Server<L: Listener = TcpListener> {
    listener: L,
    max_connections: usize,
    limits: Limits,
    drain_delay: Duration,
    drain_timeout: Duration,
    admit: Option<Admit<L>>,
    status: Status,
}

impl Server {
    /// Listens on `addr`, as [`TcpListener::bind`].
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// As [`TcpListener::bind`].
    ///
    /// # Examples
    ///
    /// See [`Server`].
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(addr).await?))
    }
}

impl<L: Listener> Server<L> {
    /// A server on a listener that is there: of another address family, with options of its own, or inherited.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use futures::AsyncReadExt;
    /// use pollywog_net::{UnixListener, UnixStream, server::{Connection, Server}, spawn};
    ///
    /// # let path = std::env::temp_dir().join(format!("pollywog-server-{}", std::process::id()));
    /// let server = Server::new(UnixListener::bind(&path)?);
    /// spawn(server.serve(async |connection: Connection<UnixStream>| connection.try_write(b"hello").map(drop)));
    /// let mut greeting = String::new();
    /// UnixStream::connect(&path).await?.read_to_string(&mut greeting).await?;
    /// assert_eq!(greeting, "hello");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn new(listener: L) -> Self {
        Self {
            listener,
            max_connections: usize::MAX,
            limits: Limits::default(),
            drain_delay: Duration::ZERO,
            drain_timeout: DRAIN_TIMEOUT,
            admit: None,
            status: Status(Arc::default()),
        }
    }

    /// What it listens on: for its address, say.
    pub fn listener(&self) -> &L {
        &self.listener
    }

    /// How many connections it serves at once (no limit but that of the descriptors). With so many it stops accepting:
    /// further ones wait in the kernel's queue until others have ended.
    ///
    /// # Examples
    ///
    /// See [`Server`].
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// Ends a connection on which nothing was read or written for so long (never). It is exact: the time runs from the
    /// last poll of the handler in which a byte moved. A peer that sends nothing, or takes nothing of what it asked for,
    /// is idle, and so is a handler that waits for something else meanwhile.
    ///
    /// # Examples
    ///
    /// See [`Server`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle = Some(timeout);
        self
    }

    /// Ends a connection after so long, whatever it does (never). It is what stops a peer that sends a byte now and then.
    ///
    /// # Examples
    ///
    /// See [`Server`].
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.limits.total = Some(timeout);
        self
    }

    /// How long a server that is told to stop goes on as before (not at all), while its [status](Status::is_draining) says
    /// that it drains: so that a load balancer that asks a page of it has heard, and sends nobody any more, when the
    /// listener closes. It should be longer than the time between as many of its questions as it needs.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use futures::AsyncReadExt;
    /// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
    /// # use pollywog_net::task::yield_now;
    ///
    /// pollywog_net::run(async {
    ///     let server = Server::bind("127.0.0.1:0").await?.drain_delay(Duration::from_millis(100));
    ///     let (addr, status) = (server.listener().local_addr()?, server.status());
    ///     let health = status.clone();
    ///     let page = move |connection: Connection| {
    ///         let answer = if health.is_draining() { "503" } else { "200" };
    ///         async move { connection.try_write(answer.as_bytes()).map(drop) }
    ///     };
    ///     let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    ///     let serving = spawn(server.serve_until(stopped, page));
    ///     drop(stop);
    ///     # while !status.is_draining() { yield_now().await; }
    ///     let mut answer = String::new();
    ///     TcpStream::connect(addr).await?.read_to_string(&mut answer).await?;
    ///     assert_eq!(answer, "503", "it is still there, and says that it goes");
    ///     assert!(serving.await??.is_complete());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// How long a shutdown waits for the handlers (30 seconds), from the end of the [delay](Self::drain_delay) on. With
    /// [`Duration::ZERO`] it waits for nobody.
    ///
    /// # Examples
    ///
    /// See [`Drained`].
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    #[cfg(feature = "http")]
    pub(crate) fn get_drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// Asks `admit` about each connection before it is served: where it says `false`, the connection is closed at once.
    /// Its panic is that of the connection's handler.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use futures::AsyncReadExt;
    /// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
    ///
    /// let server = Server::bind("127.0.0.1:0").await?.admit(|_stream, peer| !peer.ip().is_loopback());
    /// let (status, addr) = (server.status(), server.listener().local_addr()?);
    /// spawn(server.serve(async |_: Connection| Ok(())));
    /// assert_eq!(TcpStream::connect(addr).await?.read(&mut [0]).await?, 0);
    /// assert_eq!((status.rejected(), status.accepted()), (1, 0));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn admit(mut self, admit: impl FnMut(&L::Stream, &Addr<L>) -> bool + 'static) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    /// What the server says of itself, while it runs and after.
    ///
    /// # Examples
    ///
    /// See [`Status`].
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// As [`serve_until`](Self::serve_until), without an end.
    ///
    /// # Errors
    ///
    /// As [`serve_until`](Self::serve_until).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_until`](Self::serve_until).
    ///
    /// # Examples
    ///
    /// See [`Connection`].
    pub async fn serve<H, F>(self, handler: H) -> io::Result<()>
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        self.serve_until(pending::<()>(), handler).await.map(drop)
    }

    /// Runs `handler` for each connection, until `shutdown` is ready; then it shuts down [as described](self#how-it-ends).
    ///
    /// The handler's future is a task of its own, named after the peer, and is polled in a `tracing` span `connection`.
    /// Its error ends the connection, and is counted, and told at the level `DEBUG`; a panic ends the connection, and is
    /// counted, and reported as that of any task.
    ///
    /// # Errors
    ///
    /// When [`max_connections`](Self::max_connections) is zero; when the listener is broken. In the second case the
    /// connections are drained all the same before it returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener, cancels the [token](Connection::shutdown_token) of every connection, and
    /// aborts the handlers.
    ///
    /// # Examples
    ///
    /// See [`Server`] and [`Drained`].
    pub async fn serve_until<H, F>(self, shutdown: impl Future, mut handler: H) -> io::Result<Drained<Addr<L>>>
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        if self.max_connections == 0 {
            let text = "a server with max_connections(0) serves nobody: allow it one at least";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut running = Running {
            crowd: Crowd::new(self.status.0.clone()),
            shutdown: CancelToken::new(),
            max_connections: self.max_connections,
            limits: self.limits,
            admit: self.admit,
            numbers: 0,
        };
        let mut shutdown = pin!(shutdown);
        let stopped = poll_fn(|cx| match shutdown.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => running.poll_serve(cx, &self.listener, &mut handler).map(Err),
        });
        let mut stopped = stopped.await;
        running.announce_end();
        if stopped.is_ok() {
            stopped = running.go_on(&self.listener, self.drain_delay, &mut handler).await;
        }
        let drained = running.drain(self.listener, stopped.is_ok(), self.drain_timeout, &mut handler).await;
        stopped.map(|()| drained)
    }
}

impl<L: Listener> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, max_connections, limits, drain_delay, drain_timeout, admit: _, status } = self;
        f.debug_struct("Server")
            .field("listener", listener)
            .field("max_connections", max_connections)
            .field("limits", limits)
            .field("drain_delay", drain_delay)
            .field("drain_timeout", drain_timeout)
            .field("status", status)
            .finish_non_exhaustive()
    }
}
