//! tokio's I/O traits on our sockets (feature `tokio-io`).
//!
//! [`TcpStream`], [`UnixStream`], their halves and a server's [`Connection`] are `tokio::io::AsyncRead` and
//! `tokio::io::AsyncWrite` too: nothing to wrap, nothing to import. What is generic over those traits
//! runs here as it is, with tasks, timers and wakers of ours.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use pollywog_net::{TcpListener, TcpStream, spawn};
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! pollywog_net::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     spawn(async move {
//!         let (_reader, mut writer) = listener.accept().await?.0.into_split();
//!         writer.write_all(b"one\ntwo\n").await?;
//!         writer.shutdown().await // of writing, as with tokio's own
//!     });
//!     let mut lines = BufReader::new(TcpStream::connect(addr).await?).lines();
//!     assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
//!     assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
//!     assert_eq!(lines.next_line().await?, None);
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # Which crates this is for
//!
//! Those that take a stream and spawn nothing themselves: h2 (`server::handshake`, `client::handshake`), tokio-postgres
//! (`default-features = false` and `Config::connect_raw`), tokio-rustls, tokio-tungstenite (`accept_async`,
//! `client_async`), tokio-util's codecs, and of tokio itself `io`, `sync` and the macros. Futures that they hand over to
//! be driven, such as the connection of h2 or tokio-postgres, are for [`spawn`](fn@crate::spawn).
//!
//! A crate that opens its sockets itself or calls `tokio::spawn`, `tokio::time` or `tokio::net` needs tokio's runtime,
//! and panics without one: [reqwest] does. The crate [async-compat] keeps one on a thread of its own. Wrapped in
//! `async_compat::Compat::new`, a future finds it in every poll, and is still polled here; what it spawns runs there, and
//! so has to be `Send`.
//!
//! [reqwest]: https://github.com/smol-rs/smol/issues/238
//! [async-compat]: https://docs.rs/async-compat
//!
//! `futures::AsyncReadExt` and `tokio::io::AsyncReadExt` have methods of the same names. Both apply, so import one of
//! the two in a module. On a `TcpStream` itself, [`shutdown`](TcpStream::shutdown), which takes a direction and does not
//! wait, comes before tokio's, and so does `read_buf` (feature `rustix`); on a half, and in generic code, the methods are
//! tokio's.
//!
//! # What it costs
//!
//! What it costs through `futures::io`, but for one thing: a read into spare capacity (`read_buf`, and the codecs of
//! tokio-util, which use it) goes through the reactor's buffer and copies what came, 64 KiB at most. That is less work than
//! zeroing the room before each try. A buffer that is initialised (`read`, `copy`, `BufReader`) is read into as it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::{Accepted, Connection};
use crate::split::HalfClose;
use crate::uninit::poll_read_uninit;
use crate::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, UnixStream, WriteHalf};

/// One line for each type that has the traits of `futures::io`, or one of them: `[its generics] type`.
macro_rules! bridge {
    (read [$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> AsyncRead for $type
        where
            Self: futures::io::AsyncRead,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if buffer.initialized().len() < buffer.capacity() {
                    let read = |room: &mut [u8]| futures::io::AsyncRead::poll_read(self, cx, room);
                    return poll_read_uninit(buffer.remaining(), read, |bytes| buffer.put_slice(bytes));
                }
                let count = ready!(futures::io::AsyncRead::poll_read(self, cx, buffer.initialize_unfilled()))?;
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    };
    (write [$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> AsyncWrite for $type
        where
            Self: futures::io::AsyncWrite,
        {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
                futures::io::AsyncWrite::poll_write(self, cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                futures::io::AsyncWrite::poll_write_vectored(self, cx, buffers)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures::io::AsyncWrite::poll_flush(self, cx)
            }

            /// Shuts down writing. Reading goes on.
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures::io::AsyncWrite::poll_close(self, cx)
            }
        }
    };
    ($type:ty) => {
        bridge!(read [] $type);
        bridge!(write [] $type);
    };
}

bridge!(TcpStream);
bridge!(&TcpStream);
bridge!(UnixStream);
bridge!(&UnixStream);
bridge!(read [S] ReadHalf<'_, S>);
bridge!(read [S] OwnedReadHalf<S>);
bridge!(write [S] WriteHalf<'_, S>);
bridge!(write [S: HalfClose] OwnedWriteHalf<S>);
bridge!(read [S: Accepted] Connection<S>);
bridge!(write [S: Accepted] Connection<S>);
bridge!(read [S: Accepted] &Connection<S>);
bridge!(write [S: Accepted] &Connection<S>);
