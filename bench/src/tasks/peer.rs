//! What differs between the executors.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// An executor.
pub trait Peer: 'static {
    /// What the tables call it.
    const NAME: &'static str;
    /// What a task is, and who holds it.
    const HOLDS: &'static str;
    /// Whether it has timers.
    const TIMERS: bool = true;
    /// Whether another thread may wake its tasks.
    const REMOTE: bool = true;
    /// Whether a task that yields lets all others run first.
    const YIELDS: bool = true;
    /// Gives the result of a task, once.
    type Handle: Future<Output = ()> + 'static;

    /// Makes a runtime and runs one future on it.
    fn block_on(future: impl Future<Output = ()> + 'static);
    /// Spawns a task on the runtime of this thread.
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle;
    /// Lets the other tasks run first.
    fn yield_now() -> impl Future<Output = ()>;
    /// Waits. Never ends where there are no timers.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static;
    /// The same for a task that sets many without giving way.
    fn sleep_among_many(duration: Duration) -> impl Future<Output = ()> + 'static {
        Self::sleep(duration)
    }
}

/// Runs a piece of work in a task of a runtime of its own; what the work says.
pub fn run<P: Peer>(work: impl Future<Output = f64> + 'static) -> f64 {
    let result = Rc::new(Cell::new(f64::NAN));
    let out = result.clone();
    P::block_on(async move { P::spawn(async move { out.set(work.await) }).await });
    result.get()
}

/// A handle whose result is unwrapped.
#[derive(Debug)]
pub struct Unwrapped<H>(pub H);

impl<H: Future<Output = Result<(), E>> + Unpin, E: Debug> Future for Unwrapped<H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("the task neither panics nor is cancelled"))
    }
}

/// Ours, with its reactor.
#[derive(Debug)]
pub struct Pollywog;

impl Peer for Pollywog {
    const NAME: &'static str = "pollywog";
    const HOLDS: &'static str = "a task is a slot of the executor's table and a boxed future; handles and wakers are \
        numbers that name the slot, and hold nothing";
    type Handle = Unwrapped<pollywog_net::JoinHandle<()>>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        pollywog_net::run(future).expect("a runtime");
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        Unwrapped(pollywog_net::spawn(future))
    }

    fn yield_now() -> impl Future<Output = ()> {
        pollywog_net::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        pollywog_net::time::sleep(duration)
    }
}
