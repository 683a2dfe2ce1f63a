//! Waiting for a moment: [`sleep`], [`timeout`], [`interval`]; and a clock that can be [`pause`]d.
//!
//! Setting and dropping a timer makes no system call: it is an entry in a table of its executor, and the driver is
//! told of the nearest deadline alone. Nothing fires early; how late depends on the driver (that of `pollywog-net` is
//! up to a millisecond late on Linux) and on the polls that are under way. Time is that of [`Instant`], which on Linux
//! stands still while the machine is suspended.

pub(crate) mod clock;
mod interval;
mod sleep;
pub(crate) mod table;
mod timeout;

use crate::core::Core;
use crate::driver::wake_all;

pub use self::clock::{Hold, advance, coarse_now, hold, now, pause, resume};
pub use self::interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use self::sleep::{Sleep, sleep, sleep_until};
pub use self::timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use std::time::{Duration, Instant};

impl Core {
    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow().next_deadline()
    }

    /// Wakes whoever waits for a moment that has come. The clock is read only when there is a timer, and not again
    /// where the executor has just woken.
    pub(crate) fn fire_timers(&self) {
        let Some(deadline) = self.next_deadline() else { return };
        let now = self.clock.coarse_now();
        if deadline > now {
            return;
        }
        let mut due = Vec::new();
        self.timers.borrow_mut().take_due(now, &mut due);
        wake_all(due);
    }
}
