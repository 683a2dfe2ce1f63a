//! Wakers of another make that panic or come back in: contained, and nothing is borrowed meanwhile.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::Duration;

use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::time::sleep;
use pollywog_executor::{AbortHandle, Executor, spawn, task::yield_now};
use pollywog_tests::executor::{Counter, bounded, poll_with, run, silence_expected_panics, spawn_bystanders};

/// Which function of a foreign waker misbehaves, carried in place of a pointer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(usize)]
enum Fault {
    Clone = 1,
    Wake,
    Drop,
    /// All of them come back into the executor.
    Reenter,
}

static FAULTY: RawWakerVTable = RawWakerVTable::new(
    |data| {
        misbehave(Fault::Clone, data);
        RawWaker::new(data, &FAULTY)
    },
    |data| misbehave(Fault::Wake, data),
    |data| misbehave(Fault::Wake, data),
    |data| misbehave(Fault::Drop, data),
);

thread_local! {
    static VICTIM: RefCell<Option<AbortHandle>> = const { RefCell::new(None) };
    static REENTRIES: Cell<usize> = const { Cell::new(0) };
}

fn misbehave(at: Fault, data: *const ()) {
    if data.addr() == at as usize {
        panic!("expected: {at:?}");
    }
    if data.addr() == Fault::Reenter as usize {
        REENTRIES.set(REENTRIES.get() + 1);
        drop(spawn(async {}));
        let unstarted = spawn(async {});
        unstarted.abort();
        VICTIM.with_borrow(|victim| victim.as_ref().unwrap().abort());
        let mut sleep = sleep(Duration::from_secs(60));
        let _ = poll_with(&mut sleep, Counter::new());
    }
}

/// What owns it leaves the drop to the executor's clones.
fn faulty(fault: Fault) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of `FAULTY` look only at the address of the data, which is a number, so they are safe to
    // call from any thread and there is no resource to keep or to release.
    ManuallyDrop::new(unsafe { Waker::new(ptr::without_provenance(fault as usize), &FAULTY) })
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Joiner,
    Timer,
    Yield,
}

/// Polls a leaf with a faulty waker inside a task of its own, then drops the leaf, after `turns` turns.
async fn poll_leaf_with(fault: Fault, place: Place, turns: usize) {
    let waker = faulty(fault);
    let mut cx = Context::from_waker(&waker);
    let mut leaf: Box<dyn Future<Output = ()> + Unpin> = match place {
        Place::Timer => Box::new(sleep(Duration::from_millis(1))),
        Place::Yield => Box::new(yield_now()),
        Place::Joiner => {
            let mut task = spawn(async {
                yield_now().await;
                yield_now().await;
            });
            Box::new(poll_fn(move |cx| pin!(&mut task).poll(cx).map(|result| result.unwrap())))
        }
    };
    assert!(pin!(&mut leaf).poll(&mut cx).is_pending());
    for _ in 0..turns {
        yield_now().await;
    }
}

#[test]
fn panic_in_waker() {
    silence_expected_panics();
    bounded(|| {
        for fault in [Fault::Clone, Fault::Wake, Fault::Drop] {
            for place in [Place::Joiner, Place::Timer, Place::Yield] {
                run(async {
                    let bystanders = spawn_bystanders();
                    let woken = spawn(sleep(Duration::from_millis(1)));
                    let faulty = spawn(poll_leaf_with(fault, place, 5));
                    let cut_short = spawn(poll_leaf_with(fault, place, 1));
                    bystanders.await;
                    woken.await.unwrap();
                    for task in [faulty, cut_short] {
                        if let Err(error) = task.await {
                            let message = format!("expected: {fault:?}");
                            assert!(error.to_string().ends_with(&message), "{fault:?} {place:?}: {error}");
                        }
                    }
                    // This one is there when the executor is dropped.
                    drop(spawn(poll_leaf_with(fault, place, usize::MAX)));
                    yield_now().await;
                });
            }
        }
    });
}

#[test]
fn a_waker_that_comes_back_in_finds_nothing_borrowed() {
    bounded(|| {
        for place in [Place::Joiner, Place::Timer, Place::Yield] {
            REENTRIES.set(0);
            run(async {
                let victim = spawn(pending::<()>());
                VICTIM.set(Some(victim.abort_handle()));
                let bystanders = spawn_bystanders();
                let woken = spawn(sleep(Duration::from_millis(1)));
                let waits = spawn(poll_leaf_with(Fault::Reenter, place, 5));
                let cut_short = spawn(poll_leaf_with(Fault::Reenter, place, 0));
                for task in [woken, waits, cut_short] {
                    task.await.unwrap();
                }
                bystanders.await;
                assert!(victim.await.unwrap_err().is_cancelled());
                drop(spawn(poll_leaf_with(Fault::Reenter, place, usize::MAX)));
                yield_now().await;
            });
            assert!(REENTRIES.get() >= 6, "{place:?}: it was cloned, and woken or dropped, three times");
        }
    });
}

/// A driver that never sleeps, with an unparker that panics; it has another thread wake the task in between.
struct FaultyUnparker {
    waker: Rc<RefCell<Option<Waker>>>,
}

impl Driver for FaultyUnparker {
    fn unparker(&self) -> Waker {
        ManuallyDrop::into_inner(faulty(Fault::Wake))
    }

    fn park(&mut self, _park: Park, _ready: &mut Vec<TaskId>) {
        if let Some(waker) = self.waker.take() {
            thread::spawn(move || waker.wake()).join().expect("a wake never panics");
        }
    }
}

#[test]
fn a_wake_does_not_panic_when_the_unparker_does() {
    silence_expected_panics();
    let outside = Rc::new(RefCell::new(None));
    let mut polls = 0;
    Executor::new().unwrap().block_on(
        &mut FaultyUnparker { waker: outside.clone() },
        poll_fn(|cx| {
            polls += 1;
            outside.replace(Some(cx.waker().clone()));
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        }),
    );
    assert_eq!(polls, 3);
}

#[test]
fn foreign_wakers_are_woken_or_dropped_with_the_executor() {
    let (joiner, timer) = (Counter::new(), Counter::new());
    let executor = Executor::new().unwrap();
    let mut task = executor.spawn(pending::<()>());
    let mut sleep = sleep(Duration::MAX);
    executor.block_on(&mut ThreadDriver::new(), async {
        assert!(poll_with(&mut task, joiner.clone()).is_pending());
        assert!(poll_with(&mut sleep, timer.clone()).is_pending());
    });
    assert_eq!((Arc::strong_count(&joiner), Arc::strong_count(&timer)), (2, 2));
    drop(executor);
    assert_eq!((Arc::strong_count(&joiner), Arc::strong_count(&timer)), (1, 1));
    assert_eq!((joiner.count(), timer.count()), (1, 0), "who awaits a task hears that there is none");
    let Poll::Ready(Err(error)) = poll_with(&mut task, joiner) else { panic!("it is resolved") };
    assert!(error.is_cancelled());
}

/// Its unparker panics when it is cloned.
struct UncloneableUnparker(Rc<RefCell<Option<Waker>>>);

impl Driver for UncloneableUnparker {
    fn unparker(&self) -> Waker {
        static FAULTY_CLONE: RawWakerVTable =
            RawWakerVTable::new(|_| panic!("expected: clone"), |_| (), |_| (), |_| ());
        // SAFETY: the functions ignore the data, and there is no resource.
        unsafe { Waker::new(ptr::null(), &FAULTY_CLONE) }
    }

    fn park(&mut self, _: Park, _: &mut Vec<TaskId>) {
        if let Some(waker) = self.0.take() {
            thread::spawn(move || waker.wake()).join().expect("a wake never panics");
        }
    }
}

#[test]
fn a_wake_does_not_panic_when_the_clone_of_the_unparker_would() {
    silence_expected_panics();
    let outside = Rc::new(RefCell::new(None));
    let mut polls = 0;
    let root = poll_fn(|cx| {
        polls += 1;
        outside.replace(Some(cx.waker().clone()));
        if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
    });
    Executor::new().unwrap().block_on(&mut UncloneableUnparker(outside.clone()), root);
}
