//! The operations of `transfer.rs` for hand-written futures (`poll_*`), and at once (`try_*`).

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::UdpSocket;
use crate::interest::Interest;
use crate::source::Left;
use crate::sources::Direction;

/// For each operation its two other forms. `$blocked` is why there may be nothing to do; the examples have a `socket`,
/// a `peer` that it is connected to, and what `$before` and `$after` say.
macro_rules! forms {
    ($($name:ident: $poll:ident, $try:ident($($argument:ident: $type:ty),+) -> $result:ty,
       $direction:ident, $interest:ident, $doing:literal, $ready:literal, $blocked:literal,
       $before:literal, $call:literal, $after:literal;)+) => {
        impl UdpSocket {$(
            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), "), for hand-written futures.")]
            #[doc = concat!("The waker of the task that polled ", $doing, " last, by whichever `poll_*` method, is")]
            /// kept.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            /// # use pollywog_net::UdpSocket;
            /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
            /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
            /// # socket.connect(peer.local_addr()?).await?;
            #[doc = $before]
            #[doc = concat!(
                "let result = std::future::poll_fn(|cx| socket.", stringify!($poll), "(cx, ", $call, ")).await?;"
            )]
            #[doc = $after]
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn $poll(&self, cx: &mut Context<'_>, $($argument: $type),+) -> Poll<io::Result<$result>> {
                self.source.poll_io(cx, Direction::$direction, None, |io| io.$name($($argument),+).map(Left::Maybe))
            }

            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), "), without waiting.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), "); and")]
            #[doc = concat!("[`WouldBlock`](io::ErrorKind::WouldBlock) when ", $blocked, ".")]
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            /// # use pollywog_net::UdpSocket;
            /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
            /// # let peer = UdpSocket::bind("127.0.0.1:0").await?;
            /// # socket.connect(peer.local_addr()?).await?;
            #[doc = $before]
            #[doc = concat!("socket.", $ready, "().await?;")]
            #[doc = concat!("let result = socket.", stringify!($try), "(", $call, ")?;")]
            #[doc = $after]
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn $try(&self, $($argument: $type),+) -> io::Result<$result> {
                self.source.try_io(Interest::$interest, |io| io.$name($($argument),+).map(Left::Maybe))
            }
        )+}
    };
}

forms! {
    send: poll_send, try_send(buffer: &[u8]) -> usize,
        Write, WRITABLE, "writing", "writable", "the system has no room for it",
        "", "b\"ping\"", "assert_eq!(result, 4);";
    send_to: poll_send_to, try_send_to(buffer: &[u8], target: SocketAddr) -> usize,
        Write, WRITABLE, "writing", "writable", "the system has no room for it",
        "let target = peer.local_addr()?;", "b\"ping\", target", "assert_eq!(result, 4);";
    recv: poll_recv, try_recv(buffer: &mut [u8]) -> usize,
        Read, READABLE, "reading", "readable", "there is none",
        "peer.send_to(b\"ping\", socket.local_addr()?).await?;\nlet mut buffer = [0; 16];", "&mut buffer",
        "assert_eq!(&buffer[..result], b\"ping\");";
    recv_from: poll_recv_from, try_recv_from(buffer: &mut [u8]) -> (usize, SocketAddr),
        Read, READABLE, "reading", "readable", "there is none",
        "peer.send_to(b\"ping\", socket.local_addr()?).await?;\nlet mut buffer = [0; 16];", "&mut buffer",
        "assert_eq!(result, (4, peer.local_addr()?));";
    peek: poll_peek, try_peek(buffer: &mut [u8]) -> usize,
        Read, READABLE, "reading", "readable", "there is none",
        "peer.send_to(b\"ping\", socket.local_addr()?).await?;\nlet mut buffer = [0; 2];", "&mut buffer",
        "assert_eq!(&buffer[..result], b\"pi\");";
    peek_from: poll_peek_from, try_peek_from(buffer: &mut [u8]) -> (usize, SocketAddr),
        Read, READABLE, "reading", "readable", "there is none",
        "peer.send_to(b\"ping\", socket.local_addr()?).await?;\nlet mut buffer = [0; 2];", "&mut buffer",
        "assert_eq!(result, (2, peer.local_addr()?));";
}
