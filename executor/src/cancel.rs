//! Cancellation that is asked for: whoever holds a token may cancel it, and the work looks at it, or waits for it.
//!
//! Tokens form a tree, and what is cancelled is a token with everything below it. A parent knows its children weakly,
//! a child keeps its parent: so a token that all its owners have dropped goes at once, or with the last one below it,
//! and until then cancellation still passes through.
//!
//! They need no executor, and any thread may use them. Each has a lock of its own, and nobody ever holds two. No
//! foreign code runs under one (invariant 10): a waker is cloned before, dropped after, and woken when the whole walk
//! is over.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::driver::wake_all;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// Tells work to stop, from any thread and for good. A clone is the same token.
///
/// A token is small, and costs no more than a lock and an entry in its parent's table: one for each connection is
/// fine. It stays in memory while a token below it lives, so a chain that is extended for ever at its end grows.
///
/// # Examples
///
/// ```
/// use std::future;
/// use pollywog_executor::{Executor, cancel::CancelToken, driver::ThreadDriver, spawn};
///
/// let shutdown = CancelToken::new();
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let connection = shutdown.child_token();
///     let task = spawn(async move {
///         match connection.run_until_cancelled(future::pending::<()>()).await {
///             Some(()) => "done",
///             None => "goodbye",
///         }
///     });
///     shutdown.cancel();
///     assert_eq!(task.await.unwrap(), "goodbye");
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Clone, Default)]
pub struct CancelToken {
    node: Arc<Node>,
}

#[derive(Default)]
struct Node {
    /// The parent, and the place of this token there.
    parent: Option<(Arc<Node>, u64)>,
    /// It is set under the lock, never becomes false again, and no entry is added once it is true.
    is_cancelled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many places were given out. None comes again, so their order is that of registration.
    places: u64,
    waiters: BTreeMap<u64, Waker>,
    /// Removed by the child's own drop. Who upgrades one under the lock must drop it after: it may be the last.
    children: BTreeMap<u64, Weak<Node>>,
}

impl State {
    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }
}

impl Node {
    fn below(parent: Arc<Self>, place: u64) -> Self {
        Self { parent: Some((parent, place)), is_cancelled: AtomicBool::default(), state: Mutex::default() }
    }

    /// The lock, whether or not somebody panicked under it: nothing foreign ever runs there.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Exact under the lock. Without it, who sees `false` may be late, but has not been woken yet.
    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }
}

impl Drop for Node {
    /// A loop, since this may be the last token below a long line of ancestors that nobody else has.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some((node, place)) = parent {
            node.lock().children.remove(&place);
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

impl CancelToken {
    /// A token that is not cancelled, and has no parent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, and can be cancelled alone. A child of a cancelled token is cancelled
    /// from the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_executor::cancel::CancelToken;
    ///
    /// let parent = CancelToken::new();
    /// let (first, second) = (parent.child_token(), parent.child_token());
    /// first.cancel();
    /// assert!(first.is_cancelled() && !second.is_cancelled() && !parent.is_cancelled());
    /// parent.cancel();
    /// assert!(second.is_cancelled() && parent.child_token().is_cancelled());
    /// ```
    pub fn child_token(&self) -> Self {
        let mut state = self.node.lock();
        if self.node.is_cancelled() {
            return self.clone(); // there is nothing left that would tell them apart
        }
        let place = state.next_place();
        let node = Arc::new(Node::below(self.node.clone(), place));
        state.children.insert(place, Arc::downgrade(&node));
        Self { node }
    }

    /// Cancels this token and all below it, and wakes everybody who waits for one of them; a second time it does
    /// nothing.
    ///
    /// All of them are cancelled before the first is woken, and when this returns, also on a thread where it is the
    /// second of two at once. Other threads may see the parent cancelled a moment before the child. The waiters of a
    /// token are woken in the order in which they first waited; those of a parent before those of its children, and
    /// those of an older child before those of a younger one.
    ///
    /// A panic of a waker that is woken goes no further.
    pub fn cancel(&self) {
        let (mut nodes, mut wakers) = (vec![self.node.clone()], Vec::new());
        let mut visited = 0;
        while let Some(node) = nodes.get(visited).cloned() {
            let mut state = node.lock();
            node.is_cancelled.store(true, Ordering::Release);
            wakers.extend(mem::take(&mut state.waiters).into_values());
            nodes.extend(state.children.values().filter_map(Weak::upgrade));
            visited += 1;
        }
        // Only now: until all are cancelled, whoever else cancels has to find the rest of the way.
        for node in &nodes {
            node.lock().children.clear();
        }
        drop(nodes);
        wake_all(wakers);
    }

    /// Whether the token is cancelled, by itself or with one above it.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled; when it is already, it is ready at the first poll.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes its waker out, and leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    /// use pollywog_executor::{Executor, cancel::CancelToken, driver::ThreadDriver};
    ///
    /// let token = CancelToken::new();
    /// let other = token.clone();
    /// let thread = thread::spawn(move || other.cancel());
    /// Executor::new()?.block_on(&mut ThreadDriver::new(), token.cancelled());
    /// assert!(token.is_cancelled());
    /// # thread.join().unwrap();
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { token: Cow::Borrowed(self), place: None }
    }

    /// As [`cancelled`](Self::cancelled), with a future that owns the token.
    ///
    /// # Cancel safety
    ///
    /// As [`cancelled`](Self::cancelled).
    pub fn cancelled_owned(self) -> Cancelled<'static> {
        Cancelled { token: Cow::Owned(self), place: None }
    }

    /// Runs `future` until it is done or the token is cancelled: then it is dropped, and the result is `None`.
    ///
    /// When the token is cancelled before the first poll, `future` is never polled. After that `future` is polled
    /// first: when both have come, its result counts.
    ///
    /// # Panics
    ///
    /// Polling panics after the result was given.
    ///
    /// # Cancel safety
    ///
    /// As `future`, which cancelling drops.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future, time::Duration};
    /// use pollywog_executor::{Executor, cancel::CancelToken, driver::ThreadDriver, spawn, time::sleep};
    ///
    /// let token = CancelToken::new();
    /// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
    ///     assert_eq!(token.run_until_cancelled(async { 42 }).await, Some(42));
    ///     let guard = token.clone().drop_guard();
    ///     spawn(async move {
    ///         sleep(Duration::from_millis(1)).await;
    ///         drop(guard);
    ///     });
    ///     assert_eq!(token.run_until_cancelled(future::pending::<()>()).await, None);
    /// });
    /// # Ok::<(), pollywog_executor::TooManyExecutors>(())
    /// ```
    pub fn run_until_cancelled<F: Future>(&self, future: F) -> RunUntilCancelled<'_, F> {
        RunUntilCancelled { cancelled: self.cancelled(), future: Some(future) }
    }

    /// As [`run_until_cancelled`](Self::run_until_cancelled), with a future that owns the token.
    ///
    /// # Panics
    ///
    /// As [`run_until_cancelled`](Self::run_until_cancelled).
    ///
    /// # Cancel safety
    ///
    /// As [`run_until_cancelled`](Self::run_until_cancelled).
    pub fn run_until_cancelled_owned<F: Future>(self, future: F) -> RunUntilCancelled<'static, F> {
        RunUntilCancelled { cancelled: self.cancelled_owned(), future: Some(future) }
    }

    /// A guard that cancels the token when it is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// The future of [`CancelToken::cancelled`] and [`CancelToken::cancelled_owned`].
///
/// It may be polled with one waker after the other: the last is woken. Once ready, it stays so.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled<'a> {
    token: Cow<'a, CancelToken>,
    /// Where its waker is, once it has waited.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    waker: Likeness,
}

/// What a waker looks like. While the one that it was taken of stands in the table, no other looks the same.
#[derive(Debug, PartialEq, Eq)]
struct Likeness {
    data: usize,
    vtable: usize,
}

impl Likeness {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data() as usize, vtable: ptr::from_ref(waker.vtable()) as usize }
    }
}

impl Cancelled<'_> {
    #[cold]
    fn enter(&mut self, waker: &Waker) -> Poll<()> {
        let Self { token, place } = self;
        let waker = waker.clone();
        let likeness = Likeness::of(&waker);
        let mut state = token.node.lock();
        if token.node.is_cancelled() {
            return Poll::Ready(()); // the lock goes first, then the waker
        }
        let number = place.as_ref().map_or_else(|| state.next_place(), |place| place.number);
        *place = Some(Place { number, waker: likeness });
        let displaced = state.waiters.insert(number, waker);
        drop(state);
        drop(displaced);
        Poll::Pending
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else { return };
        let waker = self.token.node.lock().waiters.remove(&place.number);
        drop(waker);
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A connection's task waits here with each message. Its waker is there still: whoever takes it out wakes it after.
        match &self.place {
            Some(place) if place.waker == Likeness::of(cx.waker()) && !self.token.node.is_cancelled() => Poll::Pending,
            _ => self.enter(cx.waker()),
        }
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

pin_project! {
    /// The future of [`CancelToken::run_until_cancelled`] and [`CancelToken::run_until_cancelled_owned`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct RunUntilCancelled<'a, F> {
        cancelled: Cancelled<'a>,
        // `None` once the result was given.
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Future for RunUntilCancelled<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut().expect("it is not polled after it has given its result");
        let output = if this.cancelled.place.is_none() && this.cancelled.token.is_cancelled() {
            None // before the first poll
        } else if let Poll::Ready(output) = future.poll(cx) {
            Some(output)
        } else {
            ready!(Pin::new(&mut *this.cancelled).poll(cx));
            None
        };
        this.future.set(None);
        this.cancelled.leave();
        Poll::Ready(output)
    }
}

/// Cancels its token when dropped: made by [`CancelToken::drop_guard`].
///
/// # Examples
///
/// ```
/// use pollywog_executor::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// let guard = token.clone().drop_guard();
/// assert!(!guard.disarm().is_cancelled());
/// drop(token.clone().drop_guard());
/// assert!(token.is_cancelled());
/// ```
#[derive(Debug)]
#[must_use = "a guard that is dropped at once cancels at once"]
pub struct DropGuard {
    /// `None` once disarmed.
    token: Option<CancelToken>,
}

impl DropGuard {
    /// The token, which the guard does not cancel any more.
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("disarming consumes the guard")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

#[cfg(all(test, pollywog_loom))]
mod loom;
