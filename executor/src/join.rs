//! What is known of a task from outside: its handle, its result, its error.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::budget;
use crate::contain::Payload;
use crate::context;
use crate::core::Core;
use crate::registry;
use crate::stage::Origin;
use crate::task::Id;
use crate::tasks::Joined;
use crate::waker::TaskId;

/// Awaits the result of a task. It is an id, and so `Send` and `Sync` whatever the result is: the result itself never
/// leaves the executor's thread.
///
/// Dropping it detaches the task, which runs on.
///
/// # Panics
///
/// Polling panics on a thread where the task's executor does not run, and after the handle has given its result.
///
/// # Cancel safety
///
/// A handle that is polled by reference (`(&mut handle).await`) loses nothing when that is cancelled.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, spawn};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let task = spawn(std::future::pending::<()>());
///     task.abort();
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub struct JoinHandle<T> {
    id: Id,
    /// `None` once the result was taken.
    key: Option<TaskId>,
    /// A result is only ever made and moved on the executor's thread, so the handle owns none. Invariant in `T`, since
    /// the result is found by its exact type.
    _result: PhantomData<fn(T) -> T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(id: Id, key: TaskId) -> Self {
        Self { id, key: Some(key), _result: PhantomData }
    }

    /// The task's number.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the executor to cancel the task, from any thread: its future is dropped, on the executor's thread, when
    /// its turn comes, and the handle then gives a [`JoinError`] that says 'cancelled'. A task that is done by then
    /// keeps its result.
    pub fn abort(&self) {
        if let Some(key) = self.key {
            abort(key, self.id);
        }
    }

    /// A handle that can only [`abort`](AbortHandle::abort).
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { id: self.id, key: self.key }
    }

    /// Whether the result is there.
    ///
    /// # Panics
    ///
    /// On a thread where the task's executor does not run.
    pub fn is_finished(&self) -> bool {
        match (self.key, local(self.id)) {
            (None, _) => true,
            (Some(key), Some(core)) => core.tasks.borrow_mut().is_finished(key, self.id),
            (Some(_), None) if is_gone(self.id) => true,
            (Some(_), None) => misplaced(self.id),
        }
    }
}

/// The core of this thread, if it is that of task `id`.
fn local(id: Id) -> Option<Rc<Core>> {
    context::with(|core| core.filter(|core| core.id == id.executor()).cloned())
}

fn is_gone(id: Id) -> bool {
    registry::mailbox(id.executor()).is_none_or(|mailbox| !mailbox.is_owned_since(id.sequence()))
}

#[cold]
#[track_caller]
fn misplaced(id: Id) -> ! {
    panic!(
        "the JoinHandle of task {id} was polled where its executor does not run: await it in a task of the same \
         executor, and send the result elsewhere through a channel"
    );
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        let key = self.key.expect("a JoinHandle is not polled after it has given its result");
        let Some(core) = local(id) else {
            if is_gone(id) {
                self.key = None;
                return Poll::Ready(Err(JoinError::cancelled(id, None)));
            }
            misplaced(id);
        };
        budget::charge(cx, |cx| {
            let joined = core.tasks.borrow_mut().join(key, id);
            let result = match joined {
                Joined::Pending => {
                    core.set_joiner(key, id, cx);
                    return Poll::Pending;
                }
                Joined::Gone => Err(JoinError::cancelled(id, None)),
                Joined::Done(mut task) => {
                    let mut result = None::<Self::Output>;
                    task.as_mut().take_result(&mut result);
                    core.forget(id);
                    result.expect("a finished task holds the result of its type")
                }
            };
            self.key = None;
            Poll::Ready(result)
        })
    }
}

impl Core {
    /// Stores the waker of who awaits the task. The old one is compared, cloned and dropped with nothing borrowed
    /// (invariant 10).
    fn set_joiner(&self, key: TaskId, id: Id, cx: &Context<'_>) {
        let old = self.tasks.borrow_mut().swap_joiner(key, id, None);
        let new = match old {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        let displaced = self.tasks.borrow_mut().swap_joiner(key, id, Some(new));
        drop(displaced);
    }

    /// Spawns a task that hands its result over itself.
    pub(crate) fn spawn_detached<F>(&self, origin: Origin, future: F, name: Option<Box<str>>) -> AbortHandle
    where
        F: Future<Output = ()> + 'static,
    {
        let key = self.spawn_as(origin, future, name);
        self.detach(key, origin.id);
        AbortHandle { id: origin.id, key: Some(key) }
    }

    fn detach(&self, key: TaskId, id: Id) {
        let (joiner, task) = self.tasks.borrow_mut().detach(key, id);
        drop(joiner);
        if let Some(task) = task {
            self.bury(id, task);
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let id = self.id;
        match local(id) {
            Some(core) => core.detach(key, id),
            None => registry::send(id.executor(), id.sequence(), Box::new(move |core| core.detach(key, id))),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Cancels a task from anywhere; it does not keep the task, its result or its executor.
#[derive(Clone)]
pub struct AbortHandle {
    id: Id,
    key: Option<TaskId>,
}

impl AbortHandle {
    /// A waker for the task.
    pub(crate) fn waker(&self) -> Option<Waker> {
        self.key.map(TaskId::waker)
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        if let Some(key) = self.key {
            abort(key, self.id);
        }
    }

    /// The task's number.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

fn abort(key: TaskId, id: Id) {
    match local(id) {
        Some(core) => core.tasks.borrow_mut().abort(key, id),
        None => {
            registry::send(id.executor(), id.sequence(), Box::new(move |core| core.tasks.borrow_mut().abort(key, id)))
        }
    }
}

/// Why a task has no result: it panicked, or it was cancelled.
///
/// It is one pointer wide, so that it does not make the results of tasks larger.
pub struct JoinError {
    inner: Box<Inner>,
}

struct Inner {
    id: Id,
    name: Option<Box<str>>,
    location: Option<&'static Location<'static>>,
    reason: Reason,
}

enum Reason {
    Cancelled,
    /// The mutex only makes it `Sync`.
    Panic(Mutex<Payload>),
}

impl JoinError {
    fn new(id: Id, location: Option<&'static Location<'static>>, reason: Reason) -> Self {
        let name = local(id).and_then(|core| core.name(id));
        Self { inner: Box::new(Inner { id, name, location, reason }) }
    }

    /// Its location is not known any more where the task is gone.
    #[cold]
    pub(crate) fn cancelled(id: Id, location: Option<&'static Location<'static>>) -> Self {
        Self::new(id, location, Reason::Cancelled)
    }

    #[cold]
    pub(crate) fn panic(origin: Origin, payload: Payload) -> Self {
        let error = Self::new(origin.id, Some(origin.location), Reason::Panic(Mutex::new(payload)));
        if let Some(core) = local(origin.id) {
            core.note_panic(&error);
        }
        error
    }

    /// Whether the task, or the drop of its future, panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.inner.reason, Reason::Panic(_))
    }

    /// Whether the task was aborted, or its executor dropped.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.inner.reason, Reason::Cancelled)
    }

    /// The task's number.
    pub fn id(&self) -> Id {
        self.inner.id
    }

    /// The task's name, where it was given one and was still known.
    pub(crate) fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Where the task was spawned, while it was known.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        self.inner.location
    }

    /// What the panic carried, fit for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// When the task did not panic: see [`try_into_panic`](Self::try_into_panic).
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic().expect("the task was cancelled, it did not panic")
    }

    /// What the panic carried, or the error itself when the task was cancelled.
    ///
    /// # Errors
    ///
    /// When the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.inner.reason {
            Reason::Panic(payload) => Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Reason::Cancelled => Err(self),
        }
    }
}

/// The text of a payload that `panic!` made.
fn message(payload: &Payload) -> Option<String> {
    let text = payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.inner.id)?;
        if let Some(name) = self.name() {
            write!(f, " '{name}'")?;
        }
        match &self.inner.reason {
            Reason::Cancelled => f.write_str(" was cancelled"),
            Reason::Panic(payload) => {
                f.write_str(" panicked")?;
                match message(&payload.lock().unwrap_or_else(PoisonError::into_inner)) {
                    Some(text) => write!(f, ": {text}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self}")?;
        if let Some(location) = self.inner.location {
            write!(f, "; spawned at {location}")?;
        }
        f.write_str(")")
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    /// So that `task.await?` works where results are those of I/O.
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}
