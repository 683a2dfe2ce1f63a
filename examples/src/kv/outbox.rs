//! The messages that wait for a subscriber.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::MAX_OUTBOX;

/// Between those who publish and the task that writes to a subscriber. Publishing never waits: who reads too slowly for
/// what waits to stay below [`MAX_OUTBOX`] is cut off, as Redis does it.
#[derive(Debug, Default)]
pub struct Outbox {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Shared by all subscribers of a channel.
    messages: VecDeque<Bytes>,
    bytes: usize,
    is_cut_off: bool,
    waker: Option<Waker>,
}

impl Outbox {
    /// Who is to be woken, once nothing is borrowed any more.
    pub(super) fn push(&self, message: &Bytes) -> Option<Waker> {
        let mut state = self.state.borrow_mut();
        if state.is_cut_off {
            return None;
        }
        state.bytes += message.len();
        if state.bytes > MAX_OUTBOX {
            state.is_cut_off = true;
            state.messages = VecDeque::new();
        } else {
            state.messages.push_back(message.clone());
        }
        state.waker.take()
    }

    /// Moves messages behind what `out` holds, until that is `most` bytes or the next would be more. At least one, if
    /// there is one.
    pub fn take(&self, out: &mut BytesMut, most: usize) {
        let mut state = self.state.borrow_mut();
        while let Some(message) = state.messages.front()
            && (out.is_empty() || out.len() + message.len() <= most)
        {
            out.extend_from_slice(message);
            state.bytes -= message.len();
            state.messages.pop_front();
        }
        if state.messages.is_empty() {
            state.messages = VecDeque::new();
        }
    }

    /// Waits until a message is there.
    ///
    /// # Errors
    ///
    /// When its owner was too slow: there are no messages any more.
    pub fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Result<(), TooSlow>> {
        self.poll_until(cx, |state| match state.is_cut_off {
            true => Some(Err(TooSlow)),
            false if state.messages.is_empty() => None,
            false => Some(Ok(())),
        })
    }

    /// Waits until its owner has been too slow.
    pub fn poll_too_slow(&self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        self.poll_until(cx, |state| state.is_cut_off.then_some(TooSlow))
    }

    /// Whoever waits does so in the task of the connection: there is one waker.
    fn poll_until<R>(&self, cx: &mut Context<'_>, look: impl FnOnce(&State) -> Option<R>) -> Poll<R> {
        let found = look(&self.state.borrow());
        if let Some(found) = found {
            return Poll::Ready(found);
        }
        let waker = cx.waker().clone();
        let displaced = self.state.borrow_mut().waker.replace(waker);
        drop(displaced);
        Poll::Pending
    }
}

/// More than [`MAX_OUTBOX`] bytes of messages would have waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a subscriber reads too slowly: more than {MAX_OUTBOX} bytes would have waited for it")
    }
}

impl std::error::Error for TooSlow {}
