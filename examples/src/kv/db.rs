//! What the connections share.

use std::mem;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::channels::Channels;
use super::memory::Memory;
use super::session::Session;
use super::store::Store;

/// The keys, the channels, and what `INFO` tells.
#[derive(Debug)]
pub struct Db {
    pub(super) store: Store,
    pub(super) channels: Channels,
    pub(super) counts: Counts,
    /// What has come of commands that are not whole, where it is much.
    pub(super) unfinished: Memory,
    started: Instant,
    wakers: Vec<Waker>,
    /// Who sweeps, while there is nothing to sweep.
    sweeper: Option<Waker>,
}

/// What has happened so far, and how many are connected.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) clients: u64,
    pub(super) connections: u64,
    pub(super) commands: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expired: u64,
}

impl Db {
    /// Without keys. Those of the clients may take about `max_memory` bytes, with the names of their channels, and so may
    /// what has come of commands that are not whole. The first kilobytes of these come on top for each connection, and so
    /// do replies that are not read.
    pub fn new(max_memory: usize, now: Instant) -> Self {
        Self {
            store: Store::new(max_memory),
            channels: Channels::default(),
            counts: Counts::default(),
            unfinished: Memory::new(max_memory),
            started: now,
            wakers: Vec::new(),
            sweeper: None,
        }
    }

    /// A new connection, which is to [`leave`](Self::leave) at its end.
    pub fn join(&mut self) -> Session {
        self.counts.clients += 1;
        self.counts.connections += 1;
        Session::new(self.counts.connections)
    }

    /// The end of a connection.
    pub fn leave(&mut self, session: &mut Session) {
        self.counts.clients -= 1;
        session.forget(self);
    }

    /// Takes out keys that have expired, at most `most`. Whether there may be more.
    pub fn sweep(&mut self, most: usize, now: Instant) -> bool {
        let swept = self.store.sweep(most, now);
        self.counts.expired += swept as u64;
        swept == most
    }

    /// Waits until there is something to sweep, or will be: a key that expires, or a table that is much too large.
    pub fn poll_sweep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.store.is_to_be_swept() {
            return Poll::Ready(());
        }
        self.sweeper = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Who has a message now, or something to sweep. They are to be woken once the database is not borrowed any more.
    #[must_use]
    pub fn wakers(&mut self) -> Vec<Waker> {
        if self.sweeper.is_some() && self.store.is_to_be_swept() {
            self.wakers.extend(self.sweeper.take());
        }
        mem::take(&mut self.wakers)
    }

    /// How many keys there are, with those that have expired and are not swept yet.
    pub fn keys(&self) -> usize {
        self.store.len()
    }

    /// How many bytes count against `max_memory`.
    pub fn memory(&self) -> usize {
        self.store.memory.used()
    }

    pub(super) fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        self.channels.publish(channel, message, &mut self.wakers)
    }

    pub(super) fn uptime(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}
