//! What comes too late, twice, or for somebody who is gone, does nothing.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use pollywog_executor::driver::{self, ThreadDriver};
use pollywog_executor::{Executor, JoinHandle, spawn, task::yield_now};
use pollywog_tests::executor::{OnDrop, Probe, in_a_child, run};

#[test]
fn what_is_posted_to_an_executor_that_is_gone_is_dropped_unrun() {
    // In a child, since an executor of another test could take the number over.
    in_a_child("what_is_posted_to_an_executor_that_is_gone_is_dropped_unrun", post_before_and_after_the_drop);
}

fn post_before_and_after_the_drop() {
    let executor = Executor::new().unwrap();
    let id = executor.id();
    let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let post = || {
        let (runs, drops) = (runs.clone(), drops.clone());
        let guard = OnDrop::new(move || {
            drops.fetch_add(1, Ordering::SeqCst);
        });
        driver::post(id, move || {
            let _guard = guard;
            runs.fetch_add(1, Ordering::SeqCst);
        });
    };
    post();
    executor.block_on(&mut ThreadDriver::new(), yield_now());
    assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (1, 1));
    post();
    assert_eq!(drops.load(Ordering::SeqCst), 1, "it waits for the next run");
    drop(executor);
    assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (1, 2));
    post();
    assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (1, 3));
}

#[test]
fn late_and_double_wakes_cost_no_poll() {
    run(async {
        let probe = Rc::new(Probe::default());
        let task = spawn(probe.task());
        yield_now().await;
        assert_eq!(probe.polls.get(), 1);

        let waker = probe.waker();
        (0..3).for_each(|_| waker.wake_by_ref());
        yield_now().await;
        yield_now().await;
        assert_eq!(probe.polls.get(), 2, "three wakes, one entry in the queue");

        let elsewhere = waker.clone();
        thread::spawn(move || (0..3).for_each(|_| elsewhere.wake_by_ref())).join().unwrap();
        yield_now().await;
        yield_now().await;
        assert_eq!(probe.polls.get(), 3, "the same by mail");

        probe.done.set(true);
        waker.wake_by_ref();
        yield_now().await;
        assert!(task.is_finished());
        let polls = probe.polls.get();
        for _ in 0..2 {
            waker.wake_by_ref();
            let elsewhere = waker.clone();
            thread::spawn(move || elsewhere.wake()).join().unwrap();
            yield_now().await;
            yield_now().await;
        }
        assert_eq!(probe.polls.get(), polls, "a finished task is not polled");
        task.await.unwrap();
        waker.wake();
        yield_now().await;
        assert_eq!(probe.polls.get(), polls);
    });
}

#[test]
fn a_wake_during_the_last_poll_does_not_poll_again() {
    run(async {
        let polls = Rc::new(Cell::new(0));
        let counter = polls.clone();
        let task = spawn(poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            cx.waker().wake_by_ref();
            Poll::Ready(())
        }));
        yield_now().await;
        yield_now().await;
        task.await.unwrap();
        yield_now().await;
        assert_eq!(polls.get(), 1);
    });
}

#[test]
fn an_old_waker_does_not_poll_the_next_task_of_its_slot() {
    run(async {
        let first = Rc::new(Probe::default());
        first.done.set(true);
        spawn(first.task()).await.unwrap();
        let old = first.waker();

        let second = Rc::new(Probe::default());
        let task = spawn(second.task());
        yield_now().await;
        assert_eq!(second.polls.get(), 1);
        for _ in 0..3 {
            old.wake_by_ref();
            let elsewhere = old.clone();
            thread::spawn(move || elsewhere.wake()).join().unwrap();
            yield_now().await;
            yield_now().await;
        }
        assert_eq!(second.polls.get(), 1);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn an_executor_is_safe_from_the_ids_of_the_one_that_had_its_number() {
    in_a_child("an_executor_is_safe_from_the_ids_of_the_one_that_had_its_number", || {
        let first = Executor::new().unwrap();
        let number = first.id();
        let old = Rc::new(Probe::default());
        let tasks: Vec<_> = (0..4).map(|_| first.spawn(old.task())).collect();
        first.block_on(&mut ThreadDriver::new(), yield_now());
        let (waker, mut tasks) = (old.waker(), tasks.into_iter());
        drop(first);

        let second = Executor::new().unwrap();
        assert_eq!(second.id(), number, "the number is used again");
        let new = Rc::new(Probe::default());
        let handles: Vec<_> = (0..4).map(|_| second.spawn(new.task())).collect();
        second.block_on(&mut ThreadDriver::new(), async {
            yield_now().await;
            assert_eq!(new.polls.get(), 4);
            waker.wake_by_ref();
            thread::spawn(move || waker.wake()).join().unwrap();
            let (mut here, there) = (tasks.next().unwrap(), tasks.next().unwrap());
            here.abort();
            here.abort_handle().abort();
            assert!(here.is_finished());
            assert!((&mut here).await.unwrap_err().is_cancelled());
            thread::spawn(move || {
                there.abort_handle().abort();
                drop(there);
            })
            .join()
            .unwrap();
            drop(tasks);
            yield_now().await;
            yield_now().await;
            assert_eq!(new.polls.get(), 4, "neither woken nor aborted");
            assert!(handles.iter().all(|task| !task.is_finished()));
        });
    });
}

#[test]
fn an_id_given_out_while_an_executor_shut_down_does_not_come_again() {
    in_a_child("an_id_given_out_while_an_executor_shut_down_does_not_come_again", || {
        let first = Executor::new().unwrap();
        let number = first.id();
        let kept = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let slot = kept.clone();
        let guard = OnDrop::new(move || {
            // The next executor takes one number for itself.
            drop(spawn(pending::<()>()));
            drop(slot.replace(Some(spawn(pending::<()>()))));
        });
        first.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        drop(first);
        let old = kept.take().unwrap();

        let second = Executor::new().unwrap();
        assert_eq!(second.id(), number, "the number is used again");
        let new = second.spawn(async { "done" });
        assert_ne!(old.id(), new.id());
        second.block_on(&mut ThreadDriver::new(), async {
            old.abort();
            assert!(old.is_finished());
            assert_eq!(new.await.unwrap(), "done");
        });
    });
}
