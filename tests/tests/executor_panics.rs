//! Panics of tasks, of what they leave behind, and of the root: contained, and the rest runs on.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::{Sleep, sleep};
use pollywog_executor::{Executor, spawn, task::yield_now};
use pollywog_tests::executor::{
    Counter, OnDrop, bounded, panic_of, poll_with, run, silence_expected_panics, spawn_bystanders,
};

#[test]
fn panic_in_poll() {
    silence_expected_panics();
    run(async {
        let bystanders = spawn_bystanders();
        let error = spawn(async { panic!("expected: poll") }).await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), format!("task {} panicked: expected: poll", error.id()));
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "expected: poll");
        bystanders.await;
    });
}

#[test]
fn panic_in_drop() {
    silence_expected_panics();
    run(async {
        let bystanders = spawn_bystanders();
        let finished = spawn({
            let bomb = OnDrop::new(|| panic!("expected: drop"));
            poll_fn(move |_| {
                let _ = &bomb;
                Poll::Ready("the output is lost")
            })
        });
        let error = finished.await.unwrap_err();
        assert_eq!(error.to_string(), format!("task {} panicked: expected: drop", error.id()));

        let bomb = OnDrop::new(|| panic!("expected: drop"));
        let aborted = spawn(async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
        yield_now().await;
        aborted.abort();
        let error = aborted.await.unwrap_err();
        assert!(error.is_panic(), "a cancelled task whose drop panics has panicked");
        bystanders.await;
    });
}

#[test]
fn panic_in_output() {
    silence_expected_panics();
    bounded(|| {
        run(async {
            let bystanders = spawn_bystanders();
            let drops = Rc::new(Cell::new(0));
            let bomb = || {
                let drops = drops.clone();
                OnDrop::new(move || {
                    drops.set(drops.get() + 1);
                    panic!("expected: drop of the output");
                })
            };
            drop(spawn(ready(bomb())));
            let (here, there) = (spawn(ready(bomb())), spawn(ready(bomb())));
            yield_now().await;
            assert_eq!(drops.get(), 1, "nobody wanted it");
            drop(here);
            assert_eq!(drops.get(), 2);
            thread::spawn(move || drop(there)).join().unwrap();
            yield_now().await;
            yield_now().await;
            assert_eq!(drops.get(), 3);
            bystanders.await;
        });
    });
}

#[test]
fn panic_in_root() {
    let executor = Executor::new().unwrap();
    let turns = Rc::new(Cell::new(0));
    let counter = turns.clone();
    let task = executor.spawn(async move {
        for _ in 0..4 {
            counter.set(counter.get() + 1);
            yield_now().await;
        }
    });
    let message = panic_of(|| {
        executor.block_on(&mut ThreadDriver::new(), async {
            yield_now().await;
            panic!("expected: root");
        })
    });
    assert_eq!(message, "expected: root");
    assert!((1..4).contains(&turns.get()), "the task is in the middle of its work");
    executor.block_on(&mut ThreadDriver::new(), task).unwrap();
    assert_eq!(turns.get(), 4);
}

/// A payload whose drop panics with a payload whose drop panics. They have no size, so that forgetting one leaks
/// nothing.
struct Bomb;
struct Debris;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic::panic_any(Debris);
    }
}

impl Drop for Debris {
    fn drop(&mut self) {
        panic::panic_any(Bomb);
    }
}

#[test]
fn a_payload_whose_drop_panics() {
    silence_expected_panics();
    run(async {
        let bystanders = spawn_bystanders();
        let explode = || spawn(async { panic::panic_any(Bomb) });
        let joined = explode().await.unwrap_err();
        assert!(joined.is_panic());
        std::mem::forget(joined.into_panic());
        drop(explode());
        let (dropped, posted) = (explode(), explode());
        // The future is dropped because of the abort; its bomb then takes the place of 'cancelled'.
        let aborted = spawn({
            let bomb = Bomb;
            async move {
                let _bomb = bomb;
                pending::<()>().await;
            }
        });
        aborted.abort();
        yield_now().await;
        drop(dropped);
        drop(aborted);
        thread::spawn(move || drop(posted)).join().unwrap();
        yield_now().await;
        yield_now().await;
        bystanders.await;
        // And one for the executor's drop.
        let bomb = Bomb;
        drop(spawn(async move {
            let _bomb = bomb;
            pending::<()>().await;
        }));
        yield_now().await;
    });
}

#[test]
fn a_sleep_of_a_task_that_panicked_does_not_fire() {
    silence_expected_panics();
    let seen = run(async {
        let waker = Counter::new();
        let counter = waker.clone();
        let task = spawn(async move {
            let mut timer: Sleep = sleep(Duration::from_millis(1));
            assert!(poll_with(&mut timer, counter).is_pending());
            panic!("expected: poll");
        });
        assert!(task.await.unwrap_err().is_panic());
        sleep(Duration::from_millis(3)).await;
        waker.count()
    });
    assert_eq!(seen, 0);
}
