//! A future that waits, seen from the table of sources.

use std::sync::atomic::{AtomicU64, Ordering};

use pollywog_executor::driver::{self, Key};

use crate::context;
use crate::registration::NONE;
use crate::sources::{Direction, POLL, Place};

/// Where a future that waits stands in the list of its direction, and what takes it out when the future is dropped. A
/// `poll_*` call has none: those of a direction share one place.
#[derive(Debug)]
pub(crate) struct Waiter {
    direction: Direction,
    /// The key it has waited under, zero before. Atomic only so that the futures of async methods are `Send`.
    parked_at: AtomicU64,
    /// Its place there.
    place: AtomicU64,
}

impl Waiter {
    pub(crate) fn new(direction: Direction) -> Self {
        Self { direction, parked_at: AtomicU64::new(NONE), place: AtomicU64::new(POLL) }
    }

    /// Its place under `key`: a number that does not come again, so that a late message takes out nobody else.
    pub(crate) fn park(&self, key: Key, next_place: impl FnOnce() -> Place) -> Place {
        if self.parked_at() != Some(key) {
            self.parked_at.store(key.get(), Ordering::Relaxed);
            self.place.store(next_place(), Ordering::Relaxed);
        }
        self.place.load(Ordering::Relaxed)
    }

    /// The table has taken it out, if it stood there under `key`.
    #[inline]
    pub(crate) fn taken_out(&self, key: Key) {
        if self.parked_at() == Some(key) {
            self.parked_at.store(NONE, Ordering::Relaxed);
        }
    }

    fn parked_at(&self) -> Option<Key> {
        Key::from_u64(self.parked_at.load(Ordering::Relaxed))
    }

    /// Whether it has waited under another key than the direction has now.
    pub(crate) fn was_handed_over(&self, now: Key) -> bool {
        self.parked_at().is_some_and(|parked_at| now != parked_at)
    }
}

impl Drop for Waiter {
    #[inline]
    fn drop(&mut self) {
        if let Some(key) = self.parked_at() {
            self.leave(key);
        }
    }
}

impl Waiter {
    #[inline(never)]
    fn leave(&self, key: Key) {
        let (direction, place) = (self.direction, self.place.load(Ordering::Relaxed));
        let leave = move || {
            if let Some(reactor) = context::owner_of(key) {
                let waker = reactor.sources.borrow_mut().leave(key, direction, place);
                drop(waker);
            }
        };
        match context::owner_of(key) {
            Some(_) => leave(),
            None => driver::post(key.executor(), leave),
        }
    }
}

/// The places of a future that may wait for either direction.
#[derive(Debug)]
pub(crate) struct Waiters([Waiter; 2]);

impl Waiters {
    pub(crate) fn new() -> Self {
        Self([Waiter::new(Direction::Read), Waiter::new(Direction::Write)])
    }

    pub(crate) fn of(&self, direction: Direction) -> &Waiter {
        &self.0[direction as usize]
    }
}
