//! The options of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::UdpSocket;

/// Pairs of methods that set an option and ask for it.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:literal, $get:ident, $set:ident, $type:ty, $bind:literal, $value:literal,
       $check:literal;)+) => {
        impl UdpSocket {$(
            $(#[doc = $doc])+
            ///
            /// # Errors
            ///
            /// When the system refuses.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            /// # use pollywog_net::UdpSocket;
            #[doc = concat!("let socket = UdpSocket::bind(\"", $bind, "\").await?;")]
            #[doc = concat!("socket.", stringify!($set), "(", $value, ")?;")]
            #[doc = concat!("assert!(", $check, ");")]
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.source.io().$set(value)
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
                self.source.io().$get()
            }
        )+}
    };
}

options! {
    /// Allows sending to broadcast addresses (`SO_BROADCAST`), which reach everybody on the network. It is not allowed
    /// at first.
    "`SO_BROADCAST`", broadcast, set_broadcast, bool, "127.0.0.1:0", "true", "socket.broadcast()?";
    /// Sets how many routers a packet of IPv4 may pass (`IP_TTL`).
    "`IP_TTL`", ttl, set_ttl, u32, "127.0.0.1:0", "12", "socket.ttl()? == 12";
    /// Sets whether what this socket sends to a group of IPv4 also comes to members on this machine
    /// (`IP_MULTICAST_LOOP`). It does at first.
    "`IP_MULTICAST_LOOP`", multicast_loop_v4, set_multicast_loop_v4, bool, "127.0.0.1:0", "false",
        "!socket.multicast_loop_v4()?";
    /// Sets how many routers a packet for a group of IPv4 may pass (`IP_MULTICAST_TTL`). At first it is one: such packets
    /// stay in the local network.
    "`IP_MULTICAST_TTL`", multicast_ttl_v4, set_multicast_ttl_v4, u32, "127.0.0.1:0", "12",
        "socket.multicast_ttl_v4()? == 12";
    /// Sets whether what this socket sends to a group of IPv6 also comes to members on this machine
    /// (`IPV6_MULTICAST_LOOP`). It does at first.
    "`IPV6_MULTICAST_LOOP`", multicast_loop_v6, set_multicast_loop_v6, bool, "[::]:0", "false",
        "!socket.multicast_loop_v6()?";
}

impl UdpSocket {
    /// Joins a group: what is sent to `group` and arrives at `interface`, which is named by its address, comes to this
    /// socket, if the port is its own. [`UNSPECIFIED`](Ipv4Addr::UNSPECIFIED) leaves the interface to the system.
    ///
    /// The group is left when the socket is dropped. Several receivers of one group and port on a machine each need
    /// `SO_REUSEADDR` before they are bound: see [`from_std`](Self::from_std).
    ///
    /// # Errors
    ///
    /// When `group` is no group, the socket has joined already, or there is no such interface.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # pollywog_net::run(async {
    /// use pollywog_net::UdpSocket;
    /// use std::net::Ipv4Addr;
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:5353").await?;
    /// socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// let (count, peer) = socket.recv_from(&mut [0; 1500]).await?;
    /// println!("{count} bytes of multicast DNS from {peer}");
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.source.io().join_multicast_v4(&group, &interface)
    }

    /// Leaves a group that was joined with [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// When the socket is no member.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # use std::net::Ipv4Addr;
    /// # let socket = UdpSocket::bind("0.0.0.0:5353").await?;
    /// let (group, interface) = (Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED);
    /// socket.join_multicast_v4(group, interface)?;
    /// socket.leave_multicast_v4(group, interface)?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.source.io().leave_multicast_v4(&group, &interface)
    }

    /// As [`join_multicast_v4`](Self::join_multicast_v4), for a group of IPv6. The interface is named by its index (`ip
    /// link` shows it); zero leaves it to the system.
    ///
    /// # Errors
    ///
    /// When `group` is no group, the socket has joined already, or there is no such interface.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # pollywog_net::run(async {
    /// use pollywog_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("[::]:5353").await?;
    /// socket.join_multicast_v6(&"ff02::fb".parse().unwrap(), 0)?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.io().join_multicast_v6(group, interface)
    }

    /// Leaves a group that was joined with [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// When the socket is no member.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # pollywog_net::run(async {
    /// # use pollywog_net::UdpSocket;
    /// # let socket = UdpSocket::bind("[::]:5353").await?;
    /// let group = "ff02::fb".parse().unwrap();
    /// socket.join_multicast_v6(&group, 0)?;
    /// socket.leave_multicast_v6(&group, 0)?;
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.io().leave_multicast_v6(group, interface)
    }
}
