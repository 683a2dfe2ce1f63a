//! Structured concurrency: children that cannot outlive the block that started them, and may borrow from around it.
//!
//! The children are polled by the future of the scope itself, so that they end with it, wherever it is dropped, and need
//! not be `'static`. (A borrowing task of the executor would be unsound: its scope's future can be forgotten.) Each has a
//! waker of its own, which is that of a *stand-in*, a small task of the executor: woken, it notes the child's number and
//! wakes the scope, which then polls this child and no other.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use crate::contain::{Payload, contain, contain_quietly, discard};
use crate::context;
use crate::driver::wake_all;
use crate::join::{AbortHandle, JoinError};
use crate::key::ExecutorId;
use crate::stage::Origin;
use crate::task::Id;

/// How many children are polled before the other tasks of the executor have their turn.
const SLICE: usize = 32;

/// Runs `body`, which may start children in its [`Scope`], and waits for all of them.
///
/// Children may borrow what lives around the scope, and start further ones. When one panics, the body and all other
/// children are dropped, and the panic goes on in the caller. For children that can fail see [`try_scope`].
///
/// For a deadline, put [`timeout`](crate::time::timeout) around it. Scopes can be nested: an inner one is a part of the
/// child that runs it.
///
/// # Panics
///
/// Outside an executor, when it is polled on another executor than before, and with the panic of a child.
///
/// # Cancel safety
///
/// Dropping it drops the body, then every child in the order in which they were started, before the drop is over. What
/// was handed to the body is gone then.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pollywog_executor::{Executor, driver::ThreadDriver, scope, time::sleep};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let words = vec!["stackless", "coroutines"];
///     let lengths = scope(async |s| {
///         let lengths: Vec<_> = words.iter().map(|word| s.spawn(async move { word.len() })).collect();
///         s.spawn(async {
///             sleep(Duration::from_millis(1)).await;
///             assert_eq!(words.len(), 2); // the scope waits for this one too
///         });
///         let mut sum = 0;
///         for length in lengths {
///             sum += length.await.expect("nobody aborts it");
///         }
///         sum
///     });
///     assert_eq!(lengths.await, 19);
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub async fn scope<'env, T>(body: impl AsyncFnOnce(Scope<'env>) -> T) -> T {
    let Ok(output) = try_scope(async |scope| Ok::<T, Infallible>(body(scope).await)).await;
    output
}

/// As [`scope`], where the body and the children can fail: the first error drops all others, and is returned.
///
/// # Errors
///
/// The first error of the body or of a child that was started with [`Scope::try_spawn`].
///
/// # Panics
///
/// As [`scope`].
///
/// # Cancel safety
///
/// As [`scope`].
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use pollywog_executor::{Executor, driver::ThreadDriver, try_scope};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let result = try_scope(async |s| {
///         s.spawn(pending::<()>()); // is dropped when the other fails
///         s.try_spawn(async { Err::<(), _>("the disk is full") });
///         Ok(())
///     });
///     assert_eq!(result.await, Err("the disk is full"));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub async fn try_scope<'env, T, E>(body: impl AsyncFnOnce(Scope<'env, E>) -> Result<T, E>) -> Result<T, E> {
    let family = CloseOnDrop(Rc::new(Family::new(context::expect("`scope`").id)));
    let mut output = None;
    {
        let mut body = pin!(body(Scope { family: family.0.clone() }));
        poll_fn(|cx| {
            family.0.adopt(cx);
            if output.is_none() {
                match body.as_mut().poll(cx) {
                    Poll::Ready(Ok(value)) => output = Some(value),
                    Poll::Ready(Err(error)) => family.0.fail(Failure::Error(error)),
                    Poll::Pending => {}
                }
            }
            let has_children = family.0.poll_children(cx);
            let is_over = family.0.has_failed() || output.is_some() && !has_children;
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    family.0.close();
    match (family.0.failure.take(), output) {
        (Some(Failure::Panic(payload)), unwanted) => {
            contain_quietly(|| drop(unwanted));
            resume_unwind(payload)
        }
        (Some(Failure::Error(error)), _) => Err(error),
        (None, output) => Ok(output.expect("a scope that has not failed has its output")),
    }
}

/// Starts children; the body of a [`scope`] gets one, and may clone it into its children.
///
/// When the scope is over, what is started with a clone that was left is dropped at once.
pub struct Scope<'env, E = Infallible> {
    family: Rc<Family<'env, E>>,
}

impl<E> Clone for Scope<'_, E> {
    fn clone(&self) -> Self {
        Self { family: self.family.clone() }
    }
}

impl<'env, E> Scope<'env, E> {
    /// Starts a child. It first runs after the current poll, never inside this call. Dropping the handle changes
    /// nothing.
    ///
    /// # Panics
    ///
    /// Outside an executor.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> ScopedJoinHandle<'env, F::Output>
    where
        F: Future + 'env,
        F::Output: 'env,
        E: 'env,
    {
        self.try_spawn_at(Location::caller(), async { Ok(future.await) })
    }

    /// Starts a child that can fail: its error ends the scope. Its handle gives only a value.
    ///
    /// # Panics
    ///
    /// Outside an executor.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, future: F) -> ScopedJoinHandle<'env, T>
    where
        F: Future<Output = Result<T, E>> + 'env,
        T: 'env,
        E: 'env,
    {
        self.try_spawn_at(Location::caller(), future)
    }

    /// Asks for every child to be cancelled; the body goes on.
    pub fn abort_all(&self) {
        let numbers: Vec<_> = self.family.children.borrow().keys().copied().collect();
        numbers.into_iter().for_each(|number| self.family.abort_child(number));
    }

    fn try_spawn_at<F, T>(&self, location: &'static Location<'static>, future: F) -> ScopedJoinHandle<'env, T>
    where
        F: Future<Output = Result<T, E>> + 'env,
        T: 'env,
        E: 'env,
    {
        let core = context::expect("`Scope::spawn`");
        let origin = Origin { id: Id::new(core.id, core.next_sequence()), location };
        let family = Rc::downgrade(&self.family);
        let (number, ready) = (self.family.next_number(), self.family.ready.clone());
        let result = Rc::new(ScopedResult {
            origin,
            value: Cell::new(None),
            is_settled: Cell::new(false),
            waker: Cell::new(None),
        });
        let handle = ScopedJoinHandle { number, result: result.clone(), family };
        if self.family.is_closed.get() {
            drop(future);
            result.cancel();
            return handle;
        }
        let theirs = result.clone();
        let future = Box::pin(async move {
            let value = future.await?;
            theirs.is_settled.set(true);
            theirs.set(Ok(value));
            Ok(())
        });
        let stand_in = core.spawn_detached(origin, poll_fn(move |_| ready.note(number)), None);
        let child = Child { future: Some(future), result, stand_in, is_aborted: false };
        self.family.children.borrow_mut().insert(number, child);
        handle
    }
}

impl<E> fmt::Debug for Scope<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &self.family.children.borrow().len()).finish_non_exhaustive()
    }
}

/// What a scope consists of. No cell is borrowed while a child is polled or dropped (invariant 10).
struct Family<'env, E> {
    executor: ExecutorId,
    /// By number, in the order of their start.
    children: RefCell<BTreeMap<u64, Child<'env, E>>>,
    last_number: Cell<u64>,
    ready: Rc<Ready>,
    failure: RefCell<Option<Failure<E>>>,
    is_closed: Cell<bool>,
}

type ChildFuture<'env, E> = Pin<Box<dyn Future<Output = Result<(), E>> + 'env>>;

struct Child<'env, E> {
    /// Taken out while it is polled.
    future: Option<ChildFuture<'env, E>>,
    result: Rc<dyn Cancel + 'env>,
    stand_in: AbortHandle,
    is_aborted: bool,
}

enum Failure<E> {
    Error(E),
    Panic(Payload),
}

/// What the stand-ins see of their scope: it borrows nothing.
#[derive(Default)]
struct Ready {
    numbers: RefCell<VecDeque<u64>>,
    parent: Cell<Option<Waker>>,
}

impl Ready {
    /// What a stand-in does whenever its waker, which is the child's, was woken.
    fn note(&self, number: u64) -> Poll<()> {
        self.numbers.borrow_mut().push_back(number);
        if let Some(parent) = self.parent.take() {
            wake_all([parent]);
        }
        Poll::Pending
    }
}

impl<'env, E> Family<'env, E> {
    fn new(executor: ExecutorId) -> Self {
        Self {
            executor,
            children: RefCell::default(),
            last_number: Cell::new(0),
            ready: Rc::default(),
            failure: RefCell::new(None),
            is_closed: Cell::new(false),
        }
    }

    fn next_number(&self) -> u64 {
        self.last_number.update(|number| number + 1);
        self.last_number.get()
    }

    /// The scope is being polled: by the executor that runs the stand-ins, or they would never be heard of.
    fn adopt(&self, cx: &Context<'_>) {
        assert!(
            context::with(|core| core.is_some_and(|core| core.id == self.executor)),
            "a scope was polled on another executor than before, where its children cannot be woken"
        );
        drop(self.ready.parent.replace(Some(cx.waker().clone())));
    }

    /// Polls the children that were woken. Returns whether any are left.
    fn poll_children(&self, cx: &Context<'_>) -> bool {
        for _ in 0..SLICE {
            let number = self.ready.numbers.borrow_mut().pop_front();
            match number {
                Some(number) if !self.has_failed() => self.poll_child(number),
                _ => return !self.children.borrow().is_empty(),
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    fn poll_child(&self, number: u64) {
        let taken = self.children.borrow_mut().get_mut(&number).and_then(|child| {
            let future = child.future.take()?;
            Some((future, child.stand_in.waker()?, child.is_aborted))
        });
        let Some((mut future, waker, is_aborted)) = taken else { return };
        if !is_aborted {
            let result = contain(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
            match result {
                Ok(Poll::Pending) => {
                    if let Some(child) = self.children.borrow_mut().get_mut(&number) {
                        child.future = Some(future);
                    }
                    return;
                }
                Ok(Poll::Ready(Ok(()))) => {}
                Ok(Poll::Ready(Err(error))) => self.fail(Failure::Error(error)),
                Err(payload) => self.fail(Failure::Panic(payload)),
            }
        }
        self.drop_contained(future);
        let child = self.children.borrow_mut().remove(&number);
        if let Some(child) = child {
            child.stand_in.abort();
            child.result.cancel();
        }
    }

    fn abort_child(&self, number: u64) {
        if let Some(child) = self.children.borrow_mut().get_mut(&number) {
            child.is_aborted = true;
        }
        let _ = self.ready.note(number);
    }

    fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// The first failure is the one that counts.
    fn fail(&self, failure: Failure<E>) {
        if self.has_failed() {
            contain_quietly(|| drop(failure));
        } else {
            self.failure.replace(Some(failure));
        }
    }

    fn drop_contained<T>(&self, foreign: T) {
        if let Err(payload) = contain(|| drop(foreign)) {
            self.fail(Failure::Panic(payload));
        }
    }

    /// Drops all children, and whatever comes later.
    fn close(&self) {
        self.is_closed.set(true);
        loop {
            let first = self.children.borrow_mut().pop_first();
            let Some((_, child)) = first else { break };
            child.stand_in.abort();
            self.drop_contained(child.future);
            child.result.cancel();
        }
    }
}

/// Leaving the scope in any way drops the children.
struct CloseOnDrop<'env, E>(Rc<Family<'env, E>>);

impl<E> Drop for CloseOnDrop<'_, E> {
    fn drop(&mut self) {
        self.0.close();
        if let Some(Failure::Panic(payload)) = self.0.failure.take() {
            discard(payload);
        }
    }
}

/// Awaits the value of a child, inside its scope. Dropping it changes nothing.
///
/// # Panics
///
/// Polling panics after it has given its result.
///
/// # Cancel safety
///
/// One that is polled by reference loses nothing when that is cancelled.
pub struct ScopedJoinHandle<'env, T> {
    number: u64,
    result: Rc<ScopedResult<T>>,
    family: Weak<dyn Abort + 'env>,
}

struct ScopedResult<T> {
    origin: Origin,
    value: Cell<Option<Result<T, JoinError>>>,
    /// The value is there, or was.
    is_settled: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<T> ScopedResult<T> {
    fn set(&self, result: Result<T, JoinError>) {
        self.value.set(Some(result));
        wake_all(self.waker.take());
    }
}

/// What a scope does with a result of any type.
trait Cancel {
    /// The child is dropped: where it has left no value, it never will.
    fn cancel(&self);
}

impl<T> Cancel for ScopedResult<T> {
    fn cancel(&self) {
        if !self.is_settled.replace(true) {
            self.set(Err(JoinError::cancelled(self.origin.id, Some(self.origin.location))));
        }
    }
}

/// What a handle does with a scope of any type.
trait Abort {
    fn abort(&self, number: u64);
}

impl<E> Abort for Family<'_, E> {
    fn abort(&self, number: u64) {
        self.abort_child(number);
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// The child's number, in the manner of a task's.
    pub fn id(&self) -> Id {
        self.result.origin.id
    }

    /// Asks the scope to cancel the child: it is dropped when the scope is polled next, and this handle then gives a
    /// [`JoinError`] that says 'cancelled'.
    pub fn abort(&self) {
        if let Some(family) = self.family.upgrade() {
            family.abort(self.number);
        }
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.result.is_settled.get()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = &self.result;
        if let Some(value) = result.value.take() {
            return Poll::Ready(value);
        }
        assert!(!result.is_settled.get(), "a ScopedJoinHandle is not polled after it has given its result");
        drop(result.waker.replace(Some(cx.waker().clone())));
        Poll::Pending
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
