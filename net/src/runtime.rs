//! An executor and a reactor, together.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::Waker;
use std::time::Instant;

use pollywog_executor::driver::wake_all;
use pollywog_executor::{Executor, Handle, JoinHandle, Metrics, UnhandledPanic};

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

    /// Has `seed` choose which of the ready tasks runs next: see [`pollywog_executor::Builder::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.executor = self.executor.seed(seed);
        self
    }

    /// What happens when a task panics ([`UnhandledPanic::Ignore`]).
    pub fn unhandled_panic(mut self, behavior: UnhandledPanic) -> Self {
        self.executor = self.executor.unhandled_panic(behavior);
        self
    }

    /// Has `hook` called before the runtime sleeps. It may spawn and wake, and then the runtime does not sleep.
    pub fn on_park(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.executor = self.executor.on_park(hook);
        self
    }

    /// Has `hook` called after the runtime slept.
    pub fn on_unpark(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.executor = self.executor.on_unpark(hook);
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left (it takes three, on Linux four), and when 1,024 runtimes are alive.
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

    /// A handle that spawns from any thread.
    pub fn handle(&self) -> Handle {
        self.executor().handle()
    }

    /// What the executor has done so far.
    pub fn metrics(&self) -> Metrics {
        self.executor().metrics()
    }

    /// Runs `future`, and with it every task, until `future` is done. Tasks that are not done by then wait for the
    /// next `block_on`.
    ///
    /// # Panics
    ///
    /// As [`Executor::block_on`].
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.inside(|executor, reactor| executor.block_on(reactor, future))
    }

    /// One turn, without sleeping, for a loop that has other things to do too; returns whether there is more to do at
    /// once. When there is not, the next is due when the waker of [`on_wake`](Self::on_wake) is woken, when
    /// [`next_deadline`](Self::next_deadline) has come, and when the runtime's descriptor (see [`AsRawFd`]) is readable.
    ///
    /// # Panics
    ///
    /// As [`Executor::tick`].
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_net::{Runtime, TcpListener, TcpStream};
    ///
    /// let runtime = Runtime::new()?;
    /// let task = runtime.spawn(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (connected, accepted) = futures::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
    ///     connected.and(accepted)
    /// });
    /// while runtime.has_tasks() {
    ///     runtime.tick(); // a window's loop would sleep here, in its own way
    /// }
    /// runtime.block_on(task).unwrap()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tick(&self) -> bool {
        self.inside(|executor, reactor| executor.tick(reactor))
    }

    /// As [`Executor::has_tasks`].
    pub fn has_tasks(&self) -> bool {
        self.executor().has_tasks()
    }

    /// As [`Executor::next_deadline`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.executor().next_deadline()
    }

    /// As [`Executor::on_wake`].
    pub fn on_wake(&self, waker: Waker) {
        self.executor().on_wake(waker);
    }

    fn inside<R>(&self, run: impl FnOnce(&Executor, &mut Reactor) -> R) -> R {
        let Ok(mut reactor) = self.reactor.try_borrow_mut() else {
            panic!(
                "`block_on` of a runtime inside itself would stop every task of this thread: `await` the future, \
                 `spawn` it, or run it on a thread of its own"
            );
        };
        let _entered = context::enter(reactor.shared.clone());
        run(self.executor(), &mut reactor)
    }
}

/// The descriptor of the selector, readable when the reactor has an event: for an outer loop to wait on beside its own.
/// It can be asked for while the runtime does not run.
///
/// # Panics
///
/// Inside the runtime.
impl AsRawFd for Runtime {
    fn as_raw_fd(&self) -> RawFd {
        self.reactor.try_borrow().expect("the descriptor is for an outer loop").as_raw_fd()
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
