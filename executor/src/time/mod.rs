//! Waiting for a moment: [`sleep`], [`sleep_until`], [`timeout`].
//!
//! A timer costs no system call: it is an entry in a table of its executor, and the nearest deadline becomes the
//! timeout of the driver's sleep. Nothing fires early; how late depends on the driver (epoll counts milliseconds, and
//! is asked to round up) and on the polls that are under way. Time is that of [`Instant`], which on Linux stands
//! still while the machine is suspended.

mod sleep;
pub(crate) mod table;
mod timeout;

use crate::core::Core;
use crate::driver::wake_all;

pub use self::sleep::{Sleep, sleep, sleep_until};
pub use self::timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use std::time::{Duration, Instant};

impl Core {
    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.borrow().next_deadline()
    }

    /// Wakes whoever waits for a moment that has come. The clock is read once, and only when there is a timer.
    pub(crate) fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        let due = self.timers.borrow_mut().take_due(now);
        wake_all(due.into_values());
    }
}
