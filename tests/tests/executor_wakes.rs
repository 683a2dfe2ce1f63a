//! Wakes across threads: none is lost, and none does harm while an executor goes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use futures::StreamExt;
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::{Executor, task::yield_now};
use pollywog_tests::executor::{OnDrop, Probe, bounded, run};

#[test]
fn lost_wake_across_threads() {
    const ROUNDS: usize = 10_000;
    bounded(|| {
        let (ask, asked) = mpsc::channel();
        let (answer, mut answers) = futures::channel::mpsc::unbounded();
        let other =
            thread::spawn(move || asked.iter().for_each(|number: usize| answer.unbounded_send(number).unwrap()));
        run(async {
            for number in 0..ROUNDS {
                ask.send(number).unwrap();
                assert_eq!(answers.next().await, Some(number));
            }
            drop(ask);
            assert_eq!(answers.next().await, None);
        });
        other.join().unwrap();
    });
}

#[test]
fn a_wake_that_comes_while_the_task_runs_is_not_slept_over() {
    bounded(|| {
        let mut polls = 0;
        run(poll_fn(|cx| {
            polls += 1;
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake()).join().unwrap();
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!(polls, 3);
    });
}

/// Has another thread wake the waker that is outside when the executor is about to sleep: all was computed by then.
struct WokenAtTheLastMoment {
    inner: ThreadDriver,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl Driver for WokenAtTheLastMoment {
    fn unparker(&self) -> Waker {
        self.inner.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        if let Some(waker) = self.waker.take() {
            thread::spawn(move || waker.wake()).join().unwrap();
        }
        self.inner.park(park, ready);
    }
}

#[test]
fn a_wake_that_comes_between_the_decision_and_the_sleep_ends_the_sleep() {
    bounded(|| {
        let outside = Rc::new(RefCell::new(None));
        let mut driver = WokenAtTheLastMoment { inner: ThreadDriver::new(), waker: outside.clone() };
        let mut polls = 0;
        Executor::new().unwrap().block_on(
            &mut driver,
            poll_fn(|cx| {
                outside.replace(Some(cx.waker().clone()));
                polls += 1;
                if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        assert_eq!(polls, 3);
    });
}

#[test]
fn a_wake_between_two_runs_is_kept_for_the_second() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let probe = Rc::new(Probe::default());
        let mut task = executor.spawn(probe.task());
        executor.block_on(&mut ThreadDriver::new(), yield_now());
        assert_eq!(probe.polls.get(), 1);
        probe.done.set(true);
        let waker = probe.waker();
        thread::spawn(move || waker.wake()).join().unwrap();
        executor.block_on(&mut ThreadDriver::new(), &mut task).unwrap();
        assert_eq!(probe.polls.get(), 2);
    });
}

#[test]
fn wakes_during_and_after_the_drop_do_nothing_from_any_thread() {
    const TASKS: usize = 32;
    for _ in 0..100 {
        let executor = Executor::new().unwrap();
        let (polls, dropped) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let owner = thread::current().id();
        for _ in 0..TASKS {
            let (polls, dropped, wakers) = (polls.clone(), dropped.clone(), wakers.clone());
            let guard = OnDrop::new(move || {
                assert_eq!(thread::current().id(), owner);
                dropped.set(dropped.get() + 1);
            });
            executor.spawn(poll_fn(move |cx| {
                let _ = &guard;
                polls.set(polls.get() + 1);
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }
        executor.block_on(&mut ThreadDriver::new(), yield_now());
        assert_eq!(polls.get(), TASKS);

        let (ready, stop) = (Arc::new(Barrier::new(3)), Arc::new(AtomicBool::new(false)));
        let others = [(); 2].map(|()| {
            let (ready, stop, wakers) = (ready.clone(), stop.clone(), wakers.lock().unwrap().clone());
            thread::spawn(move || {
                ready.wait();
                while !stop.load(Ordering::Relaxed) {
                    wakers.iter().for_each(Waker::wake_by_ref);
                }
                wakers.into_iter().for_each(Waker::wake);
            })
        });
        ready.wait();
        drop(executor);
        assert_eq!(dropped.get(), TASKS);
        stop.store(true, Ordering::Relaxed);
        for other in others {
            other.join().expect("a wake never panics");
        }
        wakers.lock().unwrap().drain(..).for_each(Waker::wake);
        assert_eq!(polls.get(), TASKS, "nothing was polled while it was dropped");
    }
}
