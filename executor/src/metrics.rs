//! What an executor has done so far.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::context;
use crate::core::Core;

/// A snapshot of an executor's counters, which began at zero with it.
///
/// It is taken with [`Executor::metrics`](crate::Executor::metrics) or, inside, [`Metrics::current`]. Counting costs a
/// few additions on the executor's own memory, and two readings of the clock for each sleep.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, Metrics, driver::ThreadDriver, spawn};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     spawn(async {}).await.unwrap();
///     let metrics = Metrics::current();
///     assert_eq!((metrics.spawned, metrics.alive), (1, 0));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that are not finished.
    pub alive: usize,
    /// Tasks spawned.
    pub spawned: u64,
    /// Polls of tasks, and of the future of `block_on`.
    pub polls: u64,
    /// Wakes that queued a task, on the executor's thread: by another task, a timer, the driver, an abort.
    pub wakes_local: u64,
    /// Wakes that queued a task, through the mailbox: from other threads, and while the executor did not run.
    pub wakes_remote: u64,
    /// Looks at the driver, with or without sleep.
    pub turns: u64,
    /// Sleeps in the driver.
    pub parks: u64,
    /// How long it ran.
    pub busy: Duration,
    /// How long it slept.
    pub parked: Duration,
    /// Timers that are set.
    pub timers: usize,
    /// Operations that were put off because their task's budget was used up.
    pub forced_yields: u64,
}

impl Metrics {
    /// The counters of the executor that runs on this thread.
    ///
    /// # Panics
    ///
    /// Outside an executor.
    #[track_caller]
    pub fn current() -> Self {
        context::expect("`Metrics::current`").metrics()
    }
}

/// The counters that no table keeps.
#[derive(Default)]
pub(crate) struct Counters {
    wakes_remote: Cell<u64>,
    turns: Cell<u64>,
    parks: Cell<u64>,
    busy: Cell<Duration>,
    parked: Cell<Duration>,
    /// Since when it runs; `None` while it does not.
    running: Cell<Option<Instant>>,
    forced_yields: Cell<u64>,
}

impl Counters {
    /// It begins to run.
    pub(crate) fn start(&self) {
        self.running.set(Some(Instant::now()));
    }

    /// It runs no more.
    pub(crate) fn stop(&self) {
        self.busy.set(self.busy_at(Instant::now()));
        self.running.set(None);
    }

    fn busy_at(&self, now: Instant) -> Duration {
        self.busy.get() + self.running.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(crate) fn count_sleep(&self, start: Instant, end: Instant) {
        self.busy.set(self.busy_at(start));
        self.running.set(Some(end));
        self.parks.update(|parks| parks + 1);
        self.parked.update(|parked| parked + end.saturating_duration_since(start));
    }

    pub(crate) fn count_turn(&self) {
        self.turns.update(|turns| turns + 1);
    }

    pub(crate) fn count_remote_wakes(&self, wakes: u64) {
        self.wakes_remote.update(|before| before + wakes);
    }

    pub(crate) fn count_forced_yield(&self) {
        self.forced_yields.update(|yields| yields + 1);
    }
}

impl Core {
    pub(crate) fn metrics(&self) -> Metrics {
        let counters = &self.counters;
        let tasks = self.tasks.borrow();
        Metrics {
            alive: tasks.alive,
            spawned: tasks.spawned,
            polls: tasks.polls,
            wakes_local: tasks.wakes - counters.wakes_remote.get(),
            wakes_remote: counters.wakes_remote.get(),
            turns: counters.turns.get(),
            parks: counters.parks.get(),
            busy: counters.busy_at(Instant::now()),
            parked: counters.parked.get(),
            timers: self.timers.borrow().len(),
            forced_yields: counters.forced_yields.get(),
        }
    }
}
