//! One task: a future, then its result, in one allocation.
//!
//! Invariant 8: the future is dropped, on its owner's thread, before its result can be seen; a panicking drop becomes
//! the task's [`JoinError`]. The one exception is a task spawned while its executor shuts down: its handle says
//! 'cancelled' at once, and the future is dropped when the destructor that spawned it has returned.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::contain::{contain, contain_quietly, discard};
use crate::core::Core;
use crate::join::{JoinError, JoinHandle};
use crate::key::ExecutorId;
use crate::trace::TaskSpan;

pub use crate::yield_now::{YieldNow, yield_now};

/// The full number of a task: the executor in its high 10 bits, and a count that does not come again in the life of
/// the process. It is what logs and errors name a task by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

const SEQUENCE_BITS: u32 = 54;

impl Id {
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
        write!(f, "{}.{}", self.executor().index(), self.sequence())
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

/// Gives a task a name, which its span and the report of its panic show.
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
}

/// A task as the tables hold it.
pub(crate) type TaskBox = Pin<Box<dyn Run>>;

/// What the executor does with a task of any type. Nothing here lets a panic out.
pub(crate) trait Run {
    /// Polls the future. When it is done, or panicked, the future has been dropped and the result is stored
    /// (invariant 8).
    fn poll(self: Pin<&mut Self>, id: Id, cx: &mut Context<'_>) -> Poll<()>;

    /// Drops the future and stores 'cancelled', or the panic of that drop.
    fn cancel(self: Pin<&mut Self>, id: Id);

    /// Moves the result into `out`, which is an `Option<Result<Output, JoinError>>`.
    fn take_result(self: Pin<&mut Self>, out: &mut dyn Any);

    /// Drops whatever is stored.
    fn clear(self: Pin<&mut Self>);

    /// The stored panic's message, while nobody has taken the result.
    fn unobserved_panic(self: Pin<&mut Self>) -> Option<String>;

    /// Where the task was spawned.
    fn location(&self) -> &'static Location<'static>;
}

pin_project! {
    struct Task<F: Future> {
        location: &'static Location<'static>,
        span: TaskSpan,
        #[pin]
        stage: Stage<F>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<F: Future> {
        Future { #[pin] future: F },
        Result { result: Option<Result<F::Output, JoinError>> },
        Empty,
    }
}

/// Puts a future into the one allocation that its task has.
#[inline]
pub(crate) fn boxed<F>(future: F, location: &'static Location<'static>, span: TaskSpan) -> TaskBox
where
    F: Future + 'static,
    F::Output: 'static,
{
    Box::pin(Task { location, span, stage: Stage::Future { future } })
}

impl<F: Future> Stage<F> {
    /// Drops the future where it lies, and stores what it came to; a panic of the drop is what it came to.
    fn finish(mut self: Pin<&mut Self>, id: Id, result: Result<F::Output, JoinError>) {
        // `Pin::set` writes the new value even when the drop of the old one panics.
        let dropped = contain(|| self.as_mut().set(Stage::Empty));
        let result = match (dropped, result) {
            (Ok(()), result) => result,
            (Err(payload), unwanted) => {
                contain_quietly(|| drop(unwanted));
                Err(JoinError::panic(id, payload))
            }
        };
        self.set(Stage::Result { result: Some(result) });
    }
}

impl<F> Run for Task<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn poll(self: Pin<&mut Self>, id: Id, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let _entered = this.span.enter();
        let StageProj::Future { future } = this.stage.as_mut().project() else {
            unreachable!("a task is not polled after it has finished");
        };
        let result = match contain(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::panic(id, payload)),
        };
        this.stage.finish(id, result);
        Poll::Ready(())
    }

    fn cancel(self: Pin<&mut Self>, id: Id) {
        let this = self.project();
        let _entered = this.span.enter();
        this.stage.finish(id, Err(JoinError::cancelled(id)));
    }

    fn take_result(self: Pin<&mut Self>, out: &mut dyn Any) {
        let out = out.downcast_mut::<Option<Result<F::Output, JoinError>>>();
        if let (Some(out), StageProj::Result { result }) = (out, self.project().stage.project()) {
            *out = result.take();
        }
    }

    fn clear(self: Pin<&mut Self>) {
        let mut stage = self.project().stage;
        contain(|| stage.set(Stage::Empty)).unwrap_or_else(discard);
    }

    fn unobserved_panic(self: Pin<&mut Self>) -> Option<String> {
        match self.project().stage.project() {
            StageProj::Result { result: Some(Err(error)) } if error.is_panic() => Some(error.to_string()),
            _ => None,
        }
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl Core {
    /// The typed half of spawning; [`spawn_boxed`](Core::spawn_boxed) is the rest.
    #[inline]
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
        let span = TaskSpan::new(id, name.as_deref(), location);
        let key = self.spawn_boxed(id, boxed(future, location, span), name);
        JoinHandle::new(id, key)
    }
}
