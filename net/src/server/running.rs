//! A server that serves: it accepts, and starts the task of each connection.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pollywog_executor::cancel::CancelToken;
use pollywog_executor::task;

use super::attend::{Attend, Limits};
use super::connection::{Activity, Connection};
use super::crowd::Crowd;
use super::listener::Listener;
use super::{Addr, Admit};
use crate::trace;

/// A server that serves. Dropping it ends its connections.
pub(super) struct Running<L: Listener> {
    pub(super) crowd: Rc<Crowd<Addr<L>>>,
    /// That of the connections which are accepted now.
    pub(super) shutdown: CancelToken,
    pub(super) max_connections: usize,
    pub(super) limits: Limits,
    pub(super) admit: Option<Admit<L>>,
    /// How many connections were started.
    pub(super) numbers: u64,
}

impl<L: Listener> Running<L> {
    /// Accepts; ready where the listener is broken.
    pub(super) fn poll_serve<H, F>(&mut self, cx: &mut Context<'_>, listener: &L, handler: &mut H) -> Poll<io::Error>
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        loop {
            if self.crowd.len() >= self.max_connections {
                self.crowd.watch(cx.waker());
                return Poll::Pending;
            }
            match ready!(listener.poll_accept(cx)) {
                Ok((stream, peer)) => self.start(stream, peer, handler),
                Err(error) => return Poll::Ready(error),
            }
        }
    }

    /// Starts the task of a connection.
    pub(super) fn start<H, F>(&mut self, stream: L::Stream, peer: Addr<L>, handler: &mut H)
    where
        H: FnMut(Connection<L::Stream>) -> F,
        F: Future<Output = io::Result<()>> + 'static,
    {
        let activity = self.limits.idle.map(|_| Arc::new(Activity::default()));
        let span = trace::connection(&peer);
        // Both are called here rather than in the task, which would have to keep what they are called with. A panic is
        // that of the task all the same.
        let called = span.in_scope(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let is_admitted = self.admit.as_mut().is_none_or(|admit| admit(&stream, &peer));
                let connection = || Connection::new(stream, peer.clone(), self.shutdown.clone(), activity.clone());
                is_admitted.then(|| handler(connection()))
            }))
        });
        let Some(called) = called.transpose() else {
            return self.crowd.counters().rejected.add(1);
        };
        self.crowd.counters().accepted.add(1);
        self.numbers += 1;
        let builder = task::Builder::new().name(format!("connection {peer:?}"));
        let (crowd, number, limits) = (self.crowd.clone(), self.numbers, self.limits);
        let task = match called {
            Ok(future) => builder.spawn(Attend::new(future, crowd, number, limits, activity, span)),
            Err(payload) => {
                let future = async { resume_unwind(payload) };
                builder.spawn(Attend::new(future, crowd, number, limits, activity, span))
            }
        };
        self.crowd.enter(number, peer, task.abort_handle());
    }
}

impl<L: Listener> Drop for Running<L> {
    fn drop(&mut self) {
        // What the handlers have spawned hears of it.
        self.shutdown.cancel();
        self.crowd.abort_all();
    }
}
