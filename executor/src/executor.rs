//! The loop.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::budget;
use crate::context;
use crate::core::Core;
use crate::driver::{Driver, ExecutorId};
use crate::join::JoinHandle;
use crate::mailbox::Mail;
use crate::registry::TooManyExecutors;
use crate::tasks::Popped;
use crate::trace;
use crate::waker::TaskId;

/// How many tasks run at most between two looks at the driver.
const EVENT_INTERVAL: u32 = 128;

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
    event_interval: u32,
}

/// Makes an [`Executor`] with other settings.
///
/// # Examples
///
/// ```
/// use pollywog_executor::Executor;
///
/// let executor = Executor::builder().event_interval(32).build()?;
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    event_interval: u32,
}

impl Builder {
    /// How many tasks run at most between two looks at the driver (128): fewer bound the wait of an event, more save
    /// system calls.
    ///
    /// # Panics
    ///
    /// When `tasks` is zero.
    pub fn event_interval(mut self, tasks: u32) -> Self {
        assert!(tasks > 0, "an event interval of zero tasks would run none");
        self.event_interval = tasks;
        self
    }

    /// Makes the executor.
    ///
    /// # Errors
    ///
    /// When 1,024 executors are alive in this process.
    pub fn build(self) -> Result<Executor, TooManyExecutors> {
        Ok(Executor { core: Rc::new(Core::new()?), event_interval: self.event_interval })
    }
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
        Builder { event_interval: EVENT_INTERVAL }
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
        self.core.spawn(future, None, Location::caller())
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
    /// after both.
    pub fn block_on<F: Future>(&self, driver: &mut dyn Driver, future: F) -> F::Output {
        let core = &self.core;
        let running = Running::start(core, driver);
        let mut future = pin!(future);
        let waker = running.root.waker();
        let mut mail = Mail::new();
        let mut ready = Vec::new();
        let mut told = false;
        // An abort from before this call comes before the first poll.
        core.read_mail(&mut mail);
        loop {
            for _ in 0..self.event_interval {
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
            if !core.has_work() && !told {
                // A log layer may wake a task, so it hears of the sleep before anything is decided, and once.
                trace::idle();
                told = true;
            }
            // Computed before the sleep is announced (invariant 6).
            let sleep =
                (!core.has_work()).then(|| core.next_deadline().map(|at| at.saturating_duration_since(Instant::now())));
            match sleep {
                Some(timeout) if core.mailbox.try_park() => {
                    driver.park(timeout, &mut ready);
                    core.mailbox.end_park();
                    told = false;
                }
                // Mail that keeps coming must not keep the driver from its turn.
                _ => driver.park(Some(Duration::ZERO), &mut ready),
            }
            core.schedule_all(&mut ready);
            core.read_mail(&mut mail);
            core.fire_timers();
            core.wake_deferred();
        }
    }
}

/// What holds while `block_on` runs, and is undone when it returns or unwinds.
struct Running<'a> {
    core: &'a Rc<Core>,
    root: TaskId,
    _entered: context::Entered,
}

impl<'a> Running<'a> {
    fn start(core: &'a Rc<Core>, driver: &dyn Driver) -> Self {
        assert!(
            context::current().is_none(),
            "`block_on` inside an executor would stop every task of this thread: `await` the future, `spawn` it, or \
             run it on a thread of its own"
        );
        let root = core.tasks.borrow_mut().insert_root(core.next_sequence());
        let running = Self { core, root, _entered: context::enter(core.clone()) };
        core.mailbox.set_unparker(Some(driver.unparker()));
        running
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        budget::lift();
        self.core.mailbox.set_unparker(None);
        // A driver that panicked has left it parked.
        self.core.mailbox.end_park();
        self.core.tasks.borrow_mut().remove_root(self.root);
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _entered = context::enter(self.core.clone());
        self.core.close();
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("id", &self.core.id).finish_non_exhaustive()
    }
}
