//! The plug between the executor and whatever it sleeps on.
//!
//! The executor knows no operating system: it owns the loop and the order, and asks a [`Driver`] to sleep. The driver
//! is an argument of [`Executor::block_on`](crate::Executor::block_on), so that one executor can run on a reactor, on
//! a bare thread, or on a test's script.
//!
//! The rest of this module is what a driver is built from: [`Slots`] and [`Key`]s for its own tables, [`TaskId`] for
//! the tasks it reports ready, and [`post`] to reach the thread of another executor.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Instant;

use waker_fn::waker_fn;

use crate::contain::contain_quietly;

pub use crate::key::{ExecutorId, Key, MAX_EXECUTORS, MAX_SLOTS, Sequence};
pub use crate::registry::post;
pub use crate::slots::Slots;
pub use crate::waker::TaskId;

/// What an executor sleeps on.
///
/// # Examples
///
/// A driver that never sleeps, for a loop that polls its devices itself:
///
/// ```
/// use std::task::Waker;
/// use pollywog_executor::{Executor, driver::{Driver, Park, TaskId}, task::yield_now};
///
/// struct Busy { looks: u32 }
///
/// impl Driver for Busy {
///     fn unparker(&self) -> Waker {
///         Waker::noop().clone() // it never sleeps, so nobody has to wake it
///     }
///     fn park(&mut self, _park: Park, _ready: &mut Vec<TaskId>) {
///         self.looks += 1;
///     }
/// }
///
/// let mut driver = Busy { looks: 0 };
/// Executor::new()?.block_on(&mut driver, yield_now());
/// assert_eq!(driver.looks, 1, "a yield lets the driver have a look");
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub trait Driver {
    /// A waker that ends a [`park`](Self::park) from any thread. It is sticky: called while nobody is parked, it ends
    /// the next park at once.
    fn unparker(&self) -> Waker;

    /// Sleeps until it is unparked or something happened, and no longer than `park` allows. Pushes the tasks that
    /// became ready onto `ready`.
    ///
    /// It may return early for no reason, but not for ever: the executor would spin. It may wake wakers of its own,
    /// with nothing of its own borrowed.
    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>);

    /// Whether nothing outside ever wakes a task. Then time is virtual, and where no task can ever run again `block_on`
    /// panics with a list of the tasks instead of sleeping for ever: see [`SimDriver`](crate::sim::SimDriver).
    fn is_simulation(&self) -> bool {
        false
    }
}

/// How long a [`park`](Driver::park) may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Park {
    /// It does not sleep, and only looks at what has happened.
    Look,
    /// Until that moment of the machine's clock, which may have passed. While the nearest deadline stays the same,
    /// every park gets the same moment.
    Until(Instant),
    /// As long as nothing happens.
    Unlimited,
}

/// Wakes wakers that may be of any make. A panic of one is printed by the panic hook and goes no further, so that the
/// others are woken and the loop runs on.
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        contain_quietly(|| waker.wake());
    }
}

/// A driver without I/O: it parks the thread it was made on.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver};
///
/// let executor = Executor::new()?;
/// assert_eq!(executor.block_on(&mut ThreadDriver::new(), async { 6 * 7 }), 42);
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub struct ThreadDriver {
    shared: Arc<Bell>,
    /// It parks the thread that made it, so it stays there.
    _not_send: PhantomData<*const ()>,
}

/// User code can use up the token of `thread::park`, so the flag is what counts and the token only wakes.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl ThreadDriver {
    /// A driver for the current thread.
    pub fn new() -> Self {
        let shared = Arc::new(Bell { rung: AtomicBool::new(false), thread: thread::current() });
        Self { shared, _not_send: PhantomData }
    }
}

impl Default for ThreadDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for ThreadDriver {
    fn unparker(&self) -> Waker {
        let bell = self.shared.clone();
        waker_fn(move || {
            bell.rung.store(true, Ordering::Release);
            bell.thread.unpark();
        })
    }

    fn park(&mut self, park: Park, _ready: &mut Vec<TaskId>) {
        while !self.shared.rung.swap(false, Ordering::Acquire) {
            match park {
                Park::Look => return,
                Park::Unlimited => thread::park(),
                Park::Until(end) => match end.saturating_duration_since(Instant::now()) {
                    rest if rest.is_zero() => return,
                    rest => thread::park_timeout(rest),
                },
            }
        }
    }
}

impl fmt::Debug for ThreadDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadDriver").field("thread", &self.shared.thread.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_unpark_that_came_first_ends_the_next_park_even_when_user_code_took_the_token() {
        let mut driver = ThreadDriver::new();
        driver.unparker().wake();
        thread::park(); // user code that takes our token
        driver.park(Park::Unlimited, &mut Vec::new());
    }

    #[test]
    fn a_token_of_user_code_does_not_end_a_timed_park_early() {
        let mut driver = ThreadDriver::new();
        let end = Instant::now() + Duration::from_millis(5);
        thread::current().unpark();
        driver.park(Park::Until(end), &mut Vec::new());
        assert!(Instant::now() >= end);
    }
}
