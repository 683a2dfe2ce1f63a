//! A task that hands its result over itself, where nobody will ask the table for it: to a [`JoinSet`](crate::JoinSet),
//! or to another thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::join::JoinError;
use crate::stage::{Origin, Stage};

pin_project! {
    /// A future whose result goes to `deliver`, once, however it ends: done, panicked or dropped.
    pub(crate) struct Deliver<F, D>
    where
        F: Future,
        D: FnOnce(Result<F::Output, JoinError>),
    {
        #[pin]
        stage: Stage<F>,
        origin: Origin,
        deliver: Option<D>,
    }

    impl<F, D> PinnedDrop for Deliver<F, D>
    where
        F: Future,
        D: FnOnce(Result<F::Output, JoinError>),
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.deliver.is_some() {
                this.stage.as_mut().cancel(*this.origin);
            }
            if let (Some(deliver), Some(result)) = (this.deliver.take(), this.stage.take()) {
                deliver(result);
            }
        }
    }
}

impl<F, D> Deliver<F, D>
where
    F: Future,
    D: FnOnce(Result<F::Output, JoinError>),
{
    pub(crate) fn new(origin: Origin, future: F, deliver: D) -> Self {
        Self { stage: Stage::Future { future }, origin, deliver: Some(deliver) }
    }
}

impl<F, D> Future for Deliver<F, D>
where
    F: Future,
    D: FnOnce(Result<F::Output, JoinError>),
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        ready!(this.stage.as_mut().poll(*this.origin, cx));
        if let (Some(deliver), Some(result)) = (this.deliver.take(), this.stage.take()) {
            deliver(result);
        }
        Poll::Ready(())
    }
}
