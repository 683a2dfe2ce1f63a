//! A million of everything, on a small stack.

use std::cell::Cell;
use std::env;
use std::future::{Future, pending};
use std::rc::Rc;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, JoinHandle, spawn, task::yield_now};
use pollywog_tests::executor::{OnDrop, in_a_child, on_a_stack_of, run};
use rustix::process::{Resource, Rlimit, setrlimit};

const MILLION: usize = 1_000_000;
const SMALL_STACK: usize = 512 << 10;

/// What is linear stays below this: a kilobyte a task. A sanitizer reserves more than that for itself.
fn limit_memory() {
    if env::var_os("POLLYWOG_SANITIZER").is_some() {
        return;
    }
    setrlimit(Resource::As, Rlimit { current: Some(1 << 30), maximum: Some(1 << 30) }).unwrap();
}

#[test]
fn a_million_tasks() {
    in_a_child("a_million_tasks", || {
        limit_memory();
        on_a_stack_of(SMALL_STACK, || {
            let (ran, token) = (Rc::new(Cell::new(0)), Rc::new(()));
            run(async {
                for _ in 0..MILLION {
                    let (ran, token) = (ran.clone(), token.clone());
                    spawn(async move {
                        ran.set(ran.get() + 1);
                        yield_now().await;
                        ran.set(ran.get() + 1);
                        let _token = token;
                        pending::<()>().await;
                    });
                }
                yield_now().await;
                yield_now().await;
                yield_now().await;
            });
            assert_eq!(ran.get(), 2 * MILLION);
            assert_eq!(Rc::strong_count(&token), 1);
        });
    });
}

/// A result that owns the handle of a finished task, whose result does the same.
struct Link {
    _next: Option<JoinHandle<Link>>,
    dropped: Rc<Cell<usize>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
    }
}

/// A million finished tasks, each in the hand of the next; returns the handle of the last.
async fn chain_of_results(dropped: &Rc<Cell<usize>>) -> JoinHandle<Link> {
    let link = |next| {
        let dropped = dropped.clone();
        spawn(async move { Link { _next: next, dropped } })
    };
    let mut last = link(None);
    for _ in 1..MILLION {
        last = link(Some(last));
    }
    while !last.is_finished() {
        yield_now().await;
    }
    last
}

#[test]
fn deep_chain_of_handles() {
    in_a_child("deep_chain_of_handles", || {
        limit_memory();
        on_a_stack_of(SMALL_STACK, || {
            let dropped = Rc::new(Cell::new(0));
            run(async {
                let last = chain_of_results(&dropped).await;
                assert_eq!(dropped.get(), 0);
                drop(last);
                assert_eq!(dropped.get(), MILLION, "by the drop of the last handle");

                // By the drop of a result that was awaited.
                let last = chain_of_results(&dropped).await;
                drop(last.await.unwrap());
                assert_eq!(dropped.get(), 2 * MILLION);
            });
        });
    });
}

#[test]
fn a_deep_chain_of_handles_ends_with_its_executor() {
    in_a_child("a_deep_chain_of_handles_ends_with_its_executor", || {
        limit_memory();
        on_a_stack_of(SMALL_STACK, || {
            let dropped = Rc::new(Cell::new(0));
            let executor = Executor::new().unwrap();
            let last = executor.block_on(&mut ThreadDriver::new(), chain_of_results(&dropped));
            drop(executor);
            assert_eq!(dropped.get(), MILLION);
            assert!(last.is_finished());
        });
    });
}

/// A million tasks, each of which awaits the one before; the first awaits `future`.
fn chain_of_joins(future: impl Future<Output = usize> + 'static) -> JoinHandle<usize> {
    let mut last = spawn(future);
    for _ in 1..MILLION {
        last = spawn(async move { last.await.map_or(0, |count| count + 1) });
    }
    last
}

#[test]
fn a_million_tasks_that_await_each_other() {
    in_a_child("a_million_tasks_that_await_each_other", || {
        limit_memory();
        on_a_stack_of(SMALL_STACK, || {
            let dropped = Rc::new(Cell::new(false));
            let flag = dropped.clone();
            let guard = OnDrop::new(move || flag.set(true));
            run(async {
                let first = async {
                    yield_now().await;
                    1
                };
                assert_eq!(chain_of_joins(first).await.unwrap(), MILLION);
                // One that the executor's drop ends in the middle.
                chain_of_joins(async move {
                    let _guard = guard;
                    pending().await
                });
                yield_now().await;
                assert!(!dropped.get());
            });
            assert!(dropped.get());
        });
    });
}

/// Debug builds copy what they move.
#[cfg_attr(debug_assertions, ignore = "only an optimised build puts a future straight into its box")]
#[test]
fn a_future_larger_than_the_stack() {
    in_a_child("a_future_larger_than_the_stack", || {
        on_a_stack_of(256 << 10, || {
            let sum = run(async {
                let task = spawn(async {
                    let mut bytes = [0u8; 1 << 20];
                    for (number, byte) in bytes.iter_mut().enumerate() {
                        *byte = number as u8;
                    }
                    yield_now().await;
                    bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()
                });
                task.await.unwrap()
            });
            assert_eq!(sum, (1 << 20) / 256 * (255 * 256 / 2));
        });
    });
}
