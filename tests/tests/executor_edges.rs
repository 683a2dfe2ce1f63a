//! What `block_on` owes at its edges: mail first, the driver's turn, a driver that panics, wakers at the end.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{panic, thread};

use pollywog_executor::Executor;
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::task::yield_now;
use pollywog_executor::time::sleep;
use pollywog_tests::executor::silence_expected_panics;

#[test]
fn an_abort_before_the_first_run_comes_before_the_first_poll() {
    let executor = Executor::new().unwrap();
    let ran = Rc::new(Cell::new(false));
    let flag = ran.clone();
    let handle = executor.spawn(async move { flag.set(true) });
    handle.abort();
    assert!(executor.block_on(&mut ThreadDriver::new(), handle).unwrap_err().is_cancelled());
    assert!(!ran.get());
}

/// Notes how many polls there were at most between two looks.
struct Looks<'a> {
    inner: ThreadDriver,
    polls: &'a Cell<u32>,
    most: &'a Cell<u32>,
}

impl Driver for Looks<'_> {
    fn unparker(&self) -> Waker {
        self.inner.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        self.most.set(self.most.get().max(self.polls.replace(0)));
        self.inner.park(park, ready);
    }
}

#[test]
fn mail_that_keeps_coming_does_not_keep_the_driver_from_its_turn() {
    let (polls, most, all) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
    let poster = thread::spawn({
        let (stop, slot) = (stop.clone(), slot.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                if let Some(waker) = &*slot.lock().unwrap() {
                    waker.wake_by_ref();
                }
            }
        }
    });
    let root = poll_fn(|cx| {
        polls.set(polls.get() + 1);
        all.set(all.get() + 1);
        slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
        if all.get() == 50_000 { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut driver = Looks { inner: ThreadDriver::new(), polls: &polls, most: &most };
    Executor::builder().event_interval(8).build().unwrap().block_on(&mut driver, root);
    stop.store(true, Ordering::Relaxed);
    poster.join().unwrap();
    let most = most.get().max(polls.get());
    assert!(most <= 8, "{most} polls without a look at the driver");
}

/// Its first `park` panics.
struct PanicsOnce {
    inner: ThreadDriver,
    panics: bool,
    looks: u32,
}

impl Driver for PanicsOnce {
    fn unparker(&self) -> Waker {
        self.inner.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        self.looks += 1;
        assert!(!std::mem::take(&mut self.panics), "expected: park");
        self.inner.park(park, ready);
    }
}

#[test]
fn after_a_park_that_panicked_the_next_run_sleeps_as_ever() {
    silence_expected_panics();
    let executor = Executor::new().unwrap();
    let mut driver = PanicsOnce { inner: ThreadDriver::new(), panics: true, looks: 0 };
    let run = panic::AssertUnwindSafe(|| executor.block_on(&mut driver, pending::<()>()));
    assert!(panic::catch_unwind(run).is_err());
    driver.looks = 0;
    executor.block_on(&mut driver, sleep(Duration::from_millis(5)));
    assert!((1..50).contains(&driver.looks), "it sleeps in the driver: {} looks", driver.looks);
}

/// Runs a closure when the last clone of the waker is dropped.
struct Last(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(f) = self.0.lock().unwrap().take() {
            f();
        }
    }
}

#[test]
fn a_deferred_waker_whose_drop_yields_finds_nothing_borrowed() {
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async move {
        let yields = move || {
            assert!(Pin::new(&mut yield_now()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            flag.store(true, Ordering::Relaxed);
        };
        let waker = Waker::from(Arc::new(Last(Mutex::new(Some(Box::new(yields))))));
        assert!(Pin::new(&mut yield_now()).poll(&mut Context::from_waker(&waker)).is_pending());
    });
    drop(executor);
    assert!(done.load(Ordering::Relaxed));
}
