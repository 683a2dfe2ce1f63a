//! Work that blocks, on other threads.

use std::future::Future;
use std::panic::Location;

use crate::context;
use crate::join::JoinHandle;
use crate::time;

/// Runs `work` on a thread of a pool, and gives its result, or its panic, to a task's handle.
///
/// For file access, name lookups, long computations: whatever would keep the executor's thread. The pool is that of the
/// [`blocking`](https://docs.rs/blocking) crate, shared by the process; it grows to 500 threads, and idle ones end.
/// Until the result is there, or the task aborted, a [paused](time::pause) clock does not move by itself.
///
/// Aborting, or dropping the executor, keeps work from starting; work that runs already runs on, and its result is
/// dropped.
///
/// # Panics
///
/// As [`spawn`](fn@crate::spawn).
///
/// # Examples
///
/// ```
/// use pollywog_executor::{Executor, driver::ThreadDriver, spawn_blocking};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let sum = spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>());
///     assert_eq!(sum.await.unwrap(), 500_000_500_000);
///     let error = spawn_blocking(|| panic!("it failed")).await.unwrap_err();
///     assert!(error.is_panic() && error.to_string().ends_with("panicked: it failed"));
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let core = context::expect("`spawn_blocking`");
    core.spawn(hand_over(work), None, Location::caller())
}

/// Hands `work` to the pool here, not when the future is first polled.
pub(crate) fn hand_over<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let hold = time::hold();
    let work = blocking::unblock(work);
    async move {
        let result = work.await;
        drop(hold);
        result
    }
}
