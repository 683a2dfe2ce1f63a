//! The queue of lines to a member.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::channel::mpsc;

/// Lines that wait for a member; each has four kilobytes or so at most.
const QUEUE: usize = 64;

/// Somebody who is told lines, in whatever room.
#[derive(Debug, Clone)]
pub(super) struct Member(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: RefCell<mpsc::Sender<Rc<str>>>,
    missed: Cell<u64>,
}

impl Member {
    /// And the lines that it is told.
    pub(super) fn new() -> (Self, mpsc::Receiver<Rc<str>>) {
        let (queue, lines) = mpsc::channel(QUEUE);
        (Self(Rc::new(Inner { queue: RefCell::new(queue), missed: Cell::new(0) })), lines)
    }

    /// Never waits: a line that does not fit is missed, and counted. Who is told nothing more misses nothing.
    pub(super) fn tell(&self, line: impl Into<Rc<str>>) {
        if self.0.queue.borrow_mut().try_send(line.into()).is_err_and(|error| error.is_full()) {
            self.0.missed.set(self.0.missed.get() + 1);
        }
    }

    /// How many lines were missed since the last call.
    pub(super) fn missed(&self) -> u64 {
        self.0.missed.take()
    }

    /// Tells nothing more: the queue ends after what stands in it.
    pub(super) fn close(&self) {
        self.0.queue.borrow_mut().close_channel();
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}
