//! Giving way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;

/// Lets every ready task run once, and the driver look for events and due timers once, before this task goes on. (With a
/// [seed](crate::Builder::seed) only the driver: the seed may choose this task before the others.)
///
/// Where no Pollywog executor runs it wakes its task and returns to it once.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use pollywog_executor::{Executor, driver::ThreadDriver, spawn, task::yield_now};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     let ran = Rc::new(Cell::new(false));
///     let flag = ran.clone();
///     spawn(async move { flag.set(true) });
///     assert!(!ran.get());
///     yield_now().await;
///     assert!(ran.get());
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        match context::current() {
            Some(core) => core.defer(cx.waker()),
            None => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}
