//! The loop.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::budget;
use crate::builder::{Builder, Settings};
use crate::context;
use crate::core::Core;
use crate::driver::{Driver, ExecutorId, Park};
use crate::handle::Handle;
use crate::join::JoinHandle;
use crate::mailbox::Mail;
use crate::metrics::Metrics;
use crate::registry::{Command, TooManyExecutors};
use crate::tasks::Popped;
use crate::waker::TaskId;

/// A single-threaded executor: it polls the tasks of one thread, and sleeps in a [`Driver`].
///
/// Dropping it drops its tasks, on this thread, inside its own context; their handles then say 'cancelled'.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver};
///
/// let executor = Executor::new()?;
/// let task = executor.spawn(async { "hello" });
/// let mut driver = ThreadDriver::new();
/// assert_eq!(executor.block_on(&mut driver, task).unwrap(), "hello");
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub struct Executor {
    core: Rc<Core>,
}

impl Executor {
    /// An executor with the default settings.
    ///
    /// # Errors
    ///
    /// When 1,024 executors are alive in this process.
    pub fn new() -> Result<Self, TooManyExecutors> {
        Self::builder().build()
    }

    /// Starts from the default settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn with(settings: Settings) -> Result<Self, TooManyExecutors> {
        Ok(Self { core: Rc::new(Core::new(settings)?) })
    }

    /// A handle that spawns from any thread.
    pub fn handle(&self) -> Handle {
        Handle::new(&self.core)
    }

    /// What it has done so far.
    pub fn metrics(&self) -> Metrics {
        self.core.metrics()
    }

    /// Which executor of the process this is.
    pub fn id(&self) -> ExecutorId {
        self.core.id
    }

    /// As [`spawn`](fn@crate::spawn), onto this executor, running or not.
    ///
    /// # Panics
    ///
    /// When 2^24 − 1 tasks are alive.
    #[track_caller]
    #[inline]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = self.core.spawn(future, None, Location::caller());
        self.core.tell_outer_loop();
        handle
    }

    /// Runs `future`, and with it every task, until `future` is done. Tasks that are not done by then wait for the
    /// next `block_on`.
    ///
    /// A wake is followed by its poll within a bounded time, if every poll and the number of tasks are bounded: the
    /// queue is first in, first out, and after [`event_interval`](Builder::event_interval) polls the driver has its
    /// turn.
    ///
    /// # Panics
    ///
    /// When an executor already runs on this thread, and with the panic of `future` itself; the executor is usable
    /// after both. With [`UnhandledPanic::ShutdownRuntime`](crate::UnhandledPanic::ShutdownRuntime), after a task
    /// panicked. In a [simulation](crate::sim), when no task can ever run again.
    pub fn block_on<F: Future>(&self, driver: &mut dyn Driver, future: F) -> F::Output {
        let core = &self.core;
        let mut running = Running::start(core, driver);
        let mut future = pin!(future);
        let waker = running.insert_root().waker();
        let mut turn = Turn::new(true);
        // An abort from before this call comes before the first poll.
        core.read_mail(&mut turn.mail);
        loop {
            for _ in 0..core.slice() {
                match core.pop() {
                    None => break,
                    Some(Popped::Task { key, id, task, aborted }) => core.run_task(key, id, task, aborted),
                    Some(Popped::Root) => {
                        budget::refill();
                        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                            return output;
                        }
                    }
                }
            }
            turn.take(core, driver);
        }
    }

    /// One turn of the loop, for a loop that has other things to do too (a window's, a game's, a test's): looks at the
    /// driver without sleeping, then runs at most [`event_interval`](Builder::event_interval) tasks. Returns whether
    /// there is more to do at once.
    ///
    /// When there is not, the next `tick` is due when the waker that [`on_wake`](Self::on_wake) was given is woken, when
    /// [`next_deadline`](Self::next_deadline) has come, and when the driver has an event.
    ///
    /// # Panics
    ///
    /// When an executor already runs on this thread, and after a task's panic where that shuts the executor down.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{sync::mpsc, time::{Duration, Instant}};
    /// use pollywog_executor::{Executor, driver::ThreadDriver, time::sleep};
    /// use waker_fn::waker_fn;
    ///
    /// // The outer loop has a queue of its own; a wake is one of its messages.
    /// let (send, receive) = mpsc::channel();
    /// let (executor, mut driver) = (Executor::new()?, ThreadDriver::new());
    /// executor.on_wake(waker_fn(move || {
    ///     let _ = send.send("tick");
    /// }));
    /// executor.spawn(sleep(Duration::from_millis(1)));
    /// loop {
    ///     if executor.tick(&mut driver) {
    ///         continue;
    ///     }
    ///     if !executor.has_tasks() {
    ///         break;
    ///     }
    ///     let until = executor.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
    ///     let _ = receive.recv_timeout(until.unwrap_or(Duration::MAX));
    /// }
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    pub fn tick(&self, driver: &mut dyn Driver) -> bool {
        let core = &self.core;
        let mut running = Running::start(core, driver);
        Turn::new(false).take(core, driver);
        for _ in 0..core.slice() {
            match core.pop() {
                Some(Popped::Task { key, id, task, aborted }) => core.run_task(key, id, task, aborted),
                _ => break,
            }
        }
        running.tells_outer_loop = false; // the result does
        drop(running);
        core.has_more()
    }

    /// Whether a task is not finished.
    pub fn has_tasks(&self) -> bool {
        self.core.tasks.borrow().alive > 0
    }

    /// When the next timer is due, by the machine's clock. Under a paused clock that is now, since the next tick moves
    /// it, or `None` while the clock is [held](crate::time::hold).
    pub fn next_deadline(&self) -> Option<Instant> {
        let core = &self.core;
        let deadline = core.next_deadline()?;
        match core.clock.is_paused() {
            false => Some(core.clock.machine_at(deadline)),
            true => (core.clock.is_free() || deadline <= core.clock.now()).then(Instant::now),
        }
    }

    /// Has `waker` woken whenever there is something to do and no `block_on` or [`tick`](Self::tick) is under way: by a
    /// wake or a spawn, from this thread or another.
    pub fn on_wake(&self, waker: Waker) {
        let displaced = self.core.outer_loop.replace(Some(Arc::new(waker)));
        drop(displaced);
        if !self.core.is_running_here() {
            self.core.mailbox.end_park();
            self.core.rest(true);
        }
    }
}

/// A turn of the loop, and what it keeps from one to the next.
struct Turn {
    may_sleep: bool,
    /// Whether the coming sleep was logged.
    told: bool,
    mail: Mail<Command>,
    ready: Vec<TaskId>,
}

impl Turn {
    fn new(may_sleep: bool) -> Self {
        Self { may_sleep, told: false, mail: Mail::new(), ready: Vec::new() }
    }

    /// Looks at the driver, or sleeps in it, and queues what is ready then.
    fn take(&mut self, core: &Rc<Core>, driver: &mut dyn Driver) {
        if self.may_sleep && !core.has_work() {
            core.before_sleep(&mut self.told);
        }
        let woke = self.sleep(core, driver);
        if woke.is_none() {
            driver.park(Park::Look, &mut self.ready);
        }
        core.clock.begin_turn(woke);
        core.counters.count_turn();
        core.schedule_all(&mut self.ready);
        let had_mail = core.read_mail(&mut self.mail);
        // After mail comes another look at the driver first.
        if core.clock.is_free() && !had_mail && !core.has_work() {
            core.move_clock(self.may_sleep && driver.is_simulation());
        }
        core.fire_timers();
        core.wake_deferred();
    }

    /// Sleeps, if there is nothing else to do; returns when it woke.
    fn sleep(&mut self, core: &Rc<Core>, driver: &mut dyn Driver) -> Option<Instant> {
        if !self.may_sleep || core.has_work() {
            return None;
        }
        let start = Instant::now();
        // Computed before the sleep is announced (invariant 6).
        let park = core.next_park(driver)?;
        // Mail that keeps coming must not keep the driver from its turn.
        if !core.mailbox.try_park() {
            return None;
        }
        driver.park(park, &mut self.ready);
        core.mailbox.end_park();
        let end = Instant::now();
        core.counters.count_sleep(start, end);
        core.after_sleep();
        self.told = false;
        Some(end)
    }
}

/// What holds while the executor runs, and is undone when that ends or unwinds.
struct Running<'a> {
    core: &'a Rc<Core>,
    root: Option<TaskId>,
    tells_outer_loop: bool,
    _entered: context::Entered,
}

impl<'a> Running<'a> {
    fn start(core: &'a Rc<Core>, driver: &dyn Driver) -> Self {
        assert!(
            context::current().is_none(),
            "`block_on` inside an executor would stop every task of this thread: `await` the future, `spawn` it, or \
             run it on a thread of its own"
        );
        core.assert_open();
        core.forget_panic();
        let unparker = Arc::new(driver.unparker());
        core.clock.begin(driver.is_simulation());
        core.counters.start();
        core.mailbox.end_park();
        core.mailbox.set_unparker(Some(unparker));
        Self { core, root: None, tells_outer_loop: true, _entered: context::enter(core.clone()) }
    }

    fn insert_root(&mut self) -> TaskId {
        *self.root.insert(self.core.tasks.borrow_mut().insert_root(self.core.next_sequence()))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        budget::lift();
        self.core.counters.stop();
        // A driver that panicked has left it parked.
        self.core.mailbox.end_park();
        if let Some(root) = self.root {
            self.core.tasks.borrow_mut().remove_root(root);
        }
        self.core.rest(self.tells_outer_loop);
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _entered = context::enter(self.core.clone());
        self.core.close();
        self.core.retire();
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("id", &self.core.id).finish_non_exhaustive()
    }
}
