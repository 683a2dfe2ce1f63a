//! The executor's clock: that of the machine, or one that stands still until it is moved.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use super::sleep::after;
use crate::context;
use crate::handle::Handle;
use crate::task::yield_now;

pub(crate) struct Clock {
    hands: Cell<Hands>,
    /// How many guards keep it from being moved where nothing is left to run.
    holds: Cell<usize>,
    /// In a simulation: how the clock went before.
    before: Cell<Option<Hands>>,
    /// What the machine's clock said when the executor last began to run.
    began: Cell<Instant>,
    /// What it said when it was first asked in this turn of the loop.
    turn: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Default)]
enum Hands {
    /// The machine's clock.
    #[default]
    Machine,
    /// Stands still.
    Paused { at: Instant },
    /// Goes at the machine's pace, from where it stood when the machine's clock said `then`.
    Resumed { at: Instant, then: Instant },
}

impl Clock {
    pub(crate) fn new() -> Self {
        let began = Cell::new(Instant::now());
        Self { hands: Cell::default(), holds: Cell::new(0), before: Cell::new(None), began, turn: Cell::new(None) }
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self.hands.get() {
            Hands::Paused { at } => at,
            _ => self.at(Instant::now()),
        }
    }

    /// A turn of the loop begins: just now the executor woke at `moment` of the machine's clock, if it slept.
    pub(crate) fn begin_turn(&self, moment: Option<Instant>) {
        self.turn.set(moment);
    }

    /// The present, or a moment of the same turn before it.
    #[inline]
    pub(crate) fn coarse_now(&self) -> Instant {
        let machine = self.turn.get().unwrap_or_else(|| {
            let now = Instant::now();
            self.turn.set(Some(now));
            now
        });
        self.at(machine)
    }

    /// What it says when the machine's clock says `moment`.
    #[inline]
    pub(crate) fn at(&self, moment: Instant) -> Instant {
        match self.hands.get() {
            Hands::Machine => moment,
            Hands::Paused { at } => at,
            Hands::Resumed { at, then } => at + moment.saturating_duration_since(then),
        }
    }

    /// What the machine's clock says when this one, which goes, says `moment`.
    #[inline]
    pub(crate) fn machine_at(&self, moment: Instant) -> Instant {
        match self.hands.get() {
            Hands::Resumed { at, then } => after(then, moment.saturating_duration_since(at)),
            _ => moment,
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.hands.get(), Hands::Paused { .. })
    }

    /// Whether the executor may move it.
    pub(crate) fn is_free(&self) -> bool {
        self.is_paused() && self.holds.get() == 0
    }

    fn pause(&self) {
        self.hands.set(Hands::Paused { at: self.now() });
    }

    fn resume(&self) {
        self.hands.set(Hands::Resumed { at: self.now(), then: Instant::now() });
    }

    /// The executor begins to run. In a simulation the clock stands still, and is moved by the executor alone. It goes on
    /// so in the next, until the executor runs in the world again.
    pub(crate) fn begin(&self, is_simulation: bool) {
        self.began.set(Instant::now());
        self.begin_turn(None);
        match (self.before.get(), is_simulation) {
            (None, true) => {
                self.before.set(Some(self.hands.get()));
                self.pause();
            }
            (Some(hands), false) => {
                self.before.set(None);
                self.hands.set(hands);
            }
            _ => {}
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        self.before.get().is_some()
    }

    /// The moment that is as far away from this clock's present as `moment` is from the machine's. In a simulation the
    /// machine's stands still too, so that it changes nothing of the order.
    pub(crate) fn translate(&self, moment: Instant) -> Instant {
        let machine = if self.is_simulated() { self.began.get() } else { Instant::now() };
        match self.hands.get() {
            Hands::Machine => moment,
            _ => after(self.now(), moment.saturating_duration_since(machine)),
        }
    }

    /// Moves it, never back.
    pub(crate) fn advance_to(&self, moment: Instant) {
        self.hands.set(Hands::Paused { at: self.now().max(moment) });
    }
}

/// The present moment of the executor that runs on this thread, which is the machine's unless it was [`pause`]d. Where
/// no executor runs it is the machine's.
pub fn now() -> Instant {
    context::with(|core| core.map(|core| core.clock.now())).unwrap_or_else(Instant::now)
}

/// As [`now`], but the machine's clock is read only once in a turn of the loop: what it gives may lie before the present,
/// by no more than the turn has lasted. For deadlines that are far away, and set often: idle timeouts, say.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, time};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let moment = time::coarse_now();
///     assert_eq!(time::coarse_now(), moment, "the turn is the same");
///     assert!(moment <= time::now());
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[inline]
pub fn coarse_now() -> Instant {
    context::with(|core| core.map(|core| core.clock.coarse_now())).unwrap_or_else(Instant::now)
}

/// Stops the clock of the executor that runs on this thread, so that a test of hours takes milliseconds.
///
/// From now on time passes only by [`advance`], and by itself where the executor would otherwise sleep: when no task is
/// ready, nothing was posted, a look at the driver brought nothing, and nobody [`hold`]s the clock, it moves to the
/// next deadline. A socket that waits does not keep it from moving.
///
/// # Panics
///
/// Outside an executor, and when the clock stands still already. In a [simulation](crate::sim), whose clock always does,
/// it changes nothing.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use pollywog_executor::{Executor, driver::ThreadDriver, time};
///
/// let start = Instant::now();
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     time::pause();
///     let start = time::now();
///     time::sleep(Duration::from_secs(3 * 3600)).await;
///     assert_eq!(time::now() - start, Duration::from_secs(3 * 3600));
/// });
/// assert!(start.elapsed() < Duration::from_secs(3600));
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[track_caller]
pub fn pause() {
    let core = context::expect("`time::pause`");
    assert!(!core.clock.is_paused() || core.clock.is_simulated(), "the clock stands still already");
    core.clock.pause();
}

/// Lets a paused clock go on, from the moment at which it stands.
///
/// # Panics
///
/// Outside an executor, when the clock is not paused, and in a [simulation](crate::sim).
#[track_caller]
pub fn resume() {
    let core = context::expect("`time::resume`");
    assert!(core.clock.is_paused(), "the clock is not paused");
    assert!(!core.clock.is_simulated(), "a simulation has no other clock to go on with");
    core.clock.resume();
}

/// Moves a paused clock by `duration`. When this is ready, tasks whose timers are due by then have run, and those that
/// they woke, until all of them wait again; but for at most a hundred turns, lest one that never waits keeps it.
///
/// # Panics
///
/// Outside an executor, when the clock is not paused, and when it would be moved more than 500 years from where the
/// executor began: at once, not when awaited.
///
/// # Cancel safety
///
/// The clock is moved by the call itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pollywog_executor::{Executor, driver::ThreadDriver, spawn, time};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     time::pause();
///     let task = spawn(time::sleep(Duration::from_secs(60)));
///     time::advance(Duration::from_secs(59)).await;
///     assert!(!task.is_finished());
///     time::advance(Duration::from_secs(1)).await;
///     assert!(task.is_finished());
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[track_caller]
pub fn advance(duration: Duration) -> impl Future<Output = ()> {
    let core = context::expect("`time::advance`");
    assert!(core.clock.is_paused(), "the clock is not paused: call `time::pause` first");
    let moment = after(core.clock.now(), duration);
    assert!(core.timers.borrow().reach(moment), "the clock cannot be moved more than 500 years");
    core.clock.advance_to(moment);
    async move {
        for _ in 0..100 {
            yield_now().await;
            if !core.has_work() {
                break;
            }
        }
    }
}

/// Keeps a paused clock from moving by itself while the guard lives: for work on other threads, which the executor
/// cannot see. `spawn_blocking` does it for its own. Where no executor runs, there is nothing to hold.
///
/// # Examples
///
/// ```
/// use std::{thread, time::Duration};
/// use futures::channel::oneshot;
/// use pollywog_executor::{Executor, driver::ThreadDriver, time};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     time::pause();
///     let (send, receive) = oneshot::channel();
///     let hold = time::hold();
///     thread::spawn(move || {
///         let _ = send.send(42);
///         drop(hold);
///     });
///     // Without the hold, the hour would be over at once.
///     assert_eq!(time::timeout(Duration::from_secs(3600), receive).await.unwrap(), Ok(42));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn hold() -> Hold {
    let core = context::current();
    if let Some(core) = &core {
        core.clock.holds.update(|holds| holds + 1);
    }
    Hold { executor: core.map(|core| Handle::new(&core)) }
}

/// The guard of [`hold`]; it may be dropped on any thread.
#[derive(Debug)]
#[must_use = "the clock is held until this is dropped"]
pub struct Hold {
    executor: Option<Handle>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(executor) = self.executor {
            executor.send(Box::new(|core| core.clock.holds.update(|holds| holds - 1)));
        }
    }
}
