//! How much one poll of a task may do.
//!
//! A socket that is always ready would keep its task in one poll for ever. So the leaf operations of a poll share a
//! budget; when it is used up they say `Pending` once, and the task runs on after the driver and every other ready
//! task had their turn. The idea is tokio's cooperative scheduling.
//!
//! Charged are: operations of sockets, join handles, sets of tasks, a sleep that is due when it is first polled, and what
//! is wrapped in [`coop`]. A sleep that has waited is not, so that a `timeout`, or a `select!` over a sleep, fires even
//! where the other side has used the budget up. Futures that are joined (`join!`, `select!`, `FuturesUnordered`)
//! share the budget of their task, and one that always uses it up starves those after it; each child of a scope has its
//! own.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::context;

/// Leaf operations per poll of a task, as in tokio.
const PER_POLL: u8 = 128;

/// What a thread has on which no task runs.
const UNLIMITED: u8 = u8::MAX;

thread_local! {
    /// What is left of the running task's budget. It is the thread's, not the executor's: one task runs at a time, and
    /// each leaf operation looks here.
    static LEFT: Cell<u8> = const { Cell::new(UNLIMITED) };
}

/// A task is about to be polled.
#[inline]
pub(crate) fn refill() {
    LEFT.set(PER_POLL);
}

/// No task will be polled for a while.
pub(crate) fn lift() {
    LEFT.set(UNLIMITED);
}

/// Charges the running task's budget for `operation`: one unit if it is ready, none if it is pending. With nothing
/// left, `operation` is not tried, and the task is woken after the next look at the driver.
///
/// Outside an executor there is no budget, and `operation` is simply called.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
/// use pollywog_executor::{Executor, budget, driver::ThreadDriver};
///
/// // A leaf that is always ready still lets others in.
/// let leaf = || poll_fn(|cx| budget::charge(cx, |_cx| Poll::Ready(1)));
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let mut sum = 0;
///     while sum < 1_000 {
///         sum += leaf().await;
///     }
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[inline(always)]
pub fn charge<T>(cx: &mut Context<'_>, operation: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    if LEFT.get() == 0 {
        defer(cx);
        return Poll::Pending;
    }
    let result = operation(cx);
    let left = LEFT.get();
    if result.is_ready() && left != UNLIMITED {
        LEFT.set(left.saturating_sub(1));
    }
    result
}

#[cold]
fn defer(cx: &Context<'_>) {
    if let Some(core) = context::current() {
        core.counters.count_forced_yield();
        core.defer(cx.waker());
    }
}

/// Charges the running task's budget for a leaf of another make, a channel's `recv` say: one unit when it is ready.
///
/// # Cancel safety
///
/// As `future`: it is not polled where the budget is used up.
///
/// # Examples
///
/// ```
/// use futures::{StreamExt, channel::mpsc};
/// use pollywog_executor::{Executor, budget, driver::ThreadDriver};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let (sender, mut receiver) = mpsc::unbounded();
///     sender.unbounded_send("a message").unwrap();
///     // A receiver that always finds a message would never let others in.
///     assert_eq!(budget::coop(receiver.next()).await, Some("a message"));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn coop<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

pin_project! {
    /// The future of [`coop`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        charge(cx, |cx| self.project().future.poll(cx))
    }
}

/// Charges the running task's budget one unit, for work that has no leaf of its own: a long computation calls it from
/// time to time. Where the budget is used up, the task gives way first.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, task::consume_budget};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let mut sum = 0_u64;
///     for chunk in (0..1_000_000_u64).collect::<Vec<_>>().chunks(1_000) {
///         sum += chunk.iter().sum::<u64>();
///         consume_budget().await;
///     }
///     assert_eq!(sum, 499_999_500_000);
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub async fn consume_budget() {
    poll_fn(|cx| charge(cx, |_| Poll::Ready(()))).await;
}

/// Polls `future` without a budget: it may keep the thread for as long as its leaves are ready.
///
/// # Cancel safety
///
/// As `future`.
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, task::{consume_budget, unconstrained}};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), unconstrained(async {
///     for _ in 0..1_000 {
///         consume_budget().await; // never gives way here
///     }
/// }));
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// The future of [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        with(UNLIMITED, || self.project().future.poll(cx))
    }
}

/// Runs `f` on a budget of its own, unless there is no limit.
pub(crate) fn anew<R>(f: impl FnOnce() -> R) -> R {
    let budget = if LEFT.get() == UNLIMITED { UNLIMITED } else { PER_POLL };
    with(budget, f)
}

fn with<R>(budget: u8, f: impl FnOnce() -> R) -> R {
    /// Gives the rest of the budget back, also when `f` panics.
    struct Restore(u8);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    let _restore = Restore(LEFT.replace(budget));
    f()
}
