//! A TCP socket that is not yet connected and does not yet listen: where options are set.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::connect::EINPROGRESS;
use super::stream::connected;
use super::{TcpListener, TcpStream};

/// A TCP socket on which options can be set before it listens or connects.
///
/// What has no method here is set with [`socket2::SockRef::from`](https://docs.rs/socket2).
///
/// # Examples
///
/// ```
/// # pollywog_net::run(async {
/// use pollywog_net::TcpSocket;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_recv_buffer_size(64 * 1024)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// let stream = socket.connect(listener.local_addr()?).await?;
/// assert!(stream.nodelay()?);
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    ///
    /// # Examples
    ///
    /// See [`TcpSocket`].
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left, or no IPv6.
    ///
    /// # Examples
    ///
    /// As [`new_v4`](Self::new_v4).
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    pub(crate) fn for_addr(addr: SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(addr))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        // Non-blocking and not inherited, set in ways that every system has.
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Takes a socket of std's type, which is non-blocking from now on: one that was made and set elsewhere, and is not
    /// yet connected.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use pollywog_net::TcpSocket;
    /// use socket2::{Domain, Socket, Type};
    ///
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    /// socket.set_keepalive(true)?; // or what only socket2 has
    /// let socket = TcpSocket::from_std_stream(socket.into())?;
    /// assert!(socket.keepalive()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn from_std_stream(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { socket: stream.into() })
    }

    /// Gives the socket its own address. Port 0 has the system pick one.
    ///
    /// # Errors
    ///
    /// In use, not of this machine, not permitted.
    ///
    /// # Examples
    ///
    /// See [`TcpSocket`].
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.bind(&addr.into())
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Refused, unreachable, timed out, no port left (`EADDRNOTAVAIL`). There is no time limit of our own: see
    /// [`timeout`](crate::time::timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the descriptor.
    ///
    /// # Examples
    ///
    /// See [`TcpSocket`].
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        match self.socket.connect(&addr.into()) {
            // Under way with the first write, where an option has it so (`TCP_FASTOPEN_CONNECT`): no event comes before.
            Ok(()) => TcpStream::from_std(self.socket.into()),
            Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {
                connected(TcpStream::from_std(self.socket.into())?).await
            }
            Err(error) => Err(error),
        }
    }

    /// Starts to listen. The system keeps up to `backlog` connections that are not yet accepted, or its own limit where
    /// that is smaller (`net.core.somaxconn`, 4,096 on Linux).
    ///
    /// # Errors
    ///
    /// When the address is in use.
    ///
    /// # Examples
    ///
    /// See [`TcpSocket`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(self.socket.into())
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::TcpSocket;
    /// let socket = TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("the socket is none of TCP"))
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
    /// # use pollywog_net::TcpSocket;
    /// assert!(TcpSocket::new_v4()?.take_error()?.is_none());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

/// Pairs of methods that set an option and ask for it.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:literal, $get:ident, $set:ident, $type:ty, $value:literal, $check:literal,
       |$socket:ident| $ask:expr, |$new:ident| $change:expr;)+) => {
        impl TcpSocket {$(
            $(#[doc = $doc])+
            ///
            /// # Errors
            ///
            /// When the system refuses.
            ///
            /// # Examples
            ///
            /// ```
            /// # use pollywog_net::TcpSocket;
            /// let socket = TcpSocket::new_v4()?;
            #[doc = concat!("socket.", stringify!($set), "(", $value, ")?;")]
            #[doc = concat!("assert!(socket.", stringify!($get), "()?", $check, ");")]
            /// # std::io::Result::Ok(())
            /// ```
            pub fn $set(&self, $new: $type) -> io::Result<()> {
                let $socket = &self.socket;
                $change
            }

            #[doc = concat!("What [`", stringify!($set), "`](Self::", stringify!($set), ") has set (", $name, ").")]
            ///
            /// # Errors
            ///
            /// When the system does not say.
            ///
            /// # Examples
            ///
            #[doc = concat!("See [`", stringify!($set), "`](Self::", stringify!($set), ").")]
            pub fn $get(&self) -> io::Result<$type> {
                let $socket = &self.socket;
                $ask
            }
        )+}
    };
}

options! {
    /// Lets a server that is started again bind its address at once, though old connections of it are still dying
    /// (`SO_REUSEADDR`). [`TcpListener::bind`] does it.
    "`SO_REUSEADDR`", reuseaddr, set_reuseaddr, bool, "true", "",
        |socket| socket.reuse_address(), |reuse| socket.set_reuse_address(reuse);
    /// Lets several sockets listen on one address, which each of them must set (`SO_REUSEPORT`). Linux spreads the
    /// connections over them.
    "`SO_REUSEPORT`", reuseport, set_reuseport, bool, "true", "",
        |socket| socket.reuse_port(), |reuse| socket.set_reuse_port(reuse);
    /// Has small writes sent at once rather than gathered (`TCP_NODELAY`). What a listener accepts inherits it on Linux.
    "`TCP_NODELAY`", nodelay, set_nodelay, bool, "true", "",
        |socket| socket.tcp_nodelay(), |nodelay| socket.set_tcp_nodelay(nodelay);
    /// Has a peer that is silent asked whether it is still there (`SO_KEEPALIVE`): after two hours, unless
    /// [`set_keepalive_times`](Self::set_keepalive_times) says otherwise.
    "`SO_KEEPALIVE`", keepalive, set_keepalive, bool, "true", "",
        |socket| socket.keepalive(), |keepalive| socket.set_keepalive(keepalive);
    /// Sets the size of the buffer for what is not yet sent, in bytes (`SO_SNDBUF`). Linux doubles it, and from then
    /// on does not adapt it.
    "`SO_SNDBUF`", send_buffer_size, set_send_buffer_size, u32, "65_536", " >= 65_536",
        |socket| socket.send_buffer_size().map(small), |size| socket.set_send_buffer_size(size as usize);
    /// Sets the size of the buffer for what is not yet read, in bytes (`SO_RCVBUF`). Linux doubles it, and from then on
    /// does not adapt it. What a listener accepts inherits it.
    "`SO_RCVBUF`", recv_buffer_size, set_recv_buffer_size, u32, "65_536", " >= 65_536",
        |socket| socket.recv_buffer_size().map(small), |size| socket.set_recv_buffer_size(size as usize);
    /// Sets how many routers a packet of IPv4 may pass (`IP_TTL`).
    "`IP_TTL`", ttl, set_ttl, u32, "12", " == 12",
        |socket| socket.ttl_v4(), |ttl| socket.set_ttl_v4(ttl);
}

impl TcpSocket {
    /// Has a silent peer asked after `idle`, and again each `interval` (whole seconds); turns
    /// [keepalive](Self::set_keepalive) on.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::set_keepalive_times`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::{TcpSocket, time::Duration};
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_keepalive_times(Duration::from_secs(60), Duration::from_secs(10))?;
    /// assert!(socket.keepalive()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_keepalive_times(&self, idle: Duration, interval: Duration) -> io::Result<()> {
        self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval))
    }

    /// Has closing reset the connection (`SO_LINGER` of zero): see [`TcpStream::set_zero_linger`].
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::{TcpSocket, time::Duration};
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_zero_linger()?;
    /// assert_eq!(socket.linger()?, Some(Duration::ZERO));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// How long closing waits for what is not yet sent (`SO_LINGER`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`set_zero_linger`](Self::set_zero_linger).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Binds the socket to a network device, by name (`SO_BINDTODEVICE`); `None` undoes it.
    ///
    /// # Errors
    ///
    /// When there is no such device, or when it is not permitted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use pollywog_net::TcpSocket;
    /// let socket = TcpSocket::new_v4()?;
    /// socket.bind_device(Some(b"eth0"))?;
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    pub fn bind_device(&self, device: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(device)
    }
}

/// What the system gives is an `int`.
fn small(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
