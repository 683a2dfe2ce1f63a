//! A future with a time limit.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::{Sleep, sleep, sleep_until};

/// Gives `future` at most `duration` from this call.
///
/// # Errors
///
/// [`Elapsed`] when the time is over first. The future is dropped when the `Timeout` is.
///
/// # Cancel safety
///
/// As `future`: a timeout cancels it by dropping it.
///
/// # Examples
///
/// ```
/// use std::{future, time::Duration};
/// use pollywog_executor::{Executor, driver::ThreadDriver, time::timeout};
///
/// Executor::new()?.block_on(&mut ThreadDriver::new(), async {
///     assert_eq!(timeout(Duration::from_secs(5), async { 42 }).await, Ok(42));
///     assert!(timeout(Duration::from_millis(1), future::pending::<()>()).await.is_err());
/// });
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

/// As [`timeout`], with the moment at which the time is over.
///
/// # Errors
///
/// As [`timeout`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Without a budget: it fires even where `future` has used it up.
        this.sleep.poll_elapsed(cx).map(|()| Err(Elapsed(())))
    }
}

/// The error of a future whose time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
