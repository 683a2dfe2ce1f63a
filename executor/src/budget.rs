//! How much one poll of a task may do.
//!
//! A socket that is always ready would keep its task in one poll for ever. So the leaf operations of a poll share a
//! budget; when it is used up they say `Pending` once, and the task runs on after the driver and every other ready
//! task had their turn. The idea is tokio's cooperative scheduling.

use std::cell::Cell;
use std::task::{Context, Poll};

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
#[inline]
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
        core.defer(cx.waker());
    }
}
