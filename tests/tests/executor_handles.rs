//! Handles: on which thread, after what, and how often.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use pollywog_executor::driver::{MAX_EXECUTORS, ThreadDriver};
use pollywog_executor::{AbortHandle, Executor, JoinHandle, spawn, task::yield_now};
use pollywog_tests::executor::{Counter, OnDrop, bounded, in_a_child, panic_of, poll_with, run};

#[test]
fn abort_of_ones_own_handle() {
    bounded(|| {
        run(async {
            let (own, polls) = (Rc::new(RefCell::new(None::<AbortHandle>)), Rc::new(Cell::new(0)));
            let (inner, counter) = (own.clone(), polls.clone());
            let dropped = Rc::new(Cell::new(false));
            let flag = dropped.clone();
            let guard = OnDrop::new(move || flag.set(true));
            let watched = dropped.clone();
            let task = spawn(poll_fn(move |_| {
                let _ = &guard;
                counter.set(counter.get() + 1);
                inner.borrow().as_ref().unwrap().abort();
                assert!(!watched.get(), "the future is not dropped while it runs");
                Poll::<()>::Pending
            }));
            own.replace(Some(task.abort_handle()));
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(dropped.get());
            assert_eq!(polls.get(), 1, "it takes effect after the poll, and without another");

            // A poll that finishes wins over its own abort.
            let inner = own.clone();
            let task = spawn(async move {
                inner.borrow().as_ref().unwrap().abort();
                "done"
            });
            own.replace(Some(task.abort_handle()));
            assert_eq!(task.await.unwrap(), "done");
        });
    });
}

#[test]
fn drop_of_ones_own_handle() {
    run(async {
        let own = Rc::new(RefCell::new(None::<JoinHandle<_>>));
        let polls = Rc::new(Cell::new(0));
        let drops = Rc::new(Cell::new(0));
        let (inner, counter, dropped) = (own.clone(), polls.clone(), drops.clone());
        let task = spawn(poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            drop(inner.take());
            if counter.get() < 3 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let dropped = dropped.clone();
            Poll::Ready(OnDrop::new(Box::new(move || dropped.set(dropped.get() + 1)) as Box<dyn FnOnce()>))
        }));
        own.replace(Some(task));
        for _ in 0..4 {
            yield_now().await;
        }
        assert_eq!((polls.get(), drops.get()), (3, 1), "it runs on, and its result is dropped");
    });
}

#[test]
fn a_handle_polled_on_another_thread_says_what_to_do() {
    run(async {
        let mut task = spawn(pending::<()>());
        let id = task.id();
        let expected = format!(
            "the JoinHandle of task {id} was polled where its executor does not run: await it in a task of the same \
             executor, and send the result elsewhere through a channel"
        );
        let message = thread::spawn(move || {
            let first = panic_of(|| poll_with(&mut task, Counter::new()));
            let second = panic_of(|| task.is_finished());
            let third = panic_of(|| run(async { (&mut task).await.is_err() }));
            assert_eq!((&first, &second), (&third, &third));
            first
        });
        assert_eq!(message.join().unwrap(), expected);
    });
}

#[test]
fn abort_and_drop_work_from_another_thread() {
    bounded(|| {
        let owner = thread::current().id();
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = || {
            let drops = drops.clone();
            OnDrop::new(move || {
                assert_eq!(thread::current().id(), owner);
                drops.fetch_add(1, Ordering::SeqCst);
            })
        };
        let pend = || {
            let guard = guard();
            async move {
                let _guard = guard;
                pending::<()>().await;
            }
        };
        run(async {
            let (aborted, by_handle) = (spawn(pend()), spawn(pend()));
            let (finished, detached) = (spawn(ready(guard())), spawn(pend()));
            let abort = aborted.abort_handle();
            yield_now().await;
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            let by_handle = thread::spawn(move || {
                abort.abort();
                by_handle.abort();
                drop((finished, detached));
                by_handle
            })
            .join()
            .unwrap();
            assert!(aborted.await.unwrap_err().is_cancelled());
            assert!(by_handle.await.unwrap_err().is_cancelled());
            assert_eq!(drops.load(Ordering::SeqCst), 3, "two tasks and a result");
        });
        assert_eq!(drops.load(Ordering::SeqCst), 4, "who is detached lives until the end");
    });
}

#[test]
fn a_handle_that_outlives_its_executor_says_cancelled() {
    let executor = Executor::new().unwrap();
    let mut finished = executor.spawn(ready(1));
    let [here, there, mut inside] = [(); 3].map(|()| executor.spawn(pending::<()>()));
    let abort = here.abort_handle();
    executor.block_on(&mut ThreadDriver::new(), yield_now());
    drop(executor);

    assert!(finished.is_finished());
    let Poll::Ready(Err(error)) = poll_with(&mut finished, Counter::new()) else { panic!("it is resolved") };
    assert!(error.is_cancelled(), "the result went with the executor");
    assert_eq!(error.to_string(), format!("task {} was cancelled", error.id()));
    abort.abort();
    here.abort();
    thread::spawn(move || {
        assert!(there.is_finished());
        assert!(run(there).unwrap_err().is_cancelled(), "in another executor, on another thread");
    })
    .join()
    .unwrap();
    run(async { assert!((&mut inside).await.unwrap_err().is_cancelled()) });
}

#[test]
fn a_handle_gives_its_result_once() {
    run(async {
        let mut task = spawn(ready(Rc::new(5)));
        assert_eq!(*(&mut task).await.unwrap(), 5);
        assert!(task.is_finished());
        task.abort();
        let message = panic_of(|| poll_with(&mut task, Counter::new()));
        assert_eq!(message, "a JoinHandle is not polled after it has given its result");
    });
}

#[test]
fn a_handle_polled_by_reference_loses_nothing_when_it_is_dropped_at_any_poll() {
    const TURNS: usize = 5;
    bounded(|| {
        for dropped_at in 0..=TURNS + 1 {
            run(async {
                let mut task = spawn(async {
                    for _ in 0..TURNS {
                        yield_now().await;
                    }
                    "the result"
                });
                for _ in 0..dropped_at {
                    // A new borrow for each poll, with a joiner of its own that is not heard again.
                    let mut borrowed = &mut task;
                    assert!(poll_with(&mut borrowed, Counter::new()).is_pending());
                    yield_now().await;
                }
                assert_eq!((&mut task).await.unwrap(), "the result");
            });
        }
    });
}

#[test]
fn only_the_last_joiner_is_woken_and_once() {
    run(async {
        let (first, last) = (Counter::new(), Counter::new());
        let mut task = spawn(yield_now());
        for _ in 0..2 {
            assert!(poll_with(&mut task, first.clone()).is_pending());
        }
        assert_eq!(Arc::strong_count(&first), 2, "the same waker is kept once");
        for _ in 0..2 {
            assert!(poll_with(&mut task, last.clone()).is_pending());
        }
        assert_eq!(Arc::strong_count(&first), 1, "its place was taken");
        yield_now().await;
        yield_now().await;
        assert_eq!((first.count(), last.count()), (0, 1));
        task.await.unwrap();
    });
}

#[test]
fn the_executor_after_the_last_is_refused() {
    in_a_child("the_executor_after_the_last_is_refused", || {
        let mut executors: Vec<_> = (0..MAX_EXECUTORS).map(|_| Executor::new().unwrap()).collect();
        let error = Executor::new().unwrap_err();
        let expected = "1024 executors are alive in this process, the most there can be: drop one first";
        assert_eq!(error.to_string(), expected);
        let gone = executors.remove(500);
        let number = gone.id();
        drop(gone);
        let again = Executor::new().expect("there is room for one");
        assert_eq!(again.id(), number);
        assert_eq!(again.block_on(&mut ThreadDriver::new(), async { spawn(async { 6 }).await.unwrap() }), 6);
        assert!(Executor::new().is_err());
        // Those at the end of the table work as well, woken from another thread too.
        let last = executors.pop().unwrap();
        let (send, receive) = futures::channel::oneshot::channel();
        let (ask, asked) = mpsc::channel();
        let thread = thread::spawn(move || {
            let () = asked.recv().unwrap();
            send.send(7).unwrap();
        });
        let answer = last.block_on(&mut ThreadDriver::new(), async {
            let mut receive = pin!(receive);
            ask.send(()).unwrap();
            poll_fn(|cx| receive.as_mut().poll(cx)).await.unwrap()
        });
        assert_eq!(answer, 7);
        thread.join().unwrap();
    });
}
