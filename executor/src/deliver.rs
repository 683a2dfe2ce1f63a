//! A task that hands its result over itself, where nobody will ask the table for it: to a [`JoinSet`](crate::JoinSet),
//! or to another thread.

use std::future::Future;
use std::marker::PhantomData;
use std::mem;
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

/// What makes a task's future on the executor's thread. It goes there in place of the future, which may not be sent; and
/// where it does not arrive, it is cancelled as the task would have been.
pub(crate) struct Sealed<C, T> {
    create: C,
    output: PhantomData<fn() -> T>,
}

impl<C, T> Sealed<C, T> {
    pub(crate) fn new(create: C) -> Self {
        Self { create, output: PhantomData }
    }
}

impl<C, T> Future for Sealed<C, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        unreachable!("it is opened before it is polled")
    }
}

pin_project! {
    /// What makes a future, and from the first poll on that future. (An `async` block would hold both, and forget the
    /// output when the drop of the future panics.)
    #[project = OpenedProj]
    pub(crate) enum Opened<C, F> {
        Create { create: Option<C> },
        Future { #[pin] future: F },
    }
}

impl<C, F> Future for Opened<C, F>
where
    C: FnOnce() -> F,
    F: Future,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match self.as_mut().project() {
                OpenedProj::Create { create } => {
                    let create = create.take().expect("it is not polled after a panic");
                    self.set(Self::Future { future: create() });
                }
                OpenedProj::Future { future } => return future.poll(cx),
            }
        }
    }
}

impl<C, T, D> Deliver<Sealed<C, T>, D>
where
    D: FnOnce(Result<T, JoinError>),
{
    /// The task itself, on the executor's thread.
    pub(crate) fn open<F>(mut self) -> Deliver<Opened<C, F>, D>
    where
        C: FnOnce() -> F,
        F: Future<Output = T>,
    {
        let Stage::Future { future: Sealed { create, .. } } = mem::replace(&mut self.stage, Stage::Empty) else {
            unreachable!("it was not polled");
        };
        let future = Opened::Create { create: Some(create) };
        Deliver { stage: Stage::Future { future }, origin: self.origin, deliver: self.deliver.take() }
    }
}
