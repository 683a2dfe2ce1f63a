//! Two flows, and what becomes of the two ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::bell::Bell;
use super::flow::Flow;
use crate::net::Random;

pub(super) struct Connection {
    flows: [Flow; 2],
    /// How many handles each end has.
    handles: [AtomicUsize; 2],
    /// An end was told to reset the connection when it is dropped.
    cut: AtomicBool,
    leaving: [AtomicBool; 2],
    leave: [Bell; 2],
}

impl Connection {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            flows: [Flow::new(random), Flow::new(random)],
            handles: Default::default(),
            cut: AtomicBool::default(),
            leaving: Default::default(),
            leave: Default::default(),
        }
    }

    /// What `end` writes.
    pub(super) fn outgoing(&self, end: usize) -> &Flow {
        &self.flows[end]
    }

    /// What `end` reads.
    pub(super) fn incoming(&self, end: usize) -> &Flow {
        &self.flows[1 - end]
    }

    /// `end` is about to be dropped, by all who have it.
    pub(super) fn leave(&self, end: usize) {
        self.leaving[end].store(true, SeqCst);
        self.leave[end].ring();
    }

    /// Waits until `end` is about to be dropped.
    pub(super) async fn left(&self, end: usize) {
        self.leave[end].until(|| self.leaving[end].load(SeqCst)).await;
    }

    /// Dropping an end will reset the connection.
    pub(super) fn cut(&self) {
        self.cut.store(true, SeqCst);
    }

    /// An end was closed, or will be, that has not read everything.
    pub(super) fn may_be_reset(&self) -> bool {
        self.cut.load(SeqCst) || self.flows.iter().any(Flow::is_refused)
    }

    /// Waits until the other end was closed in a way that resets the connection.
    pub(super) async fn reset_by_peer(&self, end: usize) {
        self.outgoing(end).closed(|| self.may_be_reset()).await;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("flows", &self.flows)
            .field("handles", &self.handles)
            .field("cut", &self.cut)
            .field("leaving", &self.leaving)
            .finish_non_exhaustive()
    }
}

/// One of the handles of an end. It is dropped before the handle is.
#[derive(Debug)]
pub(super) struct Token {
    connection: Arc<Connection>,
    end: usize,
    /// Dropping the handle shuts down writing.
    pub(super) ends_writing: bool,
}

impl Token {
    pub(super) fn new(connection: &Arc<Connection>, end: usize) -> Self {
        connection.handles[end].fetch_add(1, SeqCst);
        Self { connection: connection.clone(), end, ends_writing: false }
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let is_last = self.connection.handles[self.end].fetch_sub(1, SeqCst) == 1;
        if is_last || self.ends_writing {
            self.connection.outgoing(self.end).send().end();
        }
        if is_last {
            self.connection.incoming(self.end).close();
        }
    }
}
