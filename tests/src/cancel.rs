//! Futures that are dropped at every one of their polls.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures::FutureExt;
use futures::task::AtomicWaker;
use pollywog_net::budget::consume_budget;

use crate::net::turns;

/// A future that is not ready after so many polls is not going to be.
const MOST_POLLS: usize = 16;

/// One place at which a future is dropped.
///
/// What it waits for comes before its first poll, or before a later one, or only after it is dropped; the reactor looks
/// between two polls and before the drop, or only where it is awaited; and every other poll may be refused, since the
/// budget is used up.
#[derive(Debug)]
pub struct Cut {
    polls: usize,
    comes_before: usize,
    is_told: bool,
    is_refused: bool,
    has_ended: Cell<Option<bool>>,
}

/// Runs `scenario` once for each [`Cut`] of the future that it gives to [`Cut::apply`]: from a drop before the first
/// poll to one that comes too late.
///
/// The scenario makes what it needs anew each time, and asserts at its end what the future promised.
pub async fn at_every_poll(mut scenario: impl AsyncFnMut(&Cut)) {
    for comes_before in 0..3 {
        for (is_told, is_refused) in [(true, false), (false, false), (true, true), (false, true)] {
            for polls in 0.. {
                assert!(polls <= MOST_POLLS, "not ready after {MOST_POLLS} polls");
                let cut = Cut { polls, comes_before, is_told, is_refused, has_ended: Cell::new(None) };
                scenario(&cut).await;
                if cut.has_ended.get().expect("the scenario applies it") {
                    break;
                }
            }
        }
    }
}

impl Cut {
    /// Polls `future`, has `come` run once, and drops the future where this says. What it gave, if it was ready before.
    ///
    /// Once what it waits for is there, it is polled when it is woken, so a wake that is lost hangs. No waker of it is
    /// left anywhere in the end.
    pub async fn apply<F: Future>(&self, future: F, come: impl FnOnce()) -> Option<F::Output> {
        let wakes = Arc::new(Wakes::default());
        let output = self.poll(future, come, &wakes, true).await;
        wakes.none_left().await;
        output
    }

    /// As [`apply`](Self::apply), for a future that waits through `poll_*` methods: the last waker stays with the socket.
    pub async fn apply_polling<F: Future>(&self, future: F, come: impl FnOnce()) -> Option<F::Output> {
        self.poll(future, come, &Arc::default(), false).await
    }

    async fn poll<F: Future>(
        &self,
        future: F,
        come: impl FnOnce(),
        wakes: &Arc<Wakes>,
        leaves: bool,
    ) -> Option<F::Output> {
        let (waker, mut future, mut come, mut output) =
            (Waker::from(wakes.clone()), Box::pin(future), Some(come), None);
        for poll in 0..=self.polls {
            if poll == self.comes_before {
                come.take().expect("it comes once")();
            }
            if self.is_told {
                turns(2).await;
            }
            if poll == self.polls {
                break;
            }
            if poll > 0 && come.is_none() {
                wakes.woken().await;
            }
            if self.is_refused && poll % 2 == 0 {
                while consume_budget().now_or_never().is_some() {}
            }
            wakes.is_woken.store(false, Ordering::SeqCst);
            if let Poll::Ready(ready) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                output = Some(ready);
                break;
            }
        }
        drop((future, waker));
        if let Some(come) = come {
            if self.is_told && leaves {
                wakes.none_left().await;
            }
            come();
        }
        // Each of those that it is applied to.
        self.has_ended.set(Some(output.is_some() && self.has_ended.get() != Some(false)));
        output
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("at {self:?}");
        }
    }
}

#[derive(Default)]
struct Wakes {
    is_woken: AtomicBool,
    who_waits: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.who_waits.wake();
    }
}

impl Wakes {
    async fn woken(&self) {
        poll_fn(|cx| {
            self.who_waits.register(cx.waker());
            if self.is_woken.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Nobody has a waker any more. Another thread may be about to use one up.
    async fn none_left(self: &Arc<Self>) {
        for _ in 0..10_000 {
            turns(1).await;
            if Arc::strong_count(self) == 1 {
                return;
            }
            thread::yield_now();
        }
        panic!("a waker of the dropped future is left");
    }
}
