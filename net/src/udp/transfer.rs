//! Sending and receiving datagrams.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use super::UdpSocket;
use crate::addr::{ToSocketAddrs, resolve};
use crate::source::Left;
use crate::sources::Direction;
use crate::waiter::Waiter;

impl UdpSocket {
    /// Sends a datagram to the peer that it is [connected](Self::connect) to, as soon as the system has room for it.
    /// Datagrams are sent whole: what is returned is the length of the buffer. That it was sent does not mean that it
    /// arrives.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` without a peer, `EMSGSIZE` when it is too long (over IPv4 65,507 bytes are the most), no route;
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when one that was sent before found nobody: this one is
    /// then not sent.
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent in the poll that is ready, or not at all.
    ///
    /// # Examples
    ///
    /// See [`connect`](Self::connect).
    pub async fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.transfer(Direction::Write, |io| io.send(buffer)).await
    }

    /// Sends a datagram to `target`, as [`send`](Self::send) does. A name may have several addresses: the first is
    /// used.
    ///
    /// # Errors
    ///
    /// Those of looking the name up, and of [`send`](Self::send); `EACCES` for a broadcast address, unless
    /// [`set_broadcast`](Self::set_broadcast) allows it; the other family of addresses.
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent in the poll that is ready, or not at all.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    pub async fn send_to(&self, buffer: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let target = resolve(target).await?[0];
        self.transfer(Direction::Write, |io| io.send_to(buffer, target)).await
    }

    /// Waits for a datagram from the peer, and gives its length: zero is an empty datagram and no end.
    ///
    /// One that is longer than the buffer is cut: the rest of it is lost, and nothing says so. Any datagram fits into
    /// 65,535 bytes. On a socket that is not connected it may be from anybody: see [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when one that was sent found nobody at the
    /// [connected](Self::connect) address; the socket goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken off the queue only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// See [`connect`](Self::connect).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transfer(Direction::Read, |io| io.recv(buffer)).await
    }

    /// Waits for a datagram, and gives its length and who sent it. As with [`recv`](Self::recv), what does not fit into
    /// the buffer is lost.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken off the queue only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.transfer(Direction::Read, |io| io.recv_from(buffer)).await
    }

    /// Waits for a datagram and copies what of it fits into the buffer, without taking it off the queue: the next
    /// operation gives it again, and whole.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// peer.send_to(b"\x05hello", socket.local_addr()?).await?;
    /// let mut length = [0];
    /// socket.peek(&mut length).await?;
    /// let mut all = vec![0; 1 + usize::from(length[0])];
    /// socket.recv(&mut all).await?;
    /// assert_eq!(all, b"\x05hello");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transfer(Direction::Read, |io| io.peek(buffer)).await
    }

    /// As [`peek`](Self::peek), and says who sent it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// peer.send_to(b"ping", socket.local_addr()?).await?;
    /// let (_, from) = socket.peek_from(&mut []).await?;
    /// assert_eq!(from, peer.local_addr()?);
    /// assert_eq!(socket.recv_from(&mut [0; 16]).await?, (4, from));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.transfer(Direction::Read, |io| io.peek_from(buffer)).await
    }

    async fn transfer<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&mio::net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        let waiter = Waiter::new(direction);
        poll_fn(|cx| self.source.poll_io(cx, direction, Some(&waiter), |io| operation(io).map(Left::Maybe))).await
    }
}

/// Receiving behind what a vector holds, without a byte being written twice.
#[cfg(feature = "rustix")]
impl UdpSocket {
    /// As [`recv`](Self::recv), behind what `buffer` holds: into its spare capacity, so that nothing needs to be zeroed
    /// before. A datagram that is longer is cut, so reserve first; a vector that has no room at all grows by 65,535
    /// bytes, into which any datagram fits. (Feature `rustix`.)
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken off the queue only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// peer.send_to(b"ping", socket.local_addr()?).await?;
    /// let mut buffer = Vec::with_capacity(1500);
    /// assert_eq!(socket.recv_buf(&mut buffer).await?, 4);
    /// assert_eq!(buffer, b"ping");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn recv_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.recv_buf_from(buffer).await.map(|(count, _)| count)
    }

    /// As [`recv_buf`](Self::recv_buf), and says who sent it. (Feature `rustix`.)
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram is taken off the queue only in the poll that gives it.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
    /// peer.send_to(b"ping", socket.local_addr()?).await?;
    /// let mut buffer = Vec::new();
    /// assert_eq!(socket.recv_buf_from(&mut buffer).await?, (4, peer.local_addr()?));
    /// assert_eq!(buffer, b"ping");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn recv_buf_from(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, SocketAddr)> {
        use rustix::buffer::spare_capacity;
        use rustix::net::{RecvFlags, recvfrom};

        const ANY: usize = 65_535;

        self.transfer(Direction::Read, |io| {
            if buffer.len() == buffer.capacity() {
                buffer.reserve(ANY);
            }
            let (count, _, from) = recvfrom(io, spare_capacity(buffer), RecvFlags::empty())?;
            let from = from.ok_or_else(|| io::Error::other("the system does not say who sent the datagram"))?;
            Ok((count, SocketAddr::try_from(from)?))
        })
        .await
    }
}
