//! The connections that run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use pollywog_executor::{AbortHandle, time};

use super::status::Counters;

/// All of them, by the number that each has.
pub(super) struct Crowd<A> {
    members: RefCell<BTreeMap<u64, Member<A>>>,
    /// How many have not had a turn yet.
    new: Cell<usize>,
    /// The server's task, which waits until there are fewer.
    waiter: Cell<Option<Waker>>,
    counters: Arc<Counters>,
}

struct Member<A> {
    peer: A,
    since: Instant,
    task: AbortHandle,
}

/// A connection that still ran at the deadline of a shutdown, or waited until then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left<A> {
    /// The other end.
    pub peer: A,
    /// How long it was connected, as far as the server knows.
    pub age: Duration,
}

impl<A: Clone> Crowd<A> {
    pub(super) fn new(counters: Arc<Counters>) -> Rc<Self> {
        Rc::new(Self { members: RefCell::default(), new: Cell::new(0), waiter: Cell::default(), counters })
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn len(&self) -> usize {
        self.members.borrow().len()
    }

    /// Its number must not have been here before.
    pub(super) fn enter(&self, number: u64, peer: A, task: AbortHandle) {
        let displaced = self.members.borrow_mut().insert(number, Member { peer, since: time::now(), task });
        debug_assert!(displaced.is_none(), "a number comes once");
    }

    /// One will enter.
    pub(super) fn comes(&self) {
        self.new.update(|new| new + 1);
    }

    /// One of those who came has had its first turn, or leaves without.
    pub(super) fn turned(&self) {
        self.new.update(|new| new - 1);
        if self.new.get() == 0 {
            self.wake();
        }
    }

    pub(super) fn leave(&self, number: u64) {
        let member = self.members.borrow_mut().remove(&number);
        if member.is_some() {
            self.counters.ended.add(1);
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Keeps `waiter` until somebody leaves.
    pub(super) fn watch(&self, waiter: &Waker) {
        self.waiter.set(Some(waiter.clone()));
    }

    /// Ready when fewer than `limit` are here.
    pub(super) fn fewer_than(&self, limit: usize) -> impl Future<Output = ()> {
        self.until(move || self.len() < limit)
    }

    /// Ready when each that is here has had a turn.
    pub(super) fn all_had_a_turn(&self) -> impl Future<Output = ()> {
        self.until(|| self.new.get() == 0)
    }

    fn until(&self, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            if is_so() {
                return Poll::Ready(());
            }
            self.watch(cx.waker());
            Poll::Pending
        })
    }

    /// Aborts all: they are gone when the executor has come to them.
    pub(super) fn abort_all(&self) {
        let tasks: Vec<_> = self.members.borrow().values().map(|member| member.task.clone()).collect();
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Who is here, the oldest first.
    pub(super) fn list(&self) -> Vec<Left<A>> {
        let now = time::now();
        let age = |since| now.saturating_duration_since(since);
        let members = self.members.borrow();
        members.values().map(|member| Left { peer: member.peer.clone(), age: age(member.since) }).collect()
    }
}
