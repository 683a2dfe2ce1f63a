//! A future that is ready at a moment.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::table::Place;
use crate::context;
use crate::core::Core;
use crate::registry;
use crate::task::Id;

/// As far away as a deadline gets: thirty years, as in tokio. Not every clock can say more.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Waits until `duration` has passed from this call, never less. The clock is read here; no executor is needed before
/// the first poll.
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
    let now = Instant::now();
    sleep_until(now.checked_add(duration).unwrap_or(now + FAR))
}

/// Waits until `deadline`; one that has passed is ready at the first poll.
///
/// # Cancel safety
///
/// Dropping the future takes its timer out.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It may move between executors: the next poll sets its timer there and takes the old one back.
///
/// # Panics
///
/// Polling panics outside an executor.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    /// The executor and the number of the timer, once one is set.
    timer: Option<Id>,
}

impl Sleep {
    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Moves the deadline. A task that waits already learns of it when it polls next, so reset what you hold, then
    /// await it.
    pub fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
    }

    fn place(&self, timer: Id) -> Place {
        (self.deadline, timer.sequence())
    }

    /// Takes the timer out, wherever it was set.
    fn cancel(&mut self) {
        let Some(timer) = self.timer.take() else { return };
        let place = self.place(timer);
        match context::with(|core| core.filter(|core| core.id == timer.executor()).cloned()) {
            Some(core) => drop(core.remove_timer(&place)),
            None => registry::send(timer.executor(), Box::new(move |core| drop(core.remove_timer(&place)))),
        }
    }
}

impl Core {
    fn remove_timer(&self, place: &Place) -> Option<Waker> {
        self.timers.borrow_mut().remove(place)
    }

    /// Whether the timer is still set; if so, with this waker.
    fn renew_timer(&self, place: Place, waker: &Waker) -> bool {
        let is_same = match self.timers.borrow().get(&place).map(|old| (old.data(), old.vtable())) {
            None => return false,
            // What `will_wake` compares; the waker itself is foreign.
            Some((data, vtable)) => data == waker.data() && std::ptr::eq(vtable, waker.vtable()),
        };
        if !is_same {
            self.set_timer(place, waker.clone());
        }
        true
    }

    fn set_timer(&self, place: Place, waker: Waker) {
        let old = self.timers.borrow_mut().set(place, waker);
        drop(old);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let core = context::expect("a `Sleep` was polled");
        if self.timer.is_some_and(|timer| timer.executor() != core.id) {
            self.cancel();
        }
        if let Some(timer) = self.timer {
            if core.renew_timer(self.place(timer), cx.waker()) {
                return Poll::Pending;
            }
            // It fired, or it belonged to an executor before this one of the same number.
            self.timer = None;
        }
        if self.is_elapsed() {
            return Poll::Ready(());
        }
        let timer = Id::new(core.id, core.next_sequence());
        core.set_timer(self.place(timer), cx.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
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
