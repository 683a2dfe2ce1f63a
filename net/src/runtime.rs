//! An executor and a reactor, together.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;

use pollywog_executor::driver::wake_all;
use pollywog_executor::{Executor, JoinHandle};

use crate::context;
use crate::reactor::Reactor;

/// An executor that sleeps in a reactor: what async TCP runs on.
///
/// It belongs to the thread that made it. Dropping it drops its tasks.
///
/// # Examples
///
/// ```
/// use pollywog_net::{Runtime, time::{Duration, sleep}};
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async {
///     sleep(Duration::from_millis(1)).await;
///     "done"
/// });
/// assert_eq!(runtime.block_on(task).unwrap(), "done");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    /// `None` only while it is dropped.
    executor: Option<Executor>,
    reactor: RefCell<Reactor>,
}

/// Makes a [`Runtime`] with other settings.
///
/// # Examples
///
/// ```
/// let runtime = pollywog_net::Runtime::builder().event_interval(32).build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    executor: pollywog_executor::Builder,
}

impl Builder {
    /// How many tasks run at most between two looks at the reactor (128): fewer bound the wait of an event, more save
    /// system calls.
    ///
    /// # Panics
    ///
    /// When `tasks` is zero.
    pub fn event_interval(mut self, tasks: u32) -> Self {
        self.executor = self.executor.event_interval(tasks);
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left (it takes three), and when 1,024 runtimes are alive.
    pub fn build(self) -> io::Result<Runtime> {
        let executor = self.executor.build().map_err(io::Error::other)?;
        let reactor = Reactor::new(executor.id())?;
        Ok(Runtime { executor: Some(executor), reactor: RefCell::new(reactor) })
    }
}

impl Runtime {
    /// A runtime with the default settings.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// Starts from the default settings.
    pub fn builder() -> Builder {
        Builder { executor: Executor::builder() }
    }

    fn executor(&self) -> &Executor {
        self.executor.as_ref().expect("it is there until the runtime is dropped")
    }

    /// As [`spawn`](fn@crate::spawn), onto this runtime, running or not.
    ///
    /// # Panics
    ///
    /// When 2^24 − 1 tasks are alive.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.executor().spawn(future)
    }

    /// Runs `future`, and with it every task, until `future` is done. Tasks that are not done by then wait for the
    /// next `block_on`.
    ///
    /// # Panics
    ///
    /// As [`Executor::block_on`].
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let Ok(mut reactor) = self.reactor.try_borrow_mut() else {
            panic!(
                "`block_on` of a runtime inside itself would stop every task of this thread: `await` the future, \
                 `spawn` it, or run it on a thread of its own"
            );
        };
        let _entered = context::enter(reactor.shared.clone());
        self.executor().block_on(&mut *reactor, future)
    }
}

/// Runs `future` on a new [`Runtime`], and drops what still runs when it is done.
///
/// # Errors
///
/// As [`Builder::build`]. The result of `future` stands inside: in a `main` that returns `io::Result<()>`, write
/// `run(…)?`.
///
/// # Panics
///
/// When an executor already runs on this thread, and with the panic of `future` itself.
pub fn run<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(Runtime::new()?.block_on(future))
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let shared = self.reactor.get_mut().shared.clone();
        let _entered = context::enter(shared.clone());
        // Before the executor gives its number back, which is the reactor's too.
        shared.close();
        self.executor = None;
        // Who waits in the table all the same, with a foreign waker, learns that nothing will come.
        let waiters = shared.sources.borrow_mut().take_all_waiters();
        wake_all(waiters);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("executor", &self.executor).finish_non_exhaustive()
    }
}
