//! How a server ends.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pollywog_executor::budget::consume_budget;
use pollywog_executor::cancel::CancelToken;
use pollywog_executor::time::{self, timeout_at};

use super::crowd::Left;
use super::listener::{Listener, Pair};
use super::running::Running;
use super::{Addr, Connection};
use crate::accept::{Attempt, Backoff};
use crate::tcp::BACKLOG;
use crate::trace;

/// What a shutdown came to.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{future::pending, time::Duration};
/// use futures::AsyncReadExt;
/// use pollywog_net::{TcpStream, server::{Connection, Server}, spawn};
///
/// async fn never_ends(connection: Connection) -> std::io::Result<()> {
///     connection.try_write(b"hello")?;
///     pending().await
/// }
///
/// pollywog_net::run(async {
///     let server = Server::bind("127.0.0.1:0").await?.drain_timeout(Duration::from_millis(10));
///     let addr = server.listener().local_addr()?;
///     let (stop, stopped) = futures::channel::oneshot::channel::<()>();
///     let serving = spawn(server.serve_until(stopped, never_ends));
///     let mut client = TcpStream::connect(addr).await?;
///     client.read_exact(&mut [0; 5]).await?;
///     drop(stop);
///     let drained = serving.await??;
///     assert_eq!(drained.left()[0].peer, client.local_addr()?);
///     assert!(drained.left()[0].age >= Duration::from_millis(10));
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained<A> {
    left: Vec<Left<A>>,
}

impl<A> Drained<A> {
    /// Whether every connection was served, and its handler came to its end by itself.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// The connections that still ran at the deadline, and were dropped: the oldest first. Then those that waited until
    /// then for one of the [places](super::Server::max_connections).
    pub fn left(&self) -> &[Left<A>] {
        &self.left
    }
}

impl<L: Listener> Running<L> {
    pub(super) fn announce_end(&self) {
        self.crowd.counters().draining.store(true, Ordering::Relaxed);
        trace::drain_started(self.crowd.len());
    }

    /// Accepts as before for `delay`, or until the listener breaks.
    pub(super) async fn go_on<H, F>(&mut self, listener: &L, delay: Duration, handler: &mut H) -> io::Result<()>
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        if delay.is_zero() {
            return Ok(());
        }
        let serving = poll_fn(|cx| self.poll_serve(cx, listener, handler));
        within(end_of(delay), serving).await.map_or(Ok(()), Err)
    }

    /// Shuts down. `listener` is not asked any more where it is broken.
    pub(super) async fn drain<H, F>(
        mut self,
        listener: L,
        is_working: bool,
        timeout: Duration,
        handler: &mut H,
    ) -> Drained<Addr<L>>
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        let (began, deadline) = (time::now(), end_of(timeout));
        let mut waiting = VecDeque::new();
        let all = async {
            if is_working && !timeout.is_zero() {
                self.empty_queue(listener, &mut waiting, handler).await;
            } else {
                drop(listener);
            }
            self.start_all(&mut waiting, handler).await;
            self.crowd.fewer_than(1).await;
        };
        let _ = within(deadline, all).await;
        let mut left = self.crowd.list();
        let age = time::now().saturating_duration_since(began);
        left.extend(waiting.drain(..).map(|(_, peer)| Left { peer, age }));
        self.crowd.counters().aborted.add(left.len() as u64);
        self.crowd.abort_all();
        self.crowd.fewer_than(1).await;
        trace::drain_ended(left.len());
        Drained { left }
    }

    /// Accepts who stands in the queue, and closes the listener.
    async fn empty_queue<H, F>(&mut self, listener: L, waiting: &mut VecDeque<Pair<L::Stream>>, handler: &mut H)
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        let mut backoff = Backoff::new();
        // No more than that stood there; a flood would go on for ever.
        for _ in 0..BACKLOG {
            match listener.try_accept() {
                Attempt::Accepted(connection) => {
                    backoff.reset();
                    waiting.push_back(connection);
                }
                Attempt::Skipped => {}
                Attempt::Lacking(error) => {
                    trace::accept_paused(&error, backoff.start());
                    // It is they who have the descriptors.
                    self.start_all(waiting, handler).await;
                    poll_fn(|cx| backoff.poll_over(cx)).await;
                }
                Attempt::Empty | Attempt::Broken(_) => break,
            }
            consume_budget().await;
        }
    }

    /// Starts those who wait as there is room for them, and tells everybody to stop who has had a turn.
    async fn start_all<H, F>(&mut self, waiting: &mut VecDeque<Pair<L::Stream>>, handler: &mut H)
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        loop {
            while self.crowd.len() < self.max_connections
                && let Some((stream, peer)) = waiting.pop_front()
            {
                self.start(stream, peer, handler);
                consume_budget().await;
            }
            self.crowd.all_had_a_turn().await;
            mem::replace(&mut self.shutdown, CancelToken::new()).cancel();
            if waiting.is_empty() {
                return;
            }
            self.crowd.fewer_than(self.max_connections).await;
        }
    }
}

/// The moment `timeout` from now; `None` is one that no clock reaches.
fn end_of(timeout: Duration) -> Option<Instant> {
    time::now().checked_add(timeout)
}

async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
