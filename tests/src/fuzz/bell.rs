//! Waiting for something that another task does, on whichever thread.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Wakes everybody who waits when it rings.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    pub(super) fn ring(&self) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until `condition` holds. It is looked at when the bell rings.
    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        poll_fn(|cx| {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            drop(waiting);
            // After: a bell that rings in between is heard.
            if condition() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
