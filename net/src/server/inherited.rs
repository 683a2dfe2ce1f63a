//! Listening sockets that the process was started with.

use std::io;
use std::mem;
use std::net;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, RawFd};
use std::os::unix::net as unix;
use std::sync::atomic::{AtomicBool, Ordering};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::{TcpListener, UnixListener};

/// Set by the first [`Inherited::from_env`]: a descriptor has one owner.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The listening sockets that the process was started with, in the order in which they were given: systemd gives those
/// of one unit in the order of its file, and those of several units in none (`sd_listen_fds(3)`). Names are not read.
///
/// A service manager opens them, and says in the environment how many there are (`LISTEN_FDS`, from descriptor 3 on) and
/// for whom (`LISTEN_PID`): systemd does, and `systemd-socket-activate` for a try. They are open before the server runs
/// and after it has ended, so a restart refuses nobody: who comes meanwhile waits in the queue.
///
/// What is not taken is closed when this is dropped. What is of no use is left as it is: no socket, or one that does not
/// listen.
///
/// # Examples
///
/// ```no_run
/// use std::io;
/// use pollywog_net::{TcpListener, server::{Connection, Inherited, Server}};
///
/// fn main() -> io::Result<()> {
///     let mut inherited = Inherited::from_env();
///     pollywog_net::run(async move {
///         let listener = match inherited.tcp(0)? {
///             Some(listener) => listener,
///             None => TcpListener::bind("127.0.0.1:7007").await?,
///         };
///         Server::new(listener).serve(async |_: Connection| Ok(())).await
///     })?
/// }
/// ```
///
/// Try it with `systemd-socket-activate -l 7007 PROGRAM`, which starts the program when the first client comes.
///
/// A socket that arrives over another, from a server that hands over its own, is a descriptor that was
/// [passed](crate::UnixStream::recv_with_fds):
///
/// ```
/// # #[cfg(feature = "rustix")]
/// # pollywog_net::run(async {
/// use pollywog_net::{TcpListener, UnixStream, server::Server};
/// # use std::os::fd::AsFd;
/// # let (old, new) = UnixStream::pair()?;
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # old.send_with_fds(b"x", &[listener.as_fd()]).await?;
///
/// let mut fds = Vec::new();
/// new.recv_with_fds(&mut [0], &mut fds).await?;
/// let server = Server::new(TcpListener::from_std(fds.remove(0).into())?);
/// # assert_eq!(server.listener().local_addr()?, listener.local_addr()?);
/// # std::io::Result::Ok(()) }).unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct Inherited {
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    fd: RawFd,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(net::TcpListener),
    Unix(unix::UnixListener),
    /// Of no use, being what the text says.
    Other(&'static str),
    Taken,
}

impl Inherited {
    /// Takes those that the environment speaks of. There is none where it says nothing, and where it speaks of another
    /// process (`LISTEN_PID`). Without that variable they are taken, as they are not by `sd_listen_fds(3)`. From then on
    /// those that can be served are closed in programs that this process starts (`CLOEXEC`).
    ///
    /// Call it at the beginning of `main`: it takes the variables out of the environment, which no other thread may read
    /// meanwhile, and believes what they say of descriptors. What they say is said once: later calls find nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_net::server::Inherited;
    ///
    /// assert_eq!(Inherited::from_env().len(), 0, "nobody has given anything to this example");
    /// ```
    pub fn from_env() -> Self {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Self { given: Vec::new() };
        }
        let mut env = ListenFd::from_env();
        Self { given: (0..env.len()).filter_map(|index| Given::take(&mut env, index)).collect() }
    }

    /// How many there were, those included that were taken since and those that are of no use.
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Takes the TCP socket at `index`, from 0 on. `None` where there is no such index, and where it was taken before.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where the descriptor is something else: no socket, one that does not
    /// listen, one of another family. It stays in its place.
    ///
    /// # Examples
    ///
    /// See [`Inherited`].
    pub fn tcp(&mut self, index: usize) -> io::Result<Option<TcpListener>> {
        let Some(given) = self.given.get_mut(index) else { return Ok(None) };
        match mem::replace(&mut given.socket, Socket::Taken) {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Some),
            Socket::Taken => Ok(None),
            other => Err(given.put_back(other)),
        }
    }

    /// Takes the Unix socket at `index`, as [`tcp`](Self::tcp) does one of TCP. Dropping the listener leaves its file to
    /// who has made it.
    ///
    /// # Errors
    ///
    /// As [`tcp`](Self::tcp).
    ///
    /// # Examples
    ///
    /// As [`Inherited`].
    pub fn unix(&mut self, index: usize) -> io::Result<Option<UnixListener>> {
        let Some(given) = self.given.get_mut(index) else { return Ok(None) };
        match mem::replace(&mut given.socket, Socket::Taken) {
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Some),
            Socket::Taken => Ok(None),
            other => Err(given.put_back(other)),
        }
    }
}

impl Given {
    fn take(env: &mut ListenFd, index: usize) -> Option<Self> {
        if let Ok(Some(socket)) = env.take_tcp_listener(index) {
            return Some(Self::of(socket, Socket::Tcp));
        }
        if let Ok(Some(socket)) = env.take_unix_listener(index) {
            return Some(Self::of(socket, Socket::Unix));
        }
        let fd = env.take_raw_fd(index).ok()??;
        Some(Self { fd, socket: Socket::Other("no socket that accepts connections, of TCP or Unix") })
    }

    fn of<S: AsFd + IntoRawFd>(socket: S, kind: fn(S) -> Socket) -> Self {
        let fd = socket.as_fd().as_raw_fd();
        if listens(&SockRef::from(&socket)) {
            return Self { fd, socket: kind(socket) };
        }
        // It is not closed: somebody else may use it.
        let _ = socket.into_raw_fd();
        Self { fd, socket: Socket::Other("a socket that does not listen") }
    }

    /// Says what it is, which is not what was asked for.
    fn put_back(&mut self, socket: Socket) -> io::Error {
        let what = match &socket {
            Socket::Tcp(_) => "a TCP socket, and no Unix socket",
            Socket::Unix(_) => "a Unix socket, and none of TCP",
            Socket::Other(what) => what,
            Socket::Taken => "taken",
        };
        let text = format!("descriptor {}, which the process was started with (LISTEN_FDS), is {what}", self.fd);
        self.socket = socket;
        io::Error::new(io::ErrorKind::InvalidInput, text)
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn listens(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// Elsewhere accepting tells.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn listens(_: &SockRef<'_>) -> bool {
    true
}
