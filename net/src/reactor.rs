//! The reactor: mio's selector as the executor's driver.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Token};
use pollywog_executor::driver::{Driver, ExecutorId, Key, Park, TaskId, wake_all};
use waker_fn::waker_fn;

use crate::alarm::Alarm;
use crate::context;
use crate::sources::{Direction, Sources};
use crate::trace;

/// How many events one turn takes in at most; the rest is there at the next.
const EVENTS_PER_TURN: usize = 1024;

/// Names no source: keys are never zero.
const UNPARK: Token = Token(0);

/// Names no source either: no table has so many slots.
pub(crate) const ALARM: Token = Token(usize::MAX);

/// What sleeps and turns.
pub(crate) struct Reactor {
    pub(crate) shared: Rc<Shared>,
    poll: Poll,
    events: Events,
    unpark: Arc<mio::Waker>,
    alarm: Alarm,
    /// Wakers of other makes, gathered with the table borrowed and woken without.
    foreign: Vec<Waker>,
}

/// What sockets of this thread reach. In this order: what every operation looks at lies together.
#[repr(C)]
pub(crate) struct Shared {
    pub(crate) id: ExecutorId,
    pub(crate) sources: RefCell<Sources>,
    pub(crate) registry: Arc<mio::Registry>,
    /// Directions that were polled here when another thread took them over, until their tasks had a turn; with their
    /// keys there.
    pub(crate) handed_over: RefCell<HashSet<(Key, Direction)>>,
    /// The descriptors that sources have borrowed.
    pub(crate) borrowed: RefCell<HashMap<Key, RawFd>>,
    closing: Cell<bool>,
    /// What is lent to readers, while this reactor is not the thread's.
    pub(crate) buffer: Cell<Option<Box<[u8]>>>,
}

impl Reactor {
    pub(crate) fn new(id: ExecutorId) -> io::Result<Self> {
        let poll = Poll::new()?;
        let unpark = Arc::new(mio::Waker::new(poll.registry(), UNPARK)?);
        let alarm = Alarm::new(poll.registry())?;
        let registry = Arc::new(poll.registry().try_clone()?);
        let sequence = context::publish(id, registry.clone());
        let shared = Rc::new(Shared {
            id,
            sources: RefCell::new(Sources::new(id, sequence)),
            registry,
            handed_over: RefCell::default(),
            borrowed: RefCell::default(),
            closing: Cell::new(false),
            buffer: Cell::new(None),
        });
        Ok(Self { shared, poll, events: Events::with_capacity(EVENTS_PER_TURN), unpark, alarm, foreign: Vec::new() })
    }

    /// The selector's descriptor.
    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Waits for events. A signal ends the wait: the executor looks at the clock, and comes again.
    fn select(&mut self, timeout: Option<Duration>) {
        if let Err(error) = self.poll.poll(&mut self.events, timeout) {
            // Nothing can be waited for any more, and going on would spin.
            assert!(error.kind() == io::ErrorKind::Interrupted, "waiting for events failed: {error}");
        }
    }
}

impl Driver for Reactor {
    fn unparker(&self) -> Waker {
        let unpark = self.unpark.clone();
        waker_fn(move || {
            // It is an eventfd: writing fails only when the descriptor is gone, and then nobody sleeps on it.
            let _ = unpark.wake();
        })
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        let timeout = match park {
            Park::Look => Some(Duration::ZERO),
            Park::Until(deadline) => self.alarm.timeout(deadline),
            Park::Unlimited => None,
        };
        self.select(timeout);
        let mut sources = self.shared.sources.borrow_mut();
        for event in self.events.iter() {
            let is_of_source = sources.event(event, |waker| match TaskId::of(&waker) {
                Some(task) => ready.push(task),
                None => self.foreign.push(waker),
            });
            if !is_of_source && event.token() == ALARM {
                self.alarm.rang();
            }
        }
        drop(sources);
        trace::events(&self.events);
        wake_all(self.foreign.drain(..));
    }
}

impl Shared {
    /// From now on nothing can be registered.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        context::withdraw(self.id, self.sources.borrow().sequence);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether a source here has borrowed the descriptor, whose owner may want to wait, too.
    pub(crate) fn is_borrowed(&self, fd: RawFd) -> bool {
        self.borrowed.borrow().values().any(|borrowed| *borrowed == fd)
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.shared.sources.try_borrow().map(|sources| sources.len()).ok();
        f.debug_struct("Reactor").field("id", &self.shared.id).field("sources", &sources).finish_non_exhaustive()
    }
}
