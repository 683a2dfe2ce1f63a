//! The end of an executor: everything is freed, in its own context, and destructors may do what they like.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::sleep;
use pollywog_executor::{Executor, JoinHandle, spawn, task::yield_now};
use pollywog_tests::executor::{Counter, OnDrop, Probe, bounded, in_a_child, poll_with, run};
use rustix::process::{Resource, Rlimit, setrlimit};

/// A task that holds `token` until it is dropped, and awaits `future`.
fn hold<T: 'static>(token: &Rc<()>, future: impl Future<Output = T> + 'static) -> impl Future<Output = ()> + 'static {
    let token = token.clone();
    async move {
        let _token = token;
        future.await;
    }
}

#[test]
fn cycles() {
    let token = Rc::new(());
    run(async {
        // Two tasks that await each other by their handles.
        let (send, receive) = oneshot::channel::<JoinHandle<()>>();
        let first = spawn(hold(&token, async { receive.await.unwrap().await }));
        let second = spawn(hold(&token, first));
        assert!(send.send(second).is_ok());
        // Two tasks, each the owner of the channel that the other waits for.
        let (to_left, left) = oneshot::channel::<()>();
        let (to_right, right) = oneshot::channel::<()>();
        spawn(hold(&token, async move { left.await.map(|()| to_right.send(())) }));
        spawn(hold(&token, async move { right.await.map(|()| to_left.send(())) }));
        // A task whose state holds its own waker and its own handle.
        let state = Rc::new(RefCell::new((None::<Waker>, None::<JoinHandle<()>>)));
        let (inner, held) = (state.clone(), token.clone());
        let task = spawn(poll_fn(move |cx| {
            let _ = &held;
            inner.borrow_mut().0 = Some(cx.waker().clone());
            Poll::Pending
        }));
        state.borrow_mut().1 = Some(task);
        // A task that sleeps, one that yields, and a result that waits for a handle that nobody will await.
        spawn(hold(&token, sleep(Duration::MAX)));
        spawn(hold(&token, async {
            loop {
                yield_now().await;
            }
        }));
        let result = spawn(ready(token.clone()));
        spawn(async move {
            pending::<()>().await;
            drop(result);
        });
        yield_now().await;
        yield_now().await;
        assert_eq!(Rc::strong_count(&token), 9);
    });
    assert_eq!(Rc::strong_count(&token), 1, "all is freed");
}

/// What a destructor can do with its executor. Counts how often it came to the end.
struct Destructor {
    done: Rc<Cell<usize>>,
    ran: Rc<Cell<usize>>,
    other: Option<JoinHandle<()>>,
    waker: Waker,
}

impl Drop for Destructor {
    fn drop(&mut self) {
        let ran = self.ran.clone();
        let spawned = spawn(async move { ran.set(ran.get() + 1) });
        spawned.abort_handle();
        let aborted = spawn(async { unreachable!("it is aborted before its first poll") });
        aborted.abort();
        drop(aborted);
        if let Some(other) = self.other.take() {
            other.abort();
        }
        self.waker.wake_by_ref();
        let mut sleep = sleep(Duration::from_secs(60));
        let _ = poll_with(&mut sleep, Counter::new());
        self.done.set(self.done.get() + 1);
    }
}

#[test]
fn spawn_and_abort_in_a_destructor() {
    bounded(|| {
        let (done, ran) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        run(async {
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            let destructor = || {
                let other = Some(spawn(pending::<()>()));
                Destructor { done: done.clone(), ran: ran.clone(), other, waker: waker.clone() }
            };
            drop(spawn(ready(destructor()))); // a result that nobody wants
            let unread = spawn(ready(destructor())); // one that is dropped with its handle
            let unread_elsewhere = spawn(ready(destructor()));
            let aborted = spawn({
                let destructor = destructor();
                async move {
                    let _destructor = destructor;
                    pending::<()>().await;
                }
            });
            let finished = spawn({
                let destructor = destructor();
                async move { drop(destructor) }
            });
            yield_now().await;
            drop(unread);
            thread::spawn(move || drop(unread_elsewhere)).join().unwrap();
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            finished.await.unwrap();
            yield_now().await;
            yield_now().await;
        });
        assert_eq!((done.get(), ran.get()), (5, 5), "all came to their end, and what they spawned ran");
    });
}

#[test]
fn destructors_may_spawn_wake_and_abort_while_the_executor_shuts_down() {
    bounded(|| {
        let (done, ran, drops) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let executor = Executor::new().unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            let sibling = Rc::new(Probe::default());
            spawn(sibling.task());
            yield_now().await;
            for _ in 0..10 {
                let waker = sibling.waker();
                let drops = drops.clone();
                let guard = OnDrop::new(move || drops.set(drops.get() + 1));
                let other = Some(spawn(async move {
                    let _guard = guard;
                    pending().await
                }));
                let destructor = Destructor { done: done.clone(), ran: ran.clone(), other, waker };
                spawn(async move {
                    let _destructor = destructor;
                    pending::<()>().await;
                });
            }
            yield_now().await;
        });
        drop(executor);
        assert_eq!((done.get(), drops.get()), (10, 10));
        assert_eq!(ran.get(), 0, "what is spawned now never runs");
    });
}

#[test]
fn what_a_destructor_spawns_into_a_closed_executor_is_cancelled() {
    let seen = Rc::new(Cell::new(false));
    let executor = Executor::new().unwrap();
    let flag = seen.clone();
    let guard = OnDrop::new(move || {
        let token = Rc::new(());
        let mut task = spawn(hold(&token, pending::<()>()));
        assert_eq!(Rc::strong_count(&token), 2, "it waits in the list of those that are dropped");
        assert!(task.is_finished());
        let Poll::Ready(Err(error)) = poll_with(&mut task, Counter::new()) else { panic!("it is resolved") };
        assert!(error.is_cancelled());
        flag.set(true);
    });
    executor.spawn(async move {
        let _guard = guard;
    });
    drop(executor);
    assert!(seen.get());
}

/// Lets the process have a few seconds of CPU time, far from what a quadratic walk takes.
fn limit_cpu_time() {
    setrlimit(Resource::Cpu, Rlimit { current: Some(5), maximum: Some(5) }).unwrap();
}

#[test]
fn linear_drop() {
    in_a_child("linear_drop", || {
        limit_cpu_time();
        let token = Rc::new(());
        let executor = Executor::new().unwrap();
        let handles: Vec<_> = (0..80_000).map(|_| executor.spawn(hold(&token, pending::<()>()))).collect();
        assert_eq!(Rc::strong_count(&token), 80_001);
        drop(executor);
        assert_eq!(Rc::strong_count(&token), 1);
        assert!(handles.iter().all(|task| task.is_finished()));
    });
}
