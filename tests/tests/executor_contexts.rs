//! Which executor is the current one: inside another's task, at the end of a thread, after a refused `block_on`.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, JoinHandle, spawn, task::yield_now};
use pollywog_tests::executor::{Counter, OnDrop, Probe, bounded, panic_of, poll_with, run};

#[test]
fn nested_block_on() {
    let expected = "`block_on` inside an executor would stop every task of this thread: `await` the future, `spawn` \
                    it, or run it on a thread of its own";
    let outer = Rc::new(Executor::new().unwrap());
    let result = outer.block_on(&mut ThreadDriver::new(), async {
        let other = Executor::new().unwrap();
        let message = panic_of(|| other.block_on(&mut ThreadDriver::new(), async {}));
        assert_eq!(message, expected);
        let message = panic_of(|| outer.block_on(&mut ThreadDriver::new(), async {}));
        assert_eq!(message, expected);
        // The outer one goes on: a spawn reaches it, and a wake from outside ends its sleep.
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        let (send, receive) = futures::channel::oneshot::channel();
        let thread = thread::spawn(move || send.send(2).unwrap());
        let sum = receive.await.unwrap() + 1;
        thread.join().unwrap();
        let elsewhere = thread::spawn(move || run(async { 4 }));
        sum + elsewhere.join().unwrap()
    });
    assert_eq!(result, 7);
    assert_eq!(outer.block_on(&mut ThreadDriver::new(), async { spawn(async { 8 }).await.unwrap() }), 8);
}

#[test]
fn drop_inside_another_executor() {
    bounded(|| {
        run(async {
            let (ran, cancelled) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
            let inner = Executor::new().unwrap();
            let (ran_there, cancelled_there) = (ran.clone(), cancelled.clone());
            let guard = OnDrop::new(move || {
                let mut task = spawn(async move { ran_there.set(true) });
                let Poll::Ready(result) = poll_with(&mut task, Counter::new()) else { panic!("it is resolved") };
                cancelled_there.set(result.unwrap_err().is_cancelled());
            });
            inner.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            drop(inner);
            assert!(cancelled.get(), "the destructor reached its own executor, which is closed");
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1, "the outer one is the current one again");
            yield_now().await;
            assert!(!ran.get());
        });
        let message = panic_of(|| spawn(async {}));
        assert!(message.starts_with("`spawn` outside a Pollywog executor"), "{message}");
    });
}

thread_local! {
    static RUNTIME: RefCell<Option<Executor>> = const { RefCell::new(None) };
    static OTHER: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// What is there at the end of the thread: it wakes, aborts and drops ids of the runtime.
struct Last {
    waker: Waker,
    handle: Option<JoinHandle<()>>,
    order: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.waker.wake_by_ref();
        let handle = self.handle.take().unwrap();
        handle.abort();
        handle.abort_handle().abort();
        drop(handle);
        self.order.lock().unwrap().push("other");
    }
}

/// Ends a thread whose runtime and whose wakers are in thread-locals, and says what was dropped in which order.
fn end_a_thread(is_runtime_first: bool) -> Vec<&'static str> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let body = move || {
        if is_runtime_first {
            RUNTIME.with(|_| ());
        }
        OTHER.with(|_| ());
        let executor = Executor::new().unwrap();
        let dropped = order.clone();
        let guard = OnDrop::new(move || {
            drop(spawn(async {}));
            dropped.lock().unwrap().push("task");
        });
        let probe = Rc::new(Probe::default());
        let future = probe.task();
        let handle = executor.spawn(async move {
            let _guard = guard;
            future.await;
        });
        executor.block_on(&mut ThreadDriver::new(), yield_now());
        OTHER.set(Some(Last { waker: probe.waker(), handle: Some(handle), order }));
        RUNTIME.set(Some(executor));
    };
    thread::spawn(body).join().unwrap();
    seen.lock().unwrap().clone()
}

#[test]
fn a_runtime_in_a_thread_local_ends_with_its_thread() {
    let mut orders = [end_a_thread(true), end_a_thread(false)];
    orders.sort();
    assert_eq!(orders, [["other", "task"], ["task", "other"]], "both orders of destruction");
}
