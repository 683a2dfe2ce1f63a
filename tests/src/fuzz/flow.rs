//! One direction of a connection: what its sender wrote is what its receiver reads.
//!
//! Every flow sends a stretch of the same random bytes, so a position tells what has to stand there. A write or read
//! is polled with the flow's gate held, and what it says is judged before the gate opens: also where several threads
//! are at it, the model knows the order.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use super::bell::Bell;
use crate::net::Random;

/// The most that a flow sends.
const MOST: usize = 256 << 10;

fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut random = Random::new(0);
        (0..4 * MOST).map(|_| random.below(256) as u8).collect()
    })
}

/// Held by who reads or by who writes.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// How many bytes the last `read_with` left because it needs more.
    pub(super) kept: usize,
    /// How many bytes it has left, for whatever reason.
    pub(super) left: usize,
    /// Two tasks do the same, each on its own thread.
    is_crowded: bool,
    last: Option<ThreadId>,
    /// How often another thread polled than the one before.
    changes: usize,
    /// How often one was told so.
    told: usize,
}

impl Gate {
    fn enter(gate: &Mutex<Self>) -> MutexGuard<'_, Self> {
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let current = thread::current().id();
        gate.changes += usize::from(gate.last.replace(current).is_some_and(|last| last != current));
        gate
    }

    /// Another thread polls: one who waited for the same is told once.
    pub(super) fn taken_over(&mut self) -> Result<(), String> {
        self.told += 1;
        if !self.is_crowded {
            return Err("told that another thread polls, and none does".to_owned());
        }
        if self.told > self.changes {
            return Err(format!("told {} times that another thread polls, {} times one did", self.told, self.changes));
        }
        Ok(())
    }
}

/// One direction of the connection.
pub(super) struct Flow {
    bytes: &'static [u8],
    sending: Mutex<Gate>,
    receiving: Mutex<Gate>,
    /// What a write was called with, or may still be under way with.
    offered: AtomicUsize,
    /// What writes said that they moved.
    accepted: AtomicUsize,
    /// The sender has said that nothing more comes.
    ended: AtomicBool,
    /// What reads have moved.
    taken: AtomicUsize,
    /// The receiver does not read any more.
    quit: AtomicBool,
    /// The receiver has closed its socket.
    gone: AtomicBool,
    progress: Bell,
}

impl Flow {
    pub(super) fn new(random: &mut Random) -> Self {
        let start = random.below(3 * MOST);
        Self {
            bytes: &bytes()[start..start + MOST],
            sending: Mutex::default(),
            receiving: Mutex::default(),
            offered: AtomicUsize::default(),
            accepted: AtomicUsize::default(),
            ended: AtomicBool::default(),
            taken: AtomicUsize::default(),
            quit: AtomicBool::default(),
            gone: AtomicBool::default(),
            progress: Bell::default(),
        }
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }

    /// How many bytes `read_with` left because it needs more.
    pub(super) fn kept(&self) -> usize {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner).kept
    }

    /// How many bytes it has left, for whatever reason.
    pub(super) fn left(&self) -> usize {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner).left
    }

    /// Two tasks read.
    pub(super) fn two_readers(&self) {
        self.receive().is_crowded = true;
    }

    /// Two tasks write.
    pub(super) fn two_writers(&self) {
        self.send().gate().is_crowded = true;
    }

    /// Nobody reads any more.
    pub(super) fn quit(&self) {
        self.quit.store(true, SeqCst);
        self.progress.ring();
    }

    /// Waits until everything that was accepted has been read, or nobody reads any more.
    pub(super) async fn settled(&self) {
        let goal = self.accepted();
        self.progress.until(|| self.taken() >= goal || self.quit.load(SeqCst) || self.gone.load(SeqCst)).await;
    }

    /// Opens the gate for one who reads.
    pub(super) fn receive(&self) -> MutexGuard<'_, Gate> {
        Gate::enter(&self.receiving)
    }

    /// Opens the gate for one who writes.
    pub(super) fn send(&self) -> Sending<'_> {
        Sending { flow: self, gate: Gate::enter(&self.sending) }
    }

    /// `count` bytes are read.
    pub(super) fn take(&self, count: usize) {
        self.taken.fetch_add(count, SeqCst);
        self.progress.ring();
    }

    /// The receiver has closed its socket.
    pub(super) fn close(&self) {
        self.gone.store(true, SeqCst);
        self.progress.ring();
    }

    /// The receiver has closed its socket, though there was more.
    pub(super) fn is_refused(&self) -> bool {
        self.gone.load(SeqCst) && self.offered.load(SeqCst) > self.taken()
    }

    /// Waits until the receiver has closed its socket and `condition` holds.
    pub(super) async fn closed(&self, condition: impl Fn() -> bool) {
        self.progress.until(|| self.gone.load(SeqCst) && condition()).await;
    }

    /// What comes next has to begin with these.
    pub(super) fn compare(&self, got: &[u8], what: &str) -> Result<(), String> {
        let start = self.taken();
        if start + got.len() > self.offered.load(SeqCst).max(self.accepted()) {
            return Err(format!("{what} at {start} gave {} bytes, which nobody sent", got.len()));
        }
        let sent = &self.bytes[start..start + got.len()];
        match got.iter().zip(sent).position(|(got, sent)| got != sent) {
            None => Ok(()),
            Some(wrong) => {
                let at = got[wrong..].windows(8.min(got.len() - wrong)).next().unwrap_or_default();
                let place = self.bytes.windows(at.len()).position(|window| window == at);
                Err(format!("{what} at {start} is wrong after {wrong} of {} bytes: they are of {place:?}", got.len()))
            }
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("accepted", &self.accepted())
            .field("taken", &self.taken())
            .field("ended", &self.ended)
            .field("quit", &self.quit)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

/// The right to write.
pub(super) struct Sending<'a> {
    flow: &'a Flow,
    gate: MutexGuard<'a, Gate>,
}

impl Sending<'_> {
    pub(super) fn gate(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// What is to be written next.
    pub(super) fn offer(&self, count: usize) -> &'static [u8] {
        let start = self.flow.accepted();
        let chunk = &self.flow.bytes[start..MOST.min(start + count)];
        self.flow.offered.store(start + chunk.len(), SeqCst);
        chunk
    }

    /// The writer ends the flow; whether it had already.
    pub(super) fn end(&self) -> bool {
        self.flow.ended.swap(true, SeqCst)
    }

    /// `count` bytes are written.
    pub(super) fn accept(&self, count: usize) {
        self.flow.accepted.fetch_add(count, SeqCst);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.flow.offered.store(self.flow.accepted(), SeqCst);
    }
}
