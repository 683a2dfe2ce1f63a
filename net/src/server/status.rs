//! What a server says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A number that one thread counts and every thread may read.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Only the server's thread calls it, so that nothing has to be read and written in one step.
    pub(super) fn add(&self, count: u64) {
        self.0.store(self.get() + count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: Count,
    /// Connections that are over, of those.
    pub(super) ended: Count,
    pub(super) rejected: Count,
    pub(super) timed_out: Count,
    pub(super) panicked: Count,
    pub(super) aborted: Count,
    pub(super) draining: AtomicBool,
    pub(super) errors: Mutex<BTreeMap<io::ErrorKind, u64>>,
}

impl Counters {
    pub(super) fn error(&self, kind: io::ErrorKind) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }
}

/// The state of a [`Server`](super::Server), to be read at any time and from any thread: on a page of the server's own,
/// say. A clone shows the same server.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::io;
/// use futures::AsyncReadExt;
/// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
///
/// async fn refuse(_: Connection) -> io::Result<()> {
///     Err(io::ErrorKind::InvalidData.into())
/// }
///
/// pollywog_net::run(async {
///     let server = Server::bind("127.0.0.1:0").await?;
///     let (status, addr) = (server.status(), server.listener().local_addr()?);
///     spawn(server.serve(refuse));
///     let mut nothing = Vec::new();
///     TcpStream::connect(addr).await?.read_to_end(&mut nothing).await?;
///     assert_eq!((status.accepted(), status.active()), (1, 0));
///     assert_eq!(status.errors(), [(io::ErrorKind::InvalidData, 1)]);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct Status(pub(super) Arc<Counters>);

impl Status {
    /// Connections that were given to the handler so far.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.get()
    }

    /// Connections whose handler runs.
    pub fn active(&self) -> u64 {
        // In this order, since other threads read too: it is never less than nothing.
        let ended = self.0.ended.get();
        self.0.accepted.get().saturating_sub(ended)
    }

    /// Connections that [`Server::admit`](super::Server::admit) turned away. They are not among the accepted.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.get()
    }

    /// Connections that a timeout of the server ended.
    pub fn timed_out(&self) -> u64 {
        self.0.timed_out.get()
    }

    /// Connections whose handler panicked.
    pub fn panicked(&self) -> u64 {
        self.0.panicked.get()
    }

    /// Connections that still ran at the deadline of the shutdown, or waited until then for a place.
    pub fn aborted(&self) -> u64 {
        self.0.aborted.get()
    }

    /// How many connections ended with an error of their handler, by its kind. Timeouts and panics are not among them.
    pub fn errors(&self) -> Vec<(io::ErrorKind, u64)> {
        let errors = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// The server shuts down, or has. A health check that says so keeps a load balancer from sending more.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("accepted", &self.accepted())
            .field("active", &self.active())
            .field("rejected", &self.rejected())
            .field("timed_out", &self.timed_out())
            .field("panicked", &self.panicked())
            .field("aborted", &self.aborted())
            .field("errors", &self.errors())
            .field("is_draining", &self.is_draining())
            .finish()
    }
}
