//! Async sockets, names and signals on a mio reactor and the Pollywog executor: what a server on one thread needs, in one
//! dependency.
//!
//! ```no_run
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use pollywog_net::{TcpListener, spawn};
//!
//! fn main() -> std::io::Result<()> {
//!     pollywog_net::run(async {
//!         let listener = TcpListener::bind("127.0.0.1:7007").await?;
//!         loop {
//!             let (mut stream, peer) = listener.accept().await?;
//!             spawn(async move {
//!                 let mut buffer = [0; 4096];
//!                 loop {
//!                     match stream.read(&mut buffer).await {
//!                         Ok(0) => break,
//!                         Ok(count) if stream.write_all(&buffer[..count]).await.is_ok() => {}
//!                         _ => {
//!                             eprintln!("{peer} is gone");
//!                             break;
//!                         }
//!                     }
//!                 }
//!             });
//!         }
//!     })?
//! }
//! ```
//!
//! # The map
//!
//! | file | what it holds |
//! |---|---|
//! | `runtime.rs` | executor and reactor together; [`run`] |
//! | `reactor.rs` | the turn: mio's selector as the executor's driver |
//! | `alarm.rs`, `no_alarm.rs` | the kernel's one timer for all deadlines, and what stands in for it elsewhere |
//! | `sources.rs` | the table of registered sources: readiness, and who waits |
//! | `source.rs` | a descriptor: try first, wait when it blocks |
//! | `registration.rs`, `waiter.rs` | where it is registered, and who waits; threads |
//! | `interest.rs`, `readiness.rs` | [`Interest`] and [`Ready`]; the methods that tell when a socket is ready |
//! | `byte_stream.rs`, `stream_methods.rs` | reading and writing a connection |
//! | `lent.rs` | [`TcpStream::read_with`]: a buffer that is lent |
//! | `split.rs` | the two directions apart |
//! | `tcp/socket.rs`, `tcp/connect.rs` | options, connecting |
//! | `tcp/stream.rs`, `tcp/stream_options.rs` | the connection, and what can be set at it |
//! | `tcp/happy_eyeballs.rs` | [`TcpStream::connect_racing`]: several addresses at once |
//! | `tcp/listener.rs`, `accept.rs` | accepting, and what it does in trouble |
//! | `udp/socket.rs`, `udp/options.rs`, `udp/transfer.rs`, `udp/forms.rs` | datagrams: the socket, its options, sending and receiving |
//! | `async_fd/fd.rs`, `async_fd/guard.rs`, `async_fd/io.rs` | any other descriptor; its readiness; reading and writing it |
//! | `unix/` | Unix sockets: streams, datagrams, their files, and the descriptors that are passed over them |
//! | `per_core.rs` | one runtime per core, on one port: [`per_core`] |
//! | `server.rs`, `server/` | a [`server`] that survives: limits, timeouts, a graceful end |
//! | `addr.rs`, `signal.rs` | names and addresses; signals |
//! | `io/` | [`io::copy_bidirectional`]; the reactor's buffer for others |
//! | `tokio_io.rs` | tokio's `AsyncRead` and `AsyncWrite` (feature `tokio-io`) |
//! | `hyper.rs` | hyper's I/O traits, timer and executor (feature `hyper`) |
//! | `http.rs`, `http/` | HTTP/1 and HTTP/2 on our connections (feature `http`) |
//! | `uninit.rs` | both: reading into memory that is not initialised |
//! | `codec.rs`, `fs.rs` | frames; files (features `codec`, `fs`) |
//! | `context.rs`, `trace.rs` | which reactor turns here; `tracing` |
//!
//! # What to know
//!
//! - Tasks that still run when the future of [`run`] returns are dropped.
//! - A socket waits on the reactor of the thread that polls it, and it may be polled by another thread later. Where no
//!   runtime runs, waiting is an error that says so.
//! - `block_on` inside a task panics: await, [`spawn`], [`spawn_blocking`], or use a thread. `futures::executor::block_on` inside a task
//!   stops the thread for good.
//! - Crates that take a stream of tokio's traits run on our sockets (feature `tokio-io`), and so does hyper (feature
//!   `hyper`). Those that use tokio's own sockets or timers need tokio's runtime beside this one.
//! - The memory of freed slots is kept for the next burst: 72 bytes for each socket that ever waited at once, beside
//!   the 48 of its task.
//! - Debug builds are many times slower than release builds.

#![forbid(unsafe_code)]

mod accept;
mod addr;
#[cfg_attr(not(target_os = "linux"), path = "no_alarm.rs")]
mod alarm;
mod async_fd;
mod byte_stream;
#[cfg(feature = "codec")]
pub mod codec;
mod context;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;
mod interest;
pub mod io;
mod lent;
pub mod per_core;
mod reactor;
mod readiness;
mod registration;
mod runtime;
pub mod server;
pub mod signal;
mod source;
mod sources;
mod split;
mod stream_methods;
mod tcp;
#[cfg(feature = "tokio-io")]
pub mod tokio_io;
mod trace;
mod udp;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
mod uninit;
pub mod unix;
mod waiter;

#[cfg(feature = "blocking")]
pub use pollywog_executor::spawn_blocking;
pub use pollywog_executor::{
    AbortHandle, Handle, JoinError, JoinHandle, JoinSet, Metrics, RemoteJoinHandle, Scope, ScopedJoinHandle,
    TryCurrentError, UnhandledPanic, budget, cancel, scope, spawn, task, time, try_scope,
};

pub use self::addr::{ToSocketAddrs, lookup_host};
pub use self::async_fd::{AsyncFd, AsyncFdReadyGuard, TryIoError};
pub use self::interest::{Interest, Ready};
pub use self::runtime::{Builder, Runtime, run};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use self::tcp::{Incoming, TcpListener, TcpSocket, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};
