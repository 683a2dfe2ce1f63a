//! Which types may cross threads: what is an id may, what is a table may not.

use std::rc::Rc;

use pollywog_executor::driver::{ExecutorId, Key, TaskId, ThreadDriver};
use pollywog_executor::time::{Elapsed, Sleep, Timeout};
use pollywog_executor::{AbortHandle, Executor, JoinError, JoinHandle, TooManyExecutors, task};

/// Fails to compile where the type is not all of that.
macro_rules! is {
    ($type:ty: $($bound:tt)+) => {
        const _: fn() = || {
            fn holds<T: $($bound)+>() {}
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

is!(JoinHandle<Rc<()>>: Send + Sync + Unpin);
is!(AbortHandle: Send + Sync + Unpin + Clone);
is!(JoinError: Send + Sync + std::error::Error);
is!(Sleep: Send + Sync + Unpin);
is!(TaskId: Send + Sync + Copy);
is!(task::Id: Send + Sync + Copy);
is!(ExecutorId: Send + Sync + Copy);
is!(Key: Send + Sync + Copy);
is!(task::YieldNow: Send + Sync + Unpin);
is!(task::Builder: Send + Sync + Clone);
is!(Timeout<std::future::Ready<()>>: Send + Sync + Unpin);
is!(Elapsed: Send + Sync + std::error::Error);
is!(TooManyExecutors: Send + Sync + std::error::Error);

is_not!(Executor: Send);
is_not!(Executor: Sync);
is_not!(ThreadDriver: Send);
is_not!(ThreadDriver: Sync);

#[test]
fn a_handle_is_sent_although_its_result_is_not() {
    let executor = Executor::new().unwrap();
    let handle = executor.spawn(async { Rc::new(5) });
    let handle = std::thread::spawn(move || handle).join().unwrap();
    assert_eq!(*executor.block_on(&mut ThreadDriver::new(), handle).unwrap(), 5);
}
