//! Spawning onto an executor from other threads.
//!
//! The spawn is a command in the executor's mailbox, and the result comes back through memory that the task and its
//! handle share: the handle knows nothing of slots.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::budget;
use crate::context;
use crate::core::Core;
use crate::deliver::{Deliver, Sealed};
use crate::driver::wake_all;
use crate::join::{AbortHandle, JoinError};
use crate::join_set::discard_result;
use crate::key::ExecutorId;
use crate::registry::{self, Command};
use crate::stage::Origin;
use crate::task::Id;

/// The way to an executor from any thread. It does not keep the executor alive.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use pollywog_executor::{Executor, Handle, driver::ThreadDriver};
///
/// let executor = Executor::new()?;
/// let sum = executor.block_on(&mut ThreadDriver::new(), async {
///     let handle = Handle::current();
///     let task = thread::spawn(move || handle.spawn(async { 20 + 22 })).join().unwrap();
///     task.await.expect("it does not panic")
/// });
/// assert_eq!(sum, 42);
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    executor: ExecutorId,
    /// A number that the executor gave out, which tells it from others that had its index.
    since: u64,
}

impl Handle {
    pub(crate) fn new(core: &Core) -> Self {
        Self { executor: core.id, since: core.opened_at }
    }

    /// The handle of the executor that runs on this thread.
    ///
    /// # Panics
    ///
    /// Outside an executor.
    #[track_caller]
    pub fn current() -> Self {
        Self::new(&context::expect("`Handle::current`"))
    }

    /// As [`current`](Self::current), where there may be none.
    ///
    /// # Errors
    ///
    /// Outside an executor.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_executor::{Executor, Handle, driver::ThreadDriver};
    ///
    /// assert!(Handle::try_current().is_err());
    /// let executor = Executor::new()?;
    /// let handle = executor.block_on(&mut ThreadDriver::new(), async { Handle::try_current() });
    /// assert_eq!(handle, Ok(executor.handle()));
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with(|core| core.map(|core| Self::new(core))).ok_or(TryCurrentError(()))
    }

    /// Whether the executor is gone: what is spawned is dropped then, and its handle says 'cancelled'.
    pub fn is_closed(&self) -> bool {
        registry::mailbox(self.executor).is_none_or(|mailbox| !mailbox.is_owned_since(self.since))
    }

    /// Spawns a task onto the executor, from any thread. A parked executor is woken by it; one that is between two
    /// calls of `block_on` keeps it for the next. If the executor is gone, or goes before it comes to the task, the
    /// future is dropped and the handle says 'cancelled'.
    ///
    /// For a task with a name see [`task::Builder::spawn_on`](crate::task::Builder::spawn_on).
    ///
    /// The future and its result go from thread to thread, so both are `Send`:
    ///
    /// ```compile_fail,E0277
    /// # use pollywog_executor::Handle;
    /// fn spawn_there(handle: Handle) {
    ///     let local = std::rc::Rc::new(5);
    ///     handle.spawn(async move { *local });
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// When 2^24 − 1 tasks are alive, where this is the executor's own thread. Elsewhere the task is dropped then, and its
    /// handle says 'cancelled'.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> RemoteJoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_named(future, None, Location::caller())
    }

    /// Sends `create` to the executor's thread and spawns there the future that it makes, which need not be `Send`: so a
    /// task that holds an `Rc` can be started from any thread. `create` is called in the task's first poll and is part of
    /// it: its panic is that of the task, and it is not called at all where the task is aborted or dropped before.
    ///
    /// For the rest it is as [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{rc::Rc, thread};
    /// use pollywog_executor::{Executor, Handle, driver::ThreadDriver, task::yield_now};
    ///
    /// let executor = Executor::new()?;
    /// let sum = executor.block_on(&mut ThreadDriver::new(), async {
    ///     let handle = Handle::current();
    ///     let elsewhere = thread::spawn(move || {
    ///         handle.spawn_pinned(|| async {
    ///             let local = Rc::new(20);
    ///             yield_now().await;
    ///             *local + 22
    ///         })
    ///     });
    ///     elsewhere.join().unwrap().await.expect("it does not panic")
    /// });
    /// assert_eq!(sum, 42);
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    ///
    /// What `create` takes along is `Send`, and so is the result:
    ///
    /// ```compile_fail,E0277
    /// # use pollywog_executor::Handle;
    /// fn spawn_there(handle: Handle) {
    ///     let local = std::rc::Rc::new(5);
    ///     handle.spawn_pinned(move || async move { *local });
    /// }
    /// ```
    ///
    /// ```compile_fail,E0277
    /// # use pollywog_executor::Handle;
    /// fn spawn_there(handle: Handle) {
    ///     handle.spawn_pinned(|| async { std::rc::Rc::new(5) });
    /// }
    /// ```
    #[track_caller]
    pub fn spawn_pinned<C, F>(&self, create: C) -> RemoteJoinHandle<F::Output>
    where
        C: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_pinned_named(create, None, Location::caller())
    }

    pub(crate) fn spawn_named<F>(
        &self,
        future: F,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> RemoteJoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (origin, shared) = self.prepare(location);
        let theirs = shared.clone();
        let task = Deliver::new(origin, future, move |result| theirs.finish(result));
        self.dispatch(origin.id, shared, move |core| core.spawn_detached(origin, task, name))
    }

    pub(crate) fn spawn_pinned_named<C, F>(
        &self,
        create: C,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> RemoteJoinHandle<F::Output>
    where
        C: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (origin, shared) = self.prepare(location);
        let theirs = shared.clone();
        let task = Deliver::new(origin, Sealed::new(create), move |result| theirs.finish(result));
        self.dispatch(origin.id, shared, move |core| core.spawn_detached(origin, task.open(), name))
    }

    fn prepare<T>(&self, location: &'static Location<'static>) -> (Origin, Arc<Shared<T>>) {
        let origin = Origin { id: Id::remote(self.executor), location };
        (origin, Arc::new(Shared { state: Mutex::new(State::default()) }))
    }

    /// Has `spawn` called on the executor's thread.
    fn dispatch<T: Send + 'static>(
        &self,
        id: Id,
        shared: Arc<Shared<T>>,
        spawn: impl FnOnce(&Core) -> AbortHandle + Send + 'static,
    ) -> RemoteJoinHandle<T> {
        let theirs = Arc::downgrade(&shared);
        self.send(Box::new(move |core| {
            let abort = spawn(core);
            if let Some(shared) = theirs.upgrade() {
                let is_aborted = {
                    let mut state = shared.lock();
                    state.abort = Some(abort.clone());
                    state.is_aborted
                };
                if is_aborted {
                    abort.abort();
                }
            }
        }));
        RemoteJoinHandle { id, shared }
    }

    /// Runs a command here, where this is the executor's thread, or posts it.
    pub(crate) fn send(&self, command: Command) {
        match context::current().filter(|core| Self::new(core) == *self) {
            Some(core) => command(&core),
            None => registry::send(self.executor, self.since, command),
        }
    }
}

/// The error of [`Handle::try_current`]: no executor runs on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TryCurrentError(());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no Pollywog executor runs on this thread: no `block_on`, `run` or `tick` is under way here")
    }
}

impl Error for TryCurrentError {}

/// Awaits the result of a task of another thread's executor, on any executor. Dropping it detaches the task, which
/// runs on.
///
/// # Panics
///
/// Polling panics after the handle has given its result.
///
/// # Cancel safety
///
/// A handle that is polled by reference loses nothing when that is cancelled.
pub struct RemoteJoinHandle<T> {
    id: Id,
    shared: Arc<Shared<T>>,
}

/// What the task and its handle share. Nothing foreign runs under the lock (invariant 10).
struct Shared<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    abort: Option<AbortHandle>,
    result: Option<Result<T, JoinError>>,
    is_aborted: bool,
    finished: bool,
    detached: bool,
    waker: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { abort: None, result: None, is_aborted: false, finished: false, detached: false, waker: None }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<T, JoinError>) {
        let mut state = self.lock();
        state.finished = true;
        let unwanted = if state.detached { Some(result) } else { state.result.replace(result) };
        let waker = state.waker.take();
        drop(state);
        wake_all(waker);
        unwanted.into_iter().for_each(discard_result);
    }
}

impl<T> RemoteJoinHandle<T> {
    /// The task's number.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the executor to cancel the task, from any thread: see [`JoinHandle::abort`](crate::JoinHandle::abort).
    pub fn abort(&self) {
        let mut state = self.shared.lock();
        // Where the executor has not come to the task yet, it looks at the flag when it does.
        state.is_aborted = true;
        let abort = state.abort.clone();
        drop(state);
        if let Some(abort) = abort {
            abort.abort();
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.shared.lock().finished
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budget::charge(cx, |cx| {
            let waker = cx.waker().clone();
            let mut state = self.shared.lock();
            if let Some(result) = state.result.take() {
                return Poll::Ready(result);
            }
            assert!(!state.finished, "a RemoteJoinHandle is not polled after it has given its result");
            let displaced = state.waker.replace(waker);
            drop(state);
            drop(displaced);
            Poll::Pending
        })
    }
}

impl<T> Drop for RemoteJoinHandle<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.detached = true;
        let (result, waker) = (state.result.take(), state.waker.take());
        drop(state);
        drop(waker);
        result.into_iter().for_each(discard_result);
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteJoinHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
