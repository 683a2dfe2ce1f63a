//! Which types may cross threads: what is an id may, what is a table may not.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::Ready;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use pollywog_executor::budget::{Coop, Unconstrained};
use pollywog_executor::cancel::{CancelToken, Cancelled, DropGuard, RunUntilCancelled};
use pollywog_executor::driver::{Driver, ExecutorId, Key, Sequence, Slots, TaskId, ThreadDriver};
use pollywog_executor::sim::SimDriver;
use pollywog_executor::time::{Elapsed, Hold, Interval, MissedTickBehavior, Sleep, Timeout};
use pollywog_executor::{
    AbortHandle, Builder, Executor, Handle, JoinError, JoinHandle, JoinSet, Metrics, RemoteJoinHandle, Scope,
    ScopedJoinHandle, TooManyExecutors, TryCurrentError, UnhandledPanic, task,
};

/// Fails to compile where the type is not all of that.
macro_rules! is {
    ($type:ty: $($bound:tt)+) => {
        const _: fn() = || {
            fn holds<T: ?Sized + $($bound)+>() {}
            holds::<$type>();
        };
    };
}

/// Fails to compile where the type has the trait: then two implementations fit, and none is chosen.
macro_rules! is_not {
    ($type:ty: $trait:path) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn choose() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $trait> Ambiguous<Has> for T {}
            <$type as Ambiguous<_>>::choose();
        };
    };
}

/// Neither crosses threads nor is looked at from two.
macro_rules! stays {
    ($type:ty) => {
        is_not!($type: Send);
        is_not!($type: Sync);
    };
}

// Ids, whatever the result is.
is!(JoinHandle<Rc<()>>: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug);
is!(AbortHandle: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Clone + Debug);
is!(Handle: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Copy + Eq + Debug);
is!(TaskId: Send + Sync + Copy + Eq + Hash + Debug);
is!(task::Id: Send + Sync + Copy + Ord + Hash + Debug + std::fmt::Display);
is!(ExecutorId: Send + Sync + Copy + Ord + Hash + Debug);
is!(Key: Send + Sync + Copy + Ord + Hash + Debug);
is!(Sequence: Send + Sync + Copy + Debug);
is_not!(JoinHandle<()>: Clone);

// A result that comes from another thread has to be sent, and no more than that.
is!(RemoteJoinHandle<Cell<()>>: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug);
is_not!(RemoteJoinHandle<()>: Clone);
is_not!(RemoteJoinHandle<Rc<()>>: Send);
is_not!(RemoteJoinHandle<Rc<()>>: Sync);

// What is known of a task, plainly.
is!(JoinError: Send + Sync + std::error::Error);
is!(TooManyExecutors: Send + Sync + Copy + Eq + std::error::Error);
is!(TryCurrentError: Send + Sync + Copy + Eq + std::error::Error);
is!(Metrics: Send + Sync + Copy + Eq + Default + Debug);
is!(Builder: Send + Sync + Clone + Default + Debug);
is!(UnhandledPanic: Send + Sync + Copy + Eq + Default + Debug);
is!(task::Builder: Send + Sync + Clone + Default + Debug);

// Tokens, and what waits for them.
is!(CancelToken: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Clone + Default + Debug);
is!(Cancelled<'static>: Send + Sync + Unpin + Debug);
is!(RunUntilCancelled<'static, Ready<()>>: Send + Sync + Unpin + Debug);
is_not!(RunUntilCancelled<'static, Ready<Rc<()>>>: Send);
is!(DropGuard: Send + Sync + Unpin + Debug);
is_not!(DropGuard: Clone);

// Timers are set anew where they are polled.
is!(Sleep: Send + Sync + Unpin + Debug);
is!(Interval: Send + Sync + Unpin + Debug);
is!(MissedTickBehavior: Send + Sync + Copy + Eq + Default + Debug);
is!(Hold: Send + Sync + Unpin + Debug);
is_not!(Hold: Clone);
is!(Elapsed: Send + Sync + Copy + Eq + std::error::Error);

// Wrappers are what they wrap.
is!(Timeout<Ready<()>>: Send + Sync + Unpin);
is!(Coop<Ready<()>>: Send + Sync + Unpin);
is!(Unconstrained<Ready<()>>: Send + Sync + Unpin);
is!(task::YieldNow: Send + Sync + Unpin + Debug);
is!(Slots<Cell<()>>: Send + Debug);
is_not!(Timeout<Ready<Rc<()>>>: Send);
is_not!(Timeout<std::marker::PhantomPinned>: Unpin);
is_not!(Coop<Ready<Rc<()>>>: Send);
is_not!(Coop<std::marker::PhantomPinned>: Unpin);
is_not!(Unconstrained<Ready<Rc<()>>>: Send);
is_not!(Unconstrained<std::marker::PhantomPinned>: Unpin);
is_not!(Slots<Cell<()>>: Sync);

// What belongs to one thread.
stays!(Executor);
stays!(ThreadDriver);
stays!(SimDriver);
stays!(JoinSet<()>);
stays!(Scope<'static>);
stays!(ScopedJoinHandle<()>);
is!(Executor: Debug);
is!(ThreadDriver: Driver + Default + Debug);
is!(SimDriver: Driver + Default + Debug);
is!(dyn Driver: Driver);
is!(JoinSet<Rc<()>>: Unpin + Default + Debug);
is!(Scope<'static>: Unpin + Clone + Debug);
is!(ScopedJoinHandle<Rc<()>>: Unpin + Debug);
is_not!(ScopedJoinHandle<()>: Clone);

/// Futures without a name that may be polled on any thread in turn.
#[allow(dead_code)]
fn may_be_sent(token: &CancelToken, interval: &mut Interval) {
    fn is_send(_: impl Send) {}
    is_send(token.cancelled());
    is_send(interval.tick());
    is_send(task::consume_budget());
}

#[test]
fn a_handle_is_sent_although_its_result_is_not() {
    let executor = Executor::new().unwrap();
    let handle = executor.spawn(async { Rc::new(5) });
    let handle = std::thread::spawn(move || handle).join().unwrap();
    assert_eq!(*executor.block_on(&mut ThreadDriver::new(), handle).unwrap(), 5);
}

#[test]
fn a_remote_handle_may_be_looked_at_from_two_threads_at_once() {
    let executor = Executor::new().unwrap();
    let mut handle = executor.handle().spawn(async { Cell::new(5) });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(!handle.is_finished()));
        }
    });
    assert_eq!(executor.block_on(&mut ThreadDriver::new(), &mut handle).unwrap().get(), 5);
}
