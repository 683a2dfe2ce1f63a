//! Tasks that are awaited together, in the order in which they finish.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{Location, resume_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::budget;
use crate::contain::contain_quietly;
use crate::context;
use crate::deliver::Deliver;
use crate::driver::wake_all;
use crate::join::{AbortHandle, JoinError};
use crate::stage::Origin;
use crate::task::Id;
use crate::trace;

/// A set of tasks, whose results come in the order in which the tasks finish.
///
/// Dropping the set aborts its tasks; they are gone when their executor has come to them. To wait for that, see
/// [`shutdown`](Self::shutdown). It stays on the thread that made it; each task runs on the executor that ran when it
/// was spawned.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, task::{JoinSet, yield_now}};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let mut set = JoinSet::new();
///     for turns in [3, 1, 2] {
///         set.spawn(async move {
///             for _ in 0..turns {
///                 yield_now().await;
///             }
///             turns
///         });
///     }
///     let mut finished = Vec::new();
///     while let Some(result) = set.join_next().await {
///         finished.push(result.expect("none panics"));
///     }
///     assert_eq!(finished, [1, 2, 3]);
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub struct JoinSet<T> {
    /// In the order of spawning, so that aborting them has an order too.
    tasks: BTreeMap<Id, AbortHandle>,
    finished: Rc<Finished<T>>,
}

/// Where the tasks leave their results.
struct Finished<T> {
    results: RefCell<VecDeque<(Id, Result<T, JoinError>)>>,
    waker: Cell<Option<Waker>>,
    /// The set is gone: nobody will look.
    unwanted: Cell<bool>,
}

impl<T> Default for Finished<T> {
    fn default() -> Self {
        Self { results: RefCell::default(), waker: Cell::default(), unwanted: Cell::new(false) }
    }
}

impl<T> Finished<T> {
    fn deliver(&self, id: Id, result: Result<T, JoinError>) {
        if self.unwanted.get() {
            return discard_result(result);
        }
        self.results.borrow_mut().push_back((id, result));
        wake_all(self.waker.take());
    }

    /// Nobody will look any more.
    fn abandon(&self) {
        self.unwanted.set(true);
        let results = self.results.take();
        results.into_iter().for_each(|(_, result)| discard_result(result));
        contain_quietly(|| drop(self.waker.take()));
    }
}

/// A result that nobody will see is dropped.
pub(crate) fn discard_result<T>(result: Result<T, JoinError>) {
    if let Err(error) = &result
        && error.is_panic()
    {
        trace::unobserved_panic(error);
    }
    contain_quietly(|| drop(result));
}

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { tasks: BTreeMap::new(), finished: Rc::default() }
    }

    /// How many tasks are in the set: those whose results were not taken yet.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether every result was taken.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// As [`spawn`](fn@crate::spawn), into the set. For a task with a name see
    /// [`task::Builder::spawn_into`](crate::task::Builder::spawn_into).
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.spawn_named(future, None, Location::caller())
    }

    /// As [`spawn_blocking`](crate::spawn_blocking), into the set.
    ///
    /// Other than in tokio, nobody waits for work that runs already when its task is aborted, by
    /// [`shutdown`](Self::shutdown) too: it runs on, and its result is dropped.
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@crate::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_executor::{Executor, driver::ThreadDriver, task::JoinSet};
    ///
    /// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
    ///     let mut set = JoinSet::new();
    ///     for end in [10_u64, 100, 1_000] {
    ///         set.spawn_blocking(move || (1..=end).sum::<u64>());
    ///     }
    ///     assert_eq!(set.join_all().await.into_iter().max(), Some(500_500));
    /// });
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    #[cfg(feature = "blocking")]
    #[track_caller]
    pub fn spawn_blocking(&mut self, work: impl FnOnce() -> T + Send + 'static) -> AbortHandle
    where
        T: Send,
    {
        context::expect("`JoinSet::spawn_blocking`");
        self.spawn_named(crate::blocking::hand_over(work), None, Location::caller())
    }

    pub(crate) fn spawn_named<F>(
        &mut self,
        future: F,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let core = context::expect("`JoinSet::spawn`");
        let id = Id::new(core.id, core.next_sequence());
        let finished = self.finished.clone();
        let origin = Origin { id, location };
        let task = Deliver::new(origin, future, move |result| finished.deliver(id, result));
        let handle = core.spawn_detached(origin, task, name);
        self.tasks.insert(id, handle.clone());
        handle
    }

    /// The result of the next task to finish; `None` when the set is empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a result is taken when this is ready, and not before.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.join_next_with_id().await.map(|(_, result)| result)
    }

    /// As [`join_next`](Self::join_next), with the number of the task.
    ///
    /// # Cancel safety
    ///
    /// As [`join_next`](Self::join_next).
    pub async fn join_next_with_id(&mut self) -> Option<(Id, Result<T, JoinError>)> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// The poll behind [`join_next`](Self::join_next). The waker of the latest call is the one that is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|next| next.map(|(_, result)| result))
    }

    /// The poll behind [`join_next_with_id`](Self::join_next_with_id).
    pub fn poll_join_next_with_id(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Id, Result<T, JoinError>)>> {
        budget::charge(cx, |cx| {
            if let Some(next) = self.take_next() {
                return Poll::Ready(Some(next));
            }
            if self.is_empty() {
                return Poll::Ready(None);
            }
            drop(self.finished.waker.replace(Some(cx.waker().clone())));
            Poll::Pending
        })
    }

    /// A result that is there already.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.take_next().map(|(_, result)| result)
    }

    fn take_next(&mut self) -> Option<(Id, Result<T, JoinError>)> {
        let next = self.finished.results.borrow_mut().pop_front()?;
        self.tasks.remove(&next.0);
        Some(next)
    }

    /// Asks for every task to be cancelled; each stays in the set until its result, 'cancelled', is taken.
    pub fn abort_all(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
    }

    /// Aborts every task, and waits until each of them is dropped; not for [blocking](Self::spawn_blocking) work that runs.
    ///
    /// # Cancel safety
    ///
    /// Those not yet waited for stay in the set, aborted.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some(result) = self.join_next().await {
            discard_result(result);
        }
    }

    /// All results, in the order in which the tasks finish.
    ///
    /// # Panics
    ///
    /// With the panic of the first task that panicked, and when one was aborted; the others are aborted then.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut results = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(result) => results.push(result),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => resume_unwind(payload),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        results
    }

    /// Lets every task run on without the set, which is empty then.
    pub fn detach_all(&mut self) {
        self.tasks.clear();
        std::mem::take(&mut self.finished).abandon();
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
        self.finished.abandon();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.tasks.len()).finish_non_exhaustive()
    }
}
