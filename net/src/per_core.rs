//! One runtime per core.
//!
//! [`PerCore`] starts threads with a [`Runtime`](crate::Runtime) each. Nothing is shared and nothing moves by itself: a
//! task stays on the core where it was spawned, and may hold an `Rc`. What a core has to say to another goes through a
//! channel, or through the other's [`Handle`].
//!
//! # Where the connections go
//!
//! [`serve`](PerCore::serve) binds a listener for each core to one address (`SO_REUSEPORT`), and **the kernel** chooses
//! among them for each connection:
//!
//! | system | chooses |
//! |---|---|
//! | Linux, Android | by a hash of the addresses and ports of both ends, whatever each core has to do |
//! | FreeBSD (`SO_REUSEPORT_LB`), DragonFly | by a hash too |
//! | macOS, NetBSD, OpenBSD | nothing is promised: one listener may get them all |
//!
//! A hash is even over many connections, and not over ten. Where it is not good enough, a connection is handed on: it
//! belongs to no reactor before it has had to wait, so [`Handle::spawn_pinned`] takes it to another core at no cost but
//! the message, and one that has waited moves too.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use futures::AsyncWriteExt;
//! use pollywog_net::{TcpListener, TcpStream, per_core::PerCore};
//!
//! pollywog_net::run(async {
//!     let cores = PerCore::builder().cores(2).build()?;
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (stream, _) = listener.accept().await?;
//!     let handed_over = cores.handles()[1].spawn_pinned(|| async move {
//!         let stream = std::rc::Rc::new(stream); // from here on it is core 1's
//!         stream.read_with(|bytes| (bytes.len(), bytes.to_vec())).await
//!     });
//!     client.write_all(b"hello").await?;
//!     assert_eq!(handed_over.await??, Some(b"hello".to_vec()));
//!     cores.shutdown().await
//! })?
//! # }
//! ```
//!
//! # What to know
//!
//! - A second process of the same user that sets `SO_REUSEPORT` too may listen on the same address, and gets its share of
//!   the connections: the new server beside the old one, or a server that was started twice by mistake.
//! - A listener that is closed resets the connections that wait in its queue. Where `net.ipv4.tcp_migrate_req` is 1
//!   (Linux 5.14 and newer), they go to another listener of the address instead, if there is one: that of another core,
//!   or of another process.
//! - The number of connections has no limit but that of the descriptors.

mod builder;
mod listen;
#[cfg(feature = "rustix")]
mod pin;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use futures::channel::oneshot;
use pollywog_executor::{Handle, time};

pub use self::builder::Builder;
use self::listen::{accept_all, listeners};
use crate::TcpStream;
use crate::addr::{ToSocketAddrs, resolve};

/// A runtime on each of several threads.
///
/// Dropping it ends them as [`shutdown`](Self::shutdown) does, but waits for nothing: the threads are gone a little
/// later, and what one of them panicked with is seen by the panic hook alone.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::{TcpStream, per_core::PerCore};
///
/// async fn greet(mut stream: TcpStream) -> std::io::Result<()> {
///     stream.write_all(b"hello").await?;
///     stream.close().await
/// }
///
/// let cores = PerCore::builder().cores(2).build()?;
/// pollywog_net::run(async {
///     let addr = cores.serve("127.0.0.1:0", |stream, _peer| greet(stream)).await?;
///     for _ in 0..10 {
///         let mut greeting = String::new();
///         TcpStream::connect(addr).await?.read_to_string(&mut greeting).await?;
///         assert_eq!(greeting, "hello");
///     }
///     assert_eq!(cores.accepted().iter().sum::<u64>(), 10);
///     cores.shutdown().await
/// })?
/// # }
/// ```
pub struct PerCore {
    cores: Vec<Core>,
    /// Those of `cores`, in one piece.
    handles: Vec<Handle>,
}

/// One thread and its runtime.
struct Core {
    accepted: Arc<Accepted>,
    /// Dropping it ends the thread.
    #[expect(dead_code, reason = "dropping it is all that it is for")]
    stop: oneshot::Sender<()>,
    /// Ready, with an error, when the runtime is gone.
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

/// How many connections a core has accepted. It has its cache line for itself.
#[derive(Default)]
#[repr(align(64))]
struct Accepted(AtomicU64);

impl Accepted {
    /// Only the core itself writes, so that nothing has to be read and written in one step.
    fn count(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl PerCore {
    /// A runtime for each processor that this process may use
    /// ([`available_parallelism`](std::thread::available_parallelism)), on a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// let cores = pollywog_net::per_core::PerCore::new()?;
    /// assert_eq!(cores.handles().len(), std::thread::available_parallelism()?.get());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// Starts from the default settings.
    ///
    /// # Examples
    ///
    /// See [`PerCore`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The way to each core, from any thread. That of a core whose thread has panicked is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use pollywog_net::{per_core::PerCore, task::yield_now};
    ///
    /// let cores = PerCore::builder().cores(2).build()?;
    /// pollywog_net::run(async {
    ///     let task = cores.handles()[1].spawn_pinned(|| async {
    ///         let local = Rc::new(std::thread::current());
    ///         yield_now().await;
    ///         local.name().map(str::to_owned)
    ///     });
    ///     assert_eq!(task.await.unwrap().as_deref(), Some("pollywog-1"));
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// How many connections each core has accepted so far, in the order of [`handles`](Self::handles).
    ///
    /// # Examples
    ///
    /// See [`PerCore`].
    pub fn accepted(&self) -> Vec<u64> {
        self.cores.iter().map(|core| core.accepted.0.load(Ordering::Relaxed)).collect()
    }

    /// Has every core listen on `addr` and spawn `handler(stream, peer)` for each connection that it accepts; returns
    /// the address, with the port that the system picked where that was 0. Each core has a clone of `handler`. It may be
    /// called again, for further addresses.
    ///
    /// What the future of a handler returns is dropped, and a panic ends its own connection (unless
    /// [`unhandled_panic`](crate::Builder::unhandled_panic) says otherwise). Trouble in accepting is treated as by
    /// [`TcpListener::accept`](crate::TcpListener::accept).
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`](crate::TcpListener::bind), and when no core is alive. No core listens then.
    ///
    /// # Cancel safety
    ///
    /// Nothing listens yet where the future is dropped before it is ready: it only waits for the look-up of a name.
    ///
    /// # Examples
    ///
    /// See [`PerCore`].
    pub async fn serve<H, F>(&self, addr: impl ToSocketAddrs, handler: H) -> io::Result<SocketAddr>
    where
        H: Fn(TcpStream, SocketAddr) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: 'static,
    {
        self.serve_with(addr, move || handler).await
    }

    /// As [`serve`](Self::serve), where each core makes its handler itself, by a clone of `make`: so that the handlers of
    /// one core can share what is not `Send`, a cache without a lock or a client that keeps connections of its own.
    ///
    /// A core on which `make` panics does not listen; it is reported as the panic of a task.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::{cell::Cell, rc::Rc};
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use pollywog_net::{TcpStream, per_core::PerCore};
    ///
    /// let cores = PerCore::builder().cores(1).build()?;
    /// pollywog_net::run(async {
    ///     let make = || {
    ///         let visits = Rc::new(Cell::new(0));
    ///         move |mut stream: TcpStream, _peer| {
    ///             let visits = visits.clone();
    ///             async move {
    ///                 visits.set(visits.get() + 1);
    ///                 stream.write_all(format!("visit {}", visits.get()).as_bytes()).await
    ///             }
    ///         }
    ///     };
    ///     let addr = cores.serve_with("127.0.0.1:0", make).await?;
    ///     for expected in ["visit 1", "visit 2"] {
    ///         let mut answer = String::new();
    ///         TcpStream::connect(addr).await?.read_to_string(&mut answer).await?;
    ///         assert_eq!(answer, expected);
    ///     }
    ///     cores.shutdown().await
    /// })?
    /// # }
    /// ```
    pub async fn serve_with<M, H, F>(&self, addr: impl ToSocketAddrs, make: M) -> io::Result<SocketAddr>
    where
        M: FnOnce() -> H + Clone + Send + 'static,
        H: Fn(TcpStream, SocketAddr) -> F + 'static,
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in resolve(addr).await? {
            result = self.listen(addr, &make);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn listen<M, H, F>(&self, addr: SocketAddr, make: &M) -> io::Result<SocketAddr>
    where
        M: FnOnce() -> H + Clone + Send + 'static,
        H: Fn(TcpStream, SocketAddr) -> F + 'static,
        F: Future + 'static,
        F::Output: 'static,
    {
        let all = self.handles.iter().zip(&self.cores);
        let alive: Vec<_> = all.filter(|(handle, _)| !handle.is_closed()).collect();
        if alive.is_empty() {
            return Err(io::Error::other("no core is alive: their threads have panicked"));
        }
        let (addr, listeners) = listeners(addr, alive.len())?;
        for ((handle, core), listener) in alive.into_iter().zip(listeners) {
            let (make, accepted) = (make.clone(), core.accepted.clone());
            handle.spawn_pinned(move || accept_all(listener, make(), accepted));
        }
        Ok(addr)
    }

    /// Ends all cores and waits until their threads are gone. The listeners are closed, and every task is dropped where
    /// it waits: who has to finish something is told before, by a [token](crate::cancel), say.
    ///
    /// # Errors
    ///
    /// When the thread of a core has panicked: which, and what it said. The panic of a task is none
    /// (unless [`unhandled_panic`](crate::Builder::unhandled_panic) makes it one).
    ///
    /// # Cancel safety
    ///
    /// The cores end, whether or not anybody waits. Inside a task of one of them, that is how it goes: the task is
    /// dropped with the others.
    ///
    /// # Examples
    ///
    /// See [`PerCore`].
    pub async fn shutdown(self) -> io::Result<()> {
        // A paused clock waits for it.
        let _hold = time::hold();
        // All are told before one is waited for.
        let threads: Vec<_> = self.cores.into_iter().map(|core| (core.ended, core.thread)).collect();
        let mut panics = Vec::new();
        for (index, (ended, thread)) in threads.into_iter().enumerate() {
            let _ = ended.await;
            panics.extend(thread.join().err().map(|payload| panicked(index, &*payload)));
        }
        if panics.is_empty() { Ok(()) } else { Err(io::Error::other(panics.join("; "))) }
    }
}

fn panicked(index: usize, payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the thread of core {index} panicked: {text}"),
        None => format!("the thread of core {index} panicked"),
    }
}

impl fmt::Debug for PerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCore").field("handles", &self.handles).finish_non_exhaustive()
    }
}
