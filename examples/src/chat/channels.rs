//! Which rooms are listened to: those with members, and what Redis knows of that.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::mem;
use std::task::{Poll, Waker};

use futures::channel::oneshot;

/// The rooms of this node as Redis knows them.
#[derive(Debug, Default)]
pub(super) struct Channels(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    channels: BTreeMap<String, Channel>,
    /// Those about which Redis may have to be told.
    changed: BTreeSet<String>,
    /// Waits for a change.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Channel {
    /// How many members of this node are there, or on their way there.
    guests: usize,
    /// What Redis was asked last: to subscribe, or not (any more).
    is_asked: bool,
    /// Subscriptions that Redis has not confirmed yet.
    unconfirmed: usize,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Channel {
    /// Nothing that is published from now on is missed.
    fn is_confirmed(&self) -> bool {
        self.is_asked && self.unconfirmed == 0
    }

    /// Nobody is there, and nothing of it is left at Redis's.
    fn is_over(&self) -> bool {
        self.guests == 0 && !self.is_asked && self.unconfirmed == 0
    }
}

impl Channels {
    /// Counts a guest. Gives what tells when nothing is missed, unless that is so already.
    pub(super) fn enter(&self, room: &str) -> Option<oneshot::Receiver<()>> {
        self.change(room, |channel| {
            channel.guests += 1;
            if channel.is_confirmed() {
                return None;
            }
            let (sender, confirmed) = oneshot::channel();
            channel.waiting.retain(|waiting| !waiting.is_canceled());
            channel.waiting.push(sender);
            Some(confirmed)
        })
    }

    /// Takes a guest off, and says whether it was the last.
    pub(super) fn leave(&self, room: &str) -> bool {
        self.change(room, |channel| {
            channel.guests -= 1;
            channel.guests == 0
        })
    }

    fn change<R>(&self, room: &str, change: impl FnOnce(&mut Channel) -> R) -> R {
        let mut state = self.0.borrow_mut();
        let result = change(state.channels.entry(room.to_owned()).or_default());
        state.changed.insert(room.to_owned());
        state.forget_if_over(room);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Waits until Redis is to be told something: rooms, each with whether to subscribe to it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn changes(&self) -> Vec<(String, bool)> {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            let changes = state.changes();
            if changes.is_empty() {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(changes)
        })
        .await
    }

    /// Redis has subscribed this node to a room.
    pub(super) fn confirm(&self, room: &str) {
        let mut state = self.0.borrow_mut();
        let Some(channel) = state.channels.get_mut(room) else { return };
        channel.unconfirmed = channel.unconfirmed.saturating_sub(1);
        let waiting = if channel.is_confirmed() { mem::take(&mut channel.waiting) } else { Vec::new() };
        state.forget_if_over(room);
        drop(state);
        for waiting in waiting {
            let _ = waiting.send(());
        }
    }

    /// Whether every room with members is listened to.
    pub(super) fn are_confirmed(&self) -> bool {
        self.0.borrow().channels.values().all(|channel| channel.guests == 0 || channel.is_confirmed())
    }

    /// Redis knows of none any more, and nobody waits for it.
    pub(super) fn forget(&self) {
        let mut state = self.0.borrow_mut();
        let mut waiting = Vec::new();
        for channel in state.channels.values_mut() {
            waiting.append(&mut channel.waiting);
            *channel = Channel { guests: channel.guests, ..Channel::default() };
        }
        state.channels.retain(|_, channel| !channel.is_over());
        state.changed = state.channels.keys().cloned().collect();
        // Who waits is woken by the drop.
        drop(state);
        drop(waiting);
    }
}

impl State {
    fn changes(&mut self) -> Vec<(String, bool)> {
        let mut changes = Vec::new();
        for room in mem::take(&mut self.changed) {
            let Some(channel) = self.channels.get_mut(&room) else { continue };
            let is_wanted = channel.guests > 0;
            if is_wanted != channel.is_asked {
                channel.is_asked = is_wanted;
                channel.unconfirmed += usize::from(is_wanted);
                changes.push((room.clone(), is_wanted));
            }
            self.forget_if_over(&room);
        }
        changes
    }

    fn forget_if_over(&mut self, room: &str) {
        if self.channels.get(room).is_some_and(Channel::is_over) {
            self.channels.remove(room);
            self.changed.remove(room);
        }
    }
}
