//! Structured concurrency: children that cannot outlive the block that started them, and may borrow from around it.
//!
//! The children are polled by the future of the scope itself, so that they end with it, wherever it is dropped, and need
//! not be `'static`. (A borrowing task of the executor would be unsound: its scope's future can be forgotten.) Each has a
//! waker of its own, which is that of a *stand-in*, a small task of the executor: woken, it notes the child's number and
//! wakes the scope, which then polls its body and this child.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::budget;
use crate::contain::{Payload, contain_quietly, discard};
use crate::context;
use crate::core::Core;
use crate::driver::wake_all;
use crate::handle::Handle;
use crate::join::{AbortHandle, JoinError};
use crate::stage::{Origin, Stage};
use crate::task::Id;

/// How many children are polled before the other tasks of the executor have their turn.
const SLICE: usize = 16;

/// Runs `body`, which may start children in its [`Scope`], and waits for all of them.
///
/// Children may borrow what lives around the scope, and start further ones. When one panics, the body and all other
/// children are dropped, and the panic goes on in the caller. For children that can fail see [`try_scope`].
///
/// For a deadline, put [`timeout`](crate::time::timeout) around it. Scopes can be nested: an inner one is a part of the
/// child that runs it.
///
/// What lives inside the body cannot be borrowed, since a child may still run when the body is over:
///
/// ```compile_fail,E0597
/// # use pollywog_executor::scope;
/// # async fn example() {
/// scope(async |s| {
///     let word = String::from("stackless");
///     s.spawn(async { word.len() });
/// }).await;
/// # }
/// ```
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
    let family = CloseOnDrop(Rc::new(Family::new(Handle::new(&context::expect("`scope`")))));
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
    let Some(failure) = family.0.failure.take() else {
        return Ok(output.expect("a scope that has not failed has its output"));
    };
    contain_quietly(|| drop(output));
    match failure {
        Failure::Error(error) => Err(error),
        Failure::Panic(payload) => resume_unwind(payload),
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

impl<'env, E: 'env> Scope<'env, E> {
    /// Starts a child. It first runs after the current poll, never inside this call. Dropping the handle changes
    /// nothing.
    ///
    /// # Panics
    ///
    /// Where the scope's executor does not run.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> ScopedJoinHandle<F::Output>
    where
        F: Future + 'env,
        F::Output: 'env,
    {
        self.start(future, Ok, Location::caller())
    }

    /// Starts a child that can fail: its error ends the scope. Its handle gives only a value.
    ///
    /// # Panics
    ///
    /// Where the scope's executor does not run.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, future: F) -> ScopedJoinHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'env,
        T: 'env,
    {
        self.start(future, |result| result, Location::caller())
    }

    /// Asks for every child to be cancelled; the body goes on.
    pub fn abort_all(&self) {
        let leashes: Vec<_> = self.family.children.borrow().values().map(|child| child.leash.clone()).collect();
        leashes.iter().for_each(|leash| leash.abort());
    }

    #[track_caller]
    fn start<F, T>(
        &self,
        future: F,
        judge: fn(F::Output) -> Result<T, E>,
        location: &'static Location<'static>,
    ) -> ScopedJoinHandle<T>
    where
        F: Future + 'env,
        T: 'env,
    {
        let core = self.family.expect_executor();
        let origin = Origin { id: Id::new(core.id, core.next_sequence()), location };
        let result =
            Rc::new(ScopedResult { value: Cell::new(None), is_settled: Cell::new(false), waker: Cell::new(None) });
        let mut run = Box::pin(ChildRun { stage: Stage::Future { future }, judge, origin, result: result.clone() });
        let marks = Rc::new(Marks::default());
        if self.family.is_closed.get() {
            if let Err(payload) = run.as_mut().cancel() {
                discard(payload);
            }
            return ScopedJoinHandle { id: origin.id, result, leash: Leash { marks, stand_in: None } };
        }
        let (number, ready, theirs) = (self.family.next_number(), self.family.ready.clone(), marks.clone());
        let stand_in = core.spawn_detached(origin, poll_fn(move |_| ready.note(number, &theirs)), None);
        let leash = Leash { marks, stand_in: Some(stand_in) };
        self.family.children.borrow_mut().insert(number, Child { run: Some(run), leash: leash.clone() });
        ScopedJoinHandle { id: origin.id, result, leash }
    }
}

impl<E> fmt::Debug for Scope<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &self.family.children.borrow().len()).finish_non_exhaustive()
    }
}

/// What a scope consists of. No cell is borrowed while a child is polled or dropped (invariant 10).
struct Family<'env, E> {
    executor: Handle,
    /// By number, in the order of their start.
    children: RefCell<BTreeMap<u64, Child<'env, E>>>,
    last_number: Cell<u64>,
    ready: Rc<Ready>,
    failure: RefCell<Option<Failure<E>>>,
    is_closed: Cell<bool>,
}

struct Child<'env, E> {
    /// Taken out while it is polled.
    run: Option<Pin<Box<dyn Run<E> + 'env>>>,
    leash: Leash,
}

enum Failure<E> {
    Error(E),
    Panic(Payload),
}

/// What reaches a child from outside of its scope: it borrows nothing.
#[derive(Clone)]
struct Leash {
    marks: Rc<Marks>,
    /// The task whose waker is the child's.
    stand_in: Option<AbortHandle>,
}

#[derive(Default)]
struct Marks {
    /// Its number stands in the queue.
    is_queued: Cell<bool>,
    is_aborted: Cell<bool>,
}

impl Leash {
    fn waker(&self) -> Option<Waker> {
        self.stand_in.as_ref()?.waker()
    }

    /// Flag, then wake, as with tasks (invariant 9).
    fn abort(&self) {
        self.marks.is_aborted.set(true);
        wake_all(self.waker());
    }

    /// The child is gone.
    fn release(&self) {
        if let Some(stand_in) = &self.stand_in {
            stand_in.abort();
        }
    }
}

/// What the stand-ins see of their scope.
#[derive(Default)]
struct Ready {
    numbers: RefCell<VecDeque<u64>>,
    parent: Cell<Option<Waker>>,
}

impl Ready {
    /// What a stand-in does whenever its waker was woken. A number stands in the queue once (as invariant 2).
    fn note(&self, number: u64, marks: &Marks) -> Poll<()> {
        if !marks.is_queued.replace(true) {
            self.numbers.borrow_mut().push_back(number);
        }
        wake_all(self.parent.take());
        Poll::Pending
    }
}

impl<'env, E> Family<'env, E> {
    fn new(executor: Handle) -> Self {
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

    /// The executor that runs the stand-ins: without it nobody would hear of them.
    #[track_caller]
    fn expect_executor(&self) -> Rc<Core> {
        let core = context::expect("a scope was used");
        assert!(
            Handle::new(&core) == self.executor,
            "a scope was used on another executor than before, where its children cannot be woken"
        );
        core
    }

    /// The scope is being polled.
    fn adopt(&self, cx: &Context<'_>) {
        self.expect_executor();
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
            child.leash.marks.is_queued.set(false);
            Some((child.run.take()?, child.leash.clone()))
        });
        let Some((mut run, leash)) = taken else { return };
        let waker = leash.waker().expect("a child that was started has a stand-in");
        let ended = if leash.marks.is_aborted.get() {
            run.as_mut().cancel().map_err(Failure::Panic)
        } else if let Poll::Ready(ended) =
            // A budget of its own: one that uses it up must not starve those after it.
            budget::anew(|| run.as_mut().poll(&mut Context::from_waker(&waker)))
        {
            ended
        } else {
            if let Some(child) = self.children.borrow_mut().get_mut(&number) {
                child.run = Some(run);
            }
            return;
        };
        if let Err(failure) = ended {
            self.fail(failure);
        }
        self.children.borrow_mut().remove(&number);
        leash.release();
        contain_quietly(|| drop(run));
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

    /// Drops all children, and whatever comes later.
    fn close(&self) {
        self.is_closed.set(true);
        loop {
            let first = self.children.borrow_mut().pop_first();
            let Some((_, child)) = first else { break };
            child.leash.release();
            let Some(mut run) = child.run else { continue };
            if let Err(payload) = run.as_mut().cancel() {
                self.fail(Failure::Panic(payload));
            }
            contain_quietly(|| drop(run));
        }
    }
}

/// Leaving the scope in any way drops the children.
struct CloseOnDrop<'env, E>(Rc<Family<'env, E>>);

impl<E> Drop for CloseOnDrop<'_, E> {
    fn drop(&mut self) {
        self.0.close();
        let failure = self.0.failure.take();
        contain_quietly(|| drop(failure));
    }
}

/// What a scope does with a child of any type. Nothing here lets a panic out.
trait Run<E> {
    /// Polls the future. When it is done, it has been dropped, and the handle knows.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure<E>>>;

    /// Drops the future; the handle then says 'cancelled'. The error is the panic of that drop.
    fn cancel(self: Pin<&mut Self>) -> Result<(), Payload>;
}

pin_project! {
    struct ChildRun<F: Future, T, E> {
        #[pin]
        stage: Stage<F>,
        judge: fn(F::Output) -> Result<T, E>,
        origin: Origin,
        result: Rc<ScopedResult<T>>,
    }
}

impl<F: Future, T, E> Run<E> for ChildRun<F, T, E> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure<E>>> {
        let mut this = self.project();
        ready!(this.stage.as_mut().poll(*this.origin, cx));
        let ended = match this.stage.take() {
            Some(Ok(output)) => (this.judge)(output).map_err(Failure::Error),
            Some(Err(error)) => Err(Failure::Panic(error.into_panic())),
            None => unreachable!("what has ended has left a result"),
        };
        match ended {
            Ok(value) => this.result.settle(Ok(value)),
            Err(failure) => {
                this.result.settle(Err(JoinError::cancelled(this.origin.id, Some(this.origin.location))));
                return Poll::Ready(Err(failure));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn cancel(self: Pin<&mut Self>) -> Result<(), Payload> {
        let mut this = self.project();
        this.stage.as_mut().cancel(*this.origin);
        this.result.settle(Err(JoinError::cancelled(this.origin.id, Some(this.origin.location))));
        match this.stage.take() {
            Some(Err(error)) => error.try_into_panic().map_or(Ok(()), Err),
            _ => Ok(()),
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
pub struct ScopedJoinHandle<T> {
    id: Id,
    result: Rc<ScopedResult<T>>,
    leash: Leash,
}

struct ScopedResult<T> {
    value: Cell<Option<Result<T, JoinError>>>,
    /// The value is there, or was.
    is_settled: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<T> ScopedResult<T> {
    fn settle(&self, result: Result<T, JoinError>) {
        self.is_settled.set(true);
        self.value.set(Some(result));
        wake_all(self.waker.take());
    }
}

impl<T> ScopedJoinHandle<T> {
    /// The child's number, in the manner of a task's.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Asks the scope to cancel the child: it is dropped when the scope is polled next, and this handle then gives a
    /// [`JoinError`] that says 'cancelled'.
    pub fn abort(&self) {
        self.leash.abort();
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.result.is_settled.get()
    }
}

impl<T> Future for ScopedJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = &self.result;
        budget::charge(cx, |cx| {
            if let Some(value) = result.value.take() {
                return Poll::Ready(value);
            }
            assert!(!result.is_settled.get(), "a ScopedJoinHandle is not polled after it has given its result");
            drop(result.waker.replace(Some(cx.waker().clone())));
            Poll::Pending
        })
    }
}

impl<T> Drop for ScopedJoinHandle<T> {
    fn drop(&mut self) {
        contain_quietly(|| drop(self.result.value.take()));
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
