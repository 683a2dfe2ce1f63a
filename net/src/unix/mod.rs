//! Unix sockets: between processes of one machine, named by a file or by an abstract name.
//!
//! # Names
//!
//! A path names a file, which binding makes, and which connecting needs the permission to write. A listener or datagram
//! socket that made its file removes it when it is dropped: see [`UnixListener::bind`]. On Linux and Android a path
//! that begins with a zero byte is a name without a file (an abstract one), gone with its socket:
//!
//! ```
//! # if !cfg!(any(target_os = "linux", target_os = "android")) { return Ok(()); }
//! # pollywog_net::run(async {
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use pollywog_net::{UnixListener, UnixStream};
//!
//! let name = format!("\0example-{}", std::process::id());
//! let listener = UnixListener::bind(&name)?;
//! let mut client = UnixStream::connect(&name).await?;
//! client.write_all(b"hello").await?;
//! client.close().await?;
//!
//! let (mut stream, _) = listener.accept().await?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
//! ```
//!
//! # The map
//!
//! | file | what it holds |
//! |---|---|
//! | `stream.rs`, `listener.rs` | [`UnixStream`], [`UnixListener`] |
//! | `datagram.rs`, `send.rs`, `recv.rs` | [`UnixDatagram`]: its names, sending, receiving |
//! | `addr.rs`, `file.rs` | addresses; the file of a socket, and who removes it |
//! | `full.rs` | what to do while a peer's queue is full |
//! | `fds.rs`, `cred.rs` | with the feature `rustix`: descriptors that are passed, and who the peer is |

mod addr;
#[cfg(all(feature = "rustix", any(target_os = "linux", target_os = "android")))]
mod cred;
mod datagram;
#[cfg(feature = "rustix")]
mod fds;
mod file;
mod full;
mod listener;
mod recv;
mod send;
mod stream;

pub use std::os::unix::net::SocketAddr;

#[cfg(all(feature = "rustix", any(target_os = "linux", target_os = "android")))]
pub use self::cred::UCred;
pub use self::datagram::UnixDatagram;
pub use self::listener::{Incoming, UnixListener};
pub use self::stream::UnixStream;

/// The reading half of [`UnixStream::split`].
pub type ReadHalf<'a> = crate::ReadHalf<'a, UnixStream>;
/// The writing half of [`UnixStream::split`].
pub type WriteHalf<'a> = crate::WriteHalf<'a, UnixStream>;
/// The reading half of [`UnixStream::into_split`].
pub type OwnedReadHalf = crate::OwnedReadHalf<UnixStream>;
/// The writing half of [`UnixStream::into_split`]. Dropping it shuts down writing.
pub type OwnedWriteHalf = crate::OwnedWriteHalf<UnixStream>;
/// The error of two halves that are not of one stream. It holds both.
pub type ReuniteError = crate::ReuniteError<UnixStream>;
