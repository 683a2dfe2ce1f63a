//! How long a client lets us wait for the header of a request.
//!
//! hyper has such a timeout, with a timer made and dropped for each request, and a second look at the socket to start it.
//! This one notes the time of the turn for each request, and moves its timer only when it fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::answer::Progress;
use crate::time::{self, Sleep, sleep_until};

#[derive(Debug)]
pub(super) struct Waiting {
    timeout: Option<Duration>,
    /// The request that is waited for, by its number, and since when.
    request: Option<(u64, Instant)>,
    /// It fires at that time or before.
    sleep: Option<Sleep>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Waiting {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, request: None, sleep: None, waker: None }
    }

    /// Ready when the client is late. To be called after each poll of the connection.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, progress: &Progress) -> Poll<()> {
        let Some(timeout) = self.timeout else { return Poll::Pending };
        if progress.is_answering() {
            return Poll::Pending;
        }
        let number = progress.requests();
        let since = match self.request {
            Some((waited_for, since)) if waited_for == number => since,
            _ => {
                let now = time::coarse_now();
                self.request = Some((number, now));
                // The timer that runs finds out.
                if self.sleep.as_ref().is_some_and(|sleep| now < sleep.deadline()) && self.wakes(cx) {
                    return Poll::Pending;
                }
                now
            }
        };
        self.poll_timer(cx, since, timeout)
    }

    #[cold]
    fn poll_timer(&mut self, cx: &mut Context<'_>, since: Instant, timeout: Duration) -> Poll<()> {
        // A deadline that no clock reaches is none.
        let Some(deadline) = since.checked_add(timeout) else { return Poll::Pending };
        if !self.wakes(cx) {
            self.waker = Some(cx.waker().clone());
        }
        let sleep = self.sleep.get_or_insert_with(|| sleep_until(deadline));
        loop {
            if Pin::new(&mut *sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline <= sleep.deadline() {
                return Poll::Ready(());
            }
            sleep.reset(deadline);
        }
    }

    fn wakes(&self, cx: &Context<'_>) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
    }
}
