//! A UDP socket: how it comes and goes, and whom it talks to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::addr::{ToSocketAddrs, resolve};
use crate::readiness::readiness_methods;
use crate::source::{Io, Source};

impl Io for mio::net::UdpSocket {
    // A datagram ends a read, whether another one is behind it or not.
    const SHORT_MEANS_DRAINED: bool = false;
}

/// A UDP socket.
///
/// It talks to anybody with [`send_to`](Self::send_to) and [`recv_from`](Self::recv_from), or, once it is
/// [connected](Self::connect), to one peer with [`send`](Self::send) and [`recv`](Self::recv). The unit is the
/// datagram: it arrives whole, twice, late, or not at all, and may be empty.
///
/// Every method takes `&self`: any number of tasks may send and receive through one socket, and each datagram goes to
/// one of them. The `poll_*` methods keep the waker of the task that polled last, one for sending and one for receiving.
/// It is `Send` and `Sync`: one thread may send and another receive. Two threads that receive (or send) at once are a
/// mistake: the second takes the direction over, and the first gets an error.
///
/// Options that have no method here are set with [`socket2::SockRef::from`](https://docs.rs/socket2); those that come
/// before [`bind`](Self::bind), such as `SO_REUSEADDR`, on a socket of that crate's, for [`from_std`](Self::from_std).
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use pollywog_net::UdpSocket;
///
/// pollywog_net::run(async {
///     let server = UdpSocket::bind("127.0.0.1:0").await?;
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///     client.send_to(b"ping", server.local_addr()?).await?;
///
///     let mut buffer = [0; 1500];
///     let (count, peer) = server.recv_from(&mut buffer).await?;
///     assert_eq!((&buffer[..count], peer), (&b"ping"[..], client.local_addr()?));
///     Ok(())
/// })?
/// # }
/// ```
pub struct UdpSocket {
    pub(super) source: Source<mio::net::UdpSocket>,
}

impl UdpSocket {
    /// A socket with the first of the addresses that can be had. Port 0 has the system pick one: see
    /// [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// That of the last address: in use, not of this machine, not permitted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound before the poll that gives the socket.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = mio::net::UdpSocket::bind(addr);
            if result.is_ok() {
                break;
            }
        }
        Ok(Self { source: Source::new(result?) })
    }

    /// Takes a socket of std's, and makes it non-blocking: one that was inherited, or needed an option before it was
    /// bound.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use pollywog_net::UdpSocket;
    /// use socket2::{Domain, Socket, Type};
    ///
    /// let receiver = || {
    ///     let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    ///     socket.set_reuse_port(true)?; // several sockets share the port
    ///     Ok::<_, std::io::Error>(socket)
    /// };
    /// let first = receiver()?;
    /// first.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into())?;
    /// let second = receiver()?;
    /// second.bind(&first.local_addr()?)?;
    /// let first = UdpSocket::from_std(first.into())?;
    /// let second = UdpSocket::from_std(second.into())?;
    /// assert_eq!(first.local_addr()?, second.local_addr()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { source: Source::new(mio::net::UdpSocket::from_std(socket)) })
    }

    /// Gives the socket to std, registered nowhere. It is still non-blocking.
    ///
    /// # Errors
    ///
    /// None yet; the signature is tokio's.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let socket: std::net::UdpSocket = socket.into_std()?;
    /// socket.set_nonblocking(false)?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        Ok(self.source.into_io().into())
    }

    /// Makes the first of the addresses that the system has a way to the peer: [`send`](Self::send) goes there, and
    /// what comes from elsewhere is thrown away. Nothing is sent, so it does not tell whether anybody is there. It may
    /// be connected again, to another peer; what is in its queue by then stays there.
    ///
    /// A connected socket hears of it when a datagram finds nobody: the operation after it, or one that waits, gets
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused). The socket goes on.
    ///
    /// # Errors
    ///
    /// That of the last address: no route, the other family of addresses.
    ///
    /// # Cancel safety
    ///
    /// It is connected in the poll that is ready, or not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// assert_eq!(client.peer_addr()?, server.local_addr()?);
    /// client.send(b"ping").await?;
    ///
    /// let mut buffer = [0; 16];
    /// let (count, peer) = server.recv_from(&mut buffer).await?;
    /// server.send_to(&buffer[..count], peer).await?;
    /// assert_eq!(client.recv(&mut buffer).await?, 4);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = self.source.io().connect(addr);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// The address of this side, with the port that the system picked.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// The address that it is [connected](Self::connect) to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) when it is not.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_eq!(socket.peer_addr().unwrap_err().kind(), std::io::ErrorKind::NotConnected);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
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
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.take_error()?.is_none());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }
}

readiness_methods!(
    UdpSocket,
    source,
    "# use pollywog_net::UdpSocket;
# let socket = UdpSocket::bind(\"127.0.0.1:0\").await?;
# let peer = std::net::UdpSocket::bind(\"127.0.0.1:0\")?;
# socket.connect(peer.local_addr()?).await?;",
    "peer.send_to(b\"ping\", socket.local_addr()?)?;",
    "try_recv(&mut buffer)"
);

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
