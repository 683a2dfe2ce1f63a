//! A future, then what it came to, in one place.
//!
//! Invariant 8: the future is dropped, on its owner's thread, before its result can be seen; a panicking drop becomes
//! the task's [`JoinError`]. The one exception is a task spawned while its executor shuts down: its handle says
//! 'cancelled' at once, and the future is dropped when the destructor that spawned it has returned.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::contain::{contain, contain_quietly};
use crate::join::JoinError;
use crate::task::Id;

/// Which task it is, and where it was spawned.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) id: Id,
    pub(crate) location: &'static Location<'static>,
}

pin_project! {
    #[project = StageProj]
    pub(crate) enum Stage<F: Future> {
        Future { #[pin] future: F },
        Result { result: Option<Result<F::Output, JoinError>> },
        Empty,
    }
}

impl<F: Future> Stage<F> {
    /// Polls the future; no panic gets out. When it is done, or panicked, the future has been dropped and the result
    /// is stored.
    #[inline]
    pub(crate) fn poll(mut self: Pin<&mut Self>, origin: Origin, cx: &mut Context<'_>) -> Poll<()> {
        let StageProj::Future { future } = self.as_mut().project() else {
            unreachable!("a task is not polled after it has finished");
        };
        let result = match contain(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::panic(origin, payload)),
        };
        self.finish(origin, result);
        Poll::Ready(())
    }

    /// Drops the future and stores 'cancelled', or the panic of that drop.
    pub(crate) fn cancel(self: Pin<&mut Self>, origin: Origin) {
        self.finish(origin, Err(JoinError::cancelled(origin.id, Some(origin.location))));
    }

    /// Drops the future where it lies, and stores what it came to; a panic of the drop is what it came to.
    fn finish(mut self: Pin<&mut Self>, origin: Origin, result: Result<F::Output, JoinError>) {
        // `Pin::set` writes the new value even when the drop of the old one panics.
        let dropped = contain(|| self.as_mut().set(Stage::Empty));
        let result = match (dropped, result) {
            (Ok(()), result) => result,
            (Err(payload), unwanted) => {
                contain_quietly(|| drop(unwanted));
                Err(JoinError::panic(origin, payload))
            }
        };
        self.set(Stage::Result { result: Some(result) });
    }

    /// Moves the result out, if it is there.
    pub(crate) fn take(self: Pin<&mut Self>) -> Option<Result<F::Output, JoinError>> {
        match self.project() {
            StageProj::Result { result } => result.take(),
            _ => None,
        }
    }
}
