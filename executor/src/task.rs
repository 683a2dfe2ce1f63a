//! One task: an id, a future, then its result, in one allocation.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::contain::{contain, discard};
use crate::core::Core;
use crate::handle::{Handle, RemoteJoinHandle};
use crate::key::{ExecutorId, Sequence};
use crate::stage::{Origin, Stage};
use crate::trace::TaskSpan;
use crate::waker::TaskId;

pub use crate::budget::{Unconstrained, consume_budget, unconstrained};
pub use crate::join::{AbortHandle, JoinError, JoinHandle};
pub use crate::join_set::JoinSet;
pub use crate::yield_now::{YieldNow, yield_now};

/// The full number of a task: the executor in its high 10 bits, and a count that does not come again in the life of
/// the process. It is what logs and errors name a task by: `0.7` is the seventh of executor 0, and `0.r7` came to it through a
/// [`Handle`], as the seventh of the process that did so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

const SEQUENCE_BITS: u32 = 54;

/// Tasks that come from other threads are numbered down from here, by the process; an executor numbers its own up
/// from 1, and needs no atomic for that. The two never meet.
static LAST_REMOTE: AtomicU64 = AtomicU64::new(1 << SEQUENCE_BITS);

impl Id {
    /// The number of a task on its way to another thread's executor.
    pub(crate) fn remote(executor: ExecutorId) -> Self {
        loop {
            let sequence = LAST_REMOTE.fetch_sub(1, Ordering::Relaxed) - 1;
            if Sequence::is_valid(sequence) {
                return Self::new(executor, sequence);
            }
        }
    }

    pub(crate) fn new(executor: ExecutorId, sequence: u64) -> Self {
        Self((executor.index() as u64) << SEQUENCE_BITS | sequence)
    }

    #[inline]
    pub(crate) fn executor(self) -> ExecutorId {
        ExecutorId::new((self.0 >> SEQUENCE_BITS) as usize)
    }

    #[inline]
    pub(crate) fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (executor, sequence) = (self.executor().index(), self.sequence());
        match sequence >> (SEQUENCE_BITS - 1) {
            0 => write!(f, "{executor}.{sequence}"),
            _ => write!(f, "{executor}.r{}", (1 << SEQUENCE_BITS) - sequence),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// Spawns a task onto the executor that runs on this thread. It first runs after the current task has returned to the
/// loop, never inside this call.
///
/// The future need not be `Send`. It runs whether or not the [`JoinHandle`] is kept; tasks that still run when the
/// root future returns stay for the next `block_on`, and are dropped with the executor.
///
/// # Panics
///
/// Outside an executor, and when 2^24 − 1 tasks are alive.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, spawn};
///
/// let executor = Executor::new()?;
/// let sum = executor.block_on(&mut ThreadDriver::new(), async {
///     let halves = [spawn(async { 20 }), spawn(async { 22 })];
///     let mut sum = 0;
///     for half in halves {
///         sum += half.await.expect("neither panics");
///     }
///     sum
/// });
/// assert_eq!(sum, 42);
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[track_caller]
#[inline]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    crate::context::expect("`spawn`").spawn(future, None, Location::caller())
}

/// Gives a task a name, which its span, its [`JoinError`] and the report of its panic show.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, task};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let task = task::Builder::new().name("answer").spawn(async { 42 });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Box<str>>,
}

impl Builder {
    /// A task without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// As [`spawn`](fn@spawn).
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@spawn).
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        crate::context::expect("`task::Builder::spawn`").spawn(future, self.name, Location::caller())
    }

    /// As [`Handle::spawn`].
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> RemoteJoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn_named(future, self.name, Location::caller())
    }

    /// As [`Handle::spawn_pinned`].
    ///
    /// # Panics
    ///
    /// As [`Handle::spawn`].
    #[track_caller]
    pub fn spawn_pinned_on<C, F>(self, create: C, handle: &Handle) -> RemoteJoinHandle<F::Output>
    where
        C: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn_pinned_named(create, self.name, Location::caller())
    }

    /// As [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@spawn).
    #[track_caller]
    pub fn spawn_into<F>(self, future: F, set: &mut JoinSet<F::Output>) -> AbortHandle
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        set.spawn_named(future, self.name, Location::caller())
    }
}

/// A task as the tables hold it.
pub(crate) type TaskBox = Pin<Box<dyn Run>>;

/// What the executor does with a task of any type. Nothing here lets a panic out.
pub(crate) trait Run {
    /// As [`Stage::poll`].
    fn poll(self: Pin<&mut Self>, id: Id, cx: &mut Context<'_>) -> Poll<()>;

    /// As [`Stage::cancel`].
    fn cancel(self: Pin<&mut Self>, id: Id);

    /// Moves the result into `out`, which is an `Option<Result<Output, JoinError>>`.
    fn take_result(self: Pin<&mut Self>, out: &mut dyn Any);

    /// Drops whatever is stored; gives back a panic that nobody has seen.
    fn clear(self: Pin<&mut Self>) -> Option<JoinError>;

    /// Where the task was spawned.
    fn location(&self) -> &'static Location<'static>;
}

pin_project! {
    // In this order: what each poll looks at lies together, before the future.
    #[repr(C)]
    struct Task<F: Future> {
        location: &'static Location<'static>,
        span: TaskSpan,
        #[pin]
        stage: Stage<F>,
    }
}

/// Puts a future into the one allocation that its task has. Inlined, with all that leads here: then an optimised build
/// writes the future straight into the allocation, and a large one does not pass through the stack.
#[inline(always)]
pub(crate) fn boxed<F>(future: F, location: &'static Location<'static>, span: TaskSpan) -> TaskBox
where
    F: Future + 'static,
    F::Output: 'static,
{
    Box::pin(Task { location, span, stage: Stage::Future { future } })
}

impl<F> Run for Task<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn poll(self: Pin<&mut Self>, id: Id, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let _entered = this.span.enter();
        this.stage.poll(Origin { id, location: this.location }, cx)
    }

    fn cancel(self: Pin<&mut Self>, id: Id) {
        let this = self.project();
        let _entered = this.span.enter();
        this.stage.cancel(Origin { id, location: this.location });
    }

    fn take_result(self: Pin<&mut Self>, out: &mut dyn Any) {
        if let Some(out) = out.downcast_mut::<Option<Result<F::Output, JoinError>>>() {
            *out = self.project().stage.take();
        }
    }

    fn clear(self: Pin<&mut Self>) -> Option<JoinError> {
        let mut stage = self.project().stage;
        let unobserved = match stage.as_mut().take() {
            Some(Err(error)) if error.is_panic() => Some(error),
            other => {
                contain(|| drop(other)).unwrap_or_else(discard);
                None
            }
        };
        contain(|| stage.set(Stage::Empty)).unwrap_or_else(discard);
        unobserved
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl Core {
    /// The typed half of spawning; [`spawn_boxed`](Core::spawn_boxed) is the rest.
    #[inline(always)]
    pub(crate) fn spawn<F>(
        &self,
        future: F,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let id = Id::new(self.id, self.next_sequence());
        JoinHandle::new(id, self.spawn_as(Origin { id, location }, future, name))
    }

    /// As [`spawn`](Self::spawn), under a number that the task was given before.
    #[inline(always)]
    pub(crate) fn spawn_as<F>(&self, origin: Origin, future: F, name: Option<Box<str>>) -> TaskId
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let Origin { id, location } = origin;
        let span = TaskSpan::new(id, name.as_deref(), location);
        self.spawn_boxed(id, boxed(future, location, span), name)
    }
}
