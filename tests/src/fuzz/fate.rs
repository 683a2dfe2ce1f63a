//! What can become of a future before it is ready.

use std::future::{Future, poll_fn};
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use pollywog_net::time::timeout;

use super::stats::{Counters, Fate, Kind};

/// How long a future may live.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    /// Until it is ready.
    Whole,
    /// Dropped after so many polls.
    Polls(usize),
    /// Woken after so many polls, and dropped instead of being polled again.
    Woken(usize),
    /// Polled so many times at once, nobody having woken it, and dropped.
    AtOnce(usize),
    /// Dropped when the time is up.
    Time(Duration),
}

impl Life {
    /// Drives `future`, unless its life ends before.
    pub(super) async fn of<T>(self, future: impl Future<Output = T>, counters: &Counters, kind: Kind) -> Option<T> {
        let result = match self {
            Self::Whole => Some(future.await),
            Self::Polls(most) => polled(future, most, false).await,
            Self::Woken(most) => polled(future, most, true).await,
            Self::AtOnce(most) => polled_at_once(&mut pin!(future), most).await,
            Self::Time(time) => timeout(time, future).await.ok(),
        };
        if result.is_none() {
            let fate = match self {
                Self::Polls(_) | Self::Whole => Fate::Dropped,
                Self::Woken(_) => Fate::DroppedWhenWoken,
                Self::AtOnce(_) => Fate::PolledInVain,
                Self::Time(_) => Fate::TimedOut,
            };
            counters.operation(kind, fate);
        }
        result
    }
}

/// Polls `future` so many times, whether it was woken or not.
pub(super) async fn polled_at_once<P>(future: &mut Pin<P>, most: usize) -> Option<<P::Target as Future>::Output>
where
    P: DerefMut<Target: Future>,
{
    poll_fn(|cx| {
        let mut polls = (0..most).map(|_| future.as_mut().poll(cx));
        Poll::Ready(polls.find_map(|poll| match poll {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }))
    })
    .await
}

async fn polled<T>(future: impl Future<Output = T>, most: usize, woken: bool) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        if woken && polls == most {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if !woken && polls == most => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Counts what becomes ready, and what has waited before.
pub(super) async fn counted<T>(future: impl Future<Output = T>, counters: &Counters, kind: Kind) -> T {
    let mut future = pin!(future);
    let mut has_waited = false;
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        match poll {
            Poll::Ready(_) => counters.operation(kind, Fate::Done),
            Poll::Pending if !has_waited => {
                has_waited = true;
                counters.operation(kind, Fate::Waited);
            }
            Poll::Pending => {}
        }
        poll
    })
    .await
}
