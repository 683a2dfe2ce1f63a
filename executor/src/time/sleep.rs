//! A future that is ready at a moment.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::now;
use super::table::TimerKey;
use crate::budget;
use crate::context;
use crate::core::Core;
use crate::key::ExecutorId;
use crate::registry;

/// As far away as a deadline gets: thirty years, as in tokio. Not every clock can say more.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Waits until `duration` has passed from this call, never less. The clock is read here; no executor is needed before
/// the first poll. What is 584 years away, or more, never comes.
///
/// # Cancel safety
///
/// Dropping the future takes its timer out; a later `sleep` starts anew.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use pollywog_executor::{Executor, driver::ThreadDriver, time::sleep};
///
/// let start = Instant::now();
/// Executor::new()?.block_on(&mut ThreadDriver::new(), sleep(Duration::from_millis(2)));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let timer = if context::with(|core| core.is_some()) { Timer::Unset } else { Timer::Outside };
    Sleep { deadline: after(now(), duration), timer }
}

/// The moment `duration` after `moment`, or one that is far.
pub(super) fn after(moment: Instant, duration: Duration) -> Instant {
    moment.checked_add(duration).unwrap_or_else(|| moment + FAR)
}

/// Waits until `deadline`; one that has passed is ready at the first poll.
///
/// # Cancel safety
///
/// Dropping the future takes its timer out.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: Timer::Unset }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It may move between executors: the next poll sets its timer there and takes the old one back.
///
/// # Panics
///
/// Polling panics outside an executor, and when 2^24 − 1 timers are set.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    timer: Timer,
}

#[derive(Clone, Copy)]
enum Timer {
    Unset,
    /// As well, and the deadline is by the machine's clock, since no executor ran: the first poll translates it.
    Outside,
    Set(ExecutorId, TimerKey),
}

impl Sleep {
    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        now() >= self.deadline
    }

    /// Moves the deadline. A task that waits already learns of it when it polls next, so reset what you hold, then
    /// await it.
    pub fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
    }

    /// The poll, which costs no budget.
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let core = context::expect("a `Sleep` was polled");
        match self.timer {
            Timer::Set(executor, key) if executor == core.id => {
                if core.renew_timer(self.deadline, key, cx.waker()) {
                    return Poll::Pending;
                }
                // It fired, or it belonged to an executor before this one of the same number.
            }
            Timer::Set(..) => self.cancel(),
            Timer::Outside => self.deadline = core.clock.translate(self.deadline),
            Timer::Unset => {}
        }
        self.timer = Timer::Unset;
        if self.is_elapsed() {
            return Poll::Ready(());
        }
        let (number, waker) = (core.next_sequence(), cx.waker().clone());
        self.timer = Timer::Set(core.id, core.timers.borrow_mut().set(self.deadline, number, waker));
        Poll::Pending
    }

    /// Takes the timer out, wherever it was set.
    fn cancel(&mut self) {
        let Timer::Set(executor, key) = mem::replace(&mut self.timer, Timer::Unset) else { return };
        let deadline = self.deadline;
        match context::with(|core| core.filter(|core| core.id == executor).cloned()) {
            Some(core) => core.remove_timer(deadline, key),
            // A later executor of that number finds nothing under the key.
            None => registry::send(executor, u64::MAX, Box::new(move |core| core.remove_timer(deadline, key))),
        }
    }
}

impl Core {
    fn remove_timer(&self, deadline: Instant, key: TimerKey) {
        let waker = self.timers.borrow_mut().remove(deadline, key);
        drop(waker);
    }

    /// Whether the timer is still set; if so, with this waker.
    fn renew_timer(&self, deadline: Instant, key: TimerKey, waker: &Waker) -> bool {
        let is_same = match self.timers.borrow_mut().waker(deadline, key) {
            None => return false,
            // Compares two pointers; the waker itself is foreign.
            Some(old) => old.will_wake(waker),
        };
        if !is_same {
            let mut waker = waker.clone();
            if let Some(old) = self.timers.borrow_mut().waker(deadline, key) {
                mem::swap(old, &mut waker);
            }
            drop(waker);
        }
        true
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Timer::Set(..) = self.timer {
            return self.poll_elapsed(cx);
        }
        // Due at the first poll, again and again, it would keep the thread; one that has waited has given way.
        budget::charge(cx, |cx| self.poll_elapsed(cx))
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
