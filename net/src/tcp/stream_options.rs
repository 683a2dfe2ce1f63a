//! What can be set at a connection.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::TcpStream;

impl TcpStream {
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn nodelay(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_nodelay()
    }

    /// Has small writes sent at once rather than gathered (`TCP_NODELAY`): less delay, more packets.
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
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_nodelay(nodelay)
    }

    /// How many routers a packet may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> io::Result<u32> {
        SockRef::from(self).ttl_v4()
    }

    /// Sets how many routers a packet may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// When the system refuses: zero, or more than 255.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_ttl(12)?;
    /// assert_eq!(stream.ttl()?, 12);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        SockRef::from(self).set_ttl_v4(ttl)
    }

    /// How long closing waits for what is not yet sent (`SO_LINGER`); `None`, the default, does not wait.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`set_zero_linger`](Self::set_zero_linger).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Has dropping it reset the connection (`SO_LINGER` of zero): what is not yet sent is thrown away, and the peer
    /// gets `ECONNRESET`. Other times are not offered, since closing would then block the thread.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::AsyncReadExt;
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut peer, _) = listener.accept().await?;
    /// stream.set_zero_linger()?;
    /// assert_eq!(stream.linger()?, Some(std::time::Duration::ZERO));
    /// drop(stream);
    /// let error = peer.read(&mut [0; 16]).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }

    /// Whether the system asks a silent peer whether it is still there (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    ///
    /// # Examples
    ///
    /// See [`set_keepalive_times`](Self::set_keepalive_times).
    pub fn keepalive(&self) -> io::Result<bool> {
        SockRef::from(self).keepalive()
    }

    /// Has the system ask a silent peer, after `idle`, whether it is still there, and again each `interval` (whole
    /// seconds); where no answer comes, the next read or write fails with `ETIMEDOUT`. It is how a server that may wait for
    /// ever gets rid of peers that are gone without a word; one with an idle timeout needs no such thing. Where something
    /// sent was not acknowledged, nobody is asked: the system sends it again, and gives up by itself (after a quarter of
    /// an hour on Linux).
    ///
    /// # Errors
    ///
    /// When the system refuses: less than a second, or more than it allows (on Linux, 32,767 seconds). It may ask the peer
    /// all the same then, after times of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{TcpListener, TcpStream, time::Duration};
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_keepalive_times(Duration::from_secs(60), Duration::from_secs(10))?;
    /// assert!(stream.keepalive()?);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn set_keepalive_times(&self, idle: Duration, interval: Duration) -> io::Result<()> {
        SockRef::from(self).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval))
    }
}
