//! A tick at regular moments.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::sleep::after;
use super::{Sleep, now, sleep, sleep_until};

/// How late a tick may be before it counts as missed, as in tokio.
const LATE: Duration = Duration::from_millis(5);

/// A tick every `period`; the first at once.
///
/// # Panics
///
/// When `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pollywog_executor::{Executor, driver::ThreadDriver, time::{self, interval}};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     time::pause();
///     let mut ticks = interval(Duration::from_secs(10));
///     let start = ticks.tick().await;
///     ticks.tick().await;
///     assert_eq!(ticks.tick().await, start + Duration::from_secs(20));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    from(sleep(Duration::ZERO), period)
}

/// As [`interval`], with the moment of the first tick.
///
/// # Panics
///
/// When `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    from(sleep_until(start), period)
}

#[track_caller]
fn from(first: Sleep, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval of zero would tick for ever");
    Interval { next: first, period, missed: MissedTickBehavior::Burst }
}

/// What an [`Interval`] does when ticks were missed because nobody asked in time. One that is up to five milliseconds
/// late counts as in time, as in tokio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// Tick at once until it has caught up with its plan.
    #[default]
    Burst,
    /// Tick a whole period after the late tick, and so on from there.
    Delay,
    /// Leave out what was missed, and tick at the next moment of the plan.
    Skip,
}

/// Made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    next: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and says for which moment it was planned.
    ///
    /// # Panics
    ///
    /// Outside an executor.
    ///
    /// # Cancel safety
    ///
    /// No tick is lost: it is counted when this is ready.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll behind [`tick`](Self::tick). The waker of the latest call is the one that is woken.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.next).poll(cx));
        let planned = self.next.deadline();
        let now = now();
        let late = now.saturating_duration_since(planned);
        let next = match self.missed {
            MissedTickBehavior::Delay if late > LATE => after(now, self.period),
            MissedTickBehavior::Skip if late > LATE => {
                let into = late.as_nanos() % self.period.as_nanos();
                let into = Duration::new((into / 1_000_000_000) as u64, (into % 1_000_000_000) as u32);
                after(now, self.period - into)
            }
            _ => after(planned, self.period),
        };
        self.next.reset(next);
        Poll::Ready(planned)
    }

    /// Has the next tick a whole period from now.
    pub fn reset(&mut self) {
        self.next.reset(after(now(), self.period));
    }

    /// Has the next tick now.
    pub fn reset_immediately(&mut self) {
        self.next.reset(now());
    }

    /// Has the next tick `duration` from now; those behind it come each period from there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollywog_executor::{Executor, driver::ThreadDriver, time::{self, interval}};
    ///
    /// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
    ///     time::pause();
    ///     let (mut ticks, start) = (interval(Duration::from_secs(10)), time::now());
    ///     ticks.reset_after(Duration::from_secs(3));
    ///     assert_eq!(ticks.tick().await, start + Duration::from_secs(3));
    ///     assert_eq!(ticks.tick().await, start + Duration::from_secs(13));
    /// });
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    pub fn reset_after(&mut self, duration: Duration) {
        self.next.reset(after(now(), duration));
    }

    /// Has the next tick at `deadline`, at once where that has passed; those behind it come each period from there. See
    /// [`reset_after`](Self::reset_after).
    pub fn reset_at(&mut self, deadline: Instant) {
        self.next.reset(deadline);
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Says what to do about missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}
