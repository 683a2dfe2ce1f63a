//! Work on other threads: its result, its panic, and what an abort or the end of the executor does to it.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::FutureExt;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::task::{JoinSet, yield_now};
use pollywog_executor::time::{self, timeout};
use pollywog_executor::{Executor, Metrics, UnhandledPanic, spawn, spawn_blocking};
use pollywog_tests::executor::{OnDrop, bounded, panic_of, run, silence_expected_panics};
use pollywog_tests::net::{child, inside};

/// Runs `test` in a process of its own whose pool has one thread, so that the second piece of work waits for the first.
fn with_one_thread(name: &str, test: impl FnOnce() + Send + 'static) {
    if inside(name).is_some() {
        return bounded(test);
    }
    let output = child(&[], name, "").env("BLOCKING_MAX_THREADS", "1").output().unwrap();
    let [said, complained] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}\n{complained}", output.status);
}

/// Work that says when it has begun, goes on when it is let, and says when its result is dropped, and where.
struct Held {
    begun: Receiver<()>,
    go_on: Sender<()>,
    dropped: Receiver<ThreadId>,
}

/// The result of [`Held`] work.
#[derive(Debug)]
struct Output(Sender<ThreadId>);

impl Drop for Output {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).unwrap();
    }
}

fn held() -> (Held, impl FnOnce() -> Output + Send + 'static) {
    let ((begin, begun), (go_on, goes_on), (drops, dropped)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let work = move || {
        begin.send(()).unwrap();
        goes_on.recv().unwrap();
        Output(drops)
    };
    (Held { begun, go_on, dropped }, work)
}

impl Held {
    /// Lets it go on, and checks that its result was dropped by the thread that made it.
    fn goes_on_for_nobody(self) {
        self.go_on.send(()).expect("it goes on");
        assert_ne!(self.dropped.recv().expect("its result is dropped"), thread::current().id());
    }
}

/// A piece of work that counts how often it runs, and holds something whose drop is counted.
fn counted() -> (Arc<AtomicUsize>, Arc<AtomicUsize>, impl FnOnce() + Send + 'static) {
    let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ran, dropped) = (runs.clone(), drops.clone());
    let guard = OnDrop::new(move || _ = dropped.fetch_add(1, Ordering::SeqCst));
    let work = move || {
        let _guard = guard;
        ran.fetch_add(1, Ordering::SeqCst);
    };
    (runs, drops, work)
}

#[test]
fn the_result_comes_from_another_thread() {
    bounded(|| {
        run(async {
            let text = String::from("moved there");
            let task = spawn_blocking(move || (thread::current().id(), format!("{text} and back")));
            let (thread, text) = task.await.unwrap();
            assert_ne!(thread, thread::current().id());
            assert_eq!(text, "moved there and back");
        });
    });
}

#[test]
fn the_executor_runs_on_while_it_waits_for_work() {
    bounded(|| {
        run(async {
            let (work, waits) = mpsc::channel::<u32>();
            let task = spawn_blocking(move || waits.recv().unwrap());
            // It ends only because another task runs.
            drop(spawn(async move {
                yield_now().await;
                work.send(5).unwrap();
            }));
            assert_eq!(task.await.unwrap(), 5);
        });
    });
}

#[test]
fn it_is_handed_to_the_pool_at_once() {
    bounded(|| {
        run(async {
            let (send, receive) = mpsc::channel();
            let task = spawn_blocking(move || send.send(5).unwrap());
            // This thread does not come to the task before it has run.
            assert_eq!(receive.recv(), Ok(5));
            task.await.unwrap();
        });
    });
}

#[test]
fn a_panic_is_the_error_of_its_task() {
    silence_expected_panics();
    bounded(|| {
        run(async {
            let error = spawn_blocking(|| panic!("expected: work")).await.unwrap_err();
            assert!(error.is_panic());
            assert_eq!(error.to_string(), format!("task {} panicked: expected: work", error.id()));
            let debug = format!("{error:?}");
            assert!(debug.starts_with(&format!("JoinError({error}; spawned at {}:", file!())), "{debug}");
            let error = spawn_blocking(|| std::panic::panic_any(5_u8)).await.unwrap_err();
            assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 5);
            // The pool is none the worse for it.
            assert_eq!(spawn_blocking(|| 5).await.unwrap(), 5);
        });
    });
}

#[test]
fn a_panic_ends_an_executor_that_is_to_end() {
    bounded(|| {
        let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
        let said = panic_of(|| {
            executor.block_on(&mut ThreadDriver::new(), async {
                drop(spawn_blocking(|| panic!("expected: work")));
                pending::<()>().await;
            });
        });
        assert!(said.contains(" panicked: expected: work; spawned at "), "{said}");
    });
}

#[test]
fn an_abort_keeps_work_from_starting() {
    with_one_thread("an_abort_keeps_work_from_starting", || {
        run(async {
            let (first, work) = held();
            let first_task = spawn_blocking(work);
            first.begun.recv().unwrap();
            let (runs, drops, work) = counted();
            let task = spawn_blocking(work);
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled(), "at once, though the first has the thread");
            first.go_on.send(()).unwrap();
            drop(first_task.await.unwrap());
            // What comes later runs after it.
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 1));
        });
    });
}

#[test]
fn the_end_of_the_executor_keeps_work_from_starting() {
    with_one_thread("the_end_of_the_executor_keeps_work_from_starting", || {
        let (first, work) = held();
        let (runs, drops, waits) = counted();
        run(async {
            drop(spawn_blocking(work));
            first.begun.recv().unwrap();
            drop(spawn_blocking(waits));
        });
        // The executor is gone, and did not wait for the first.
        first.goes_on_for_nobody();
        run(async { spawn_blocking(|| {}).await.unwrap() });
        assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 1));
    });
}

#[test]
fn work_that_runs_when_it_is_aborted_runs_on_and_its_result_is_dropped() {
    bounded(|| {
        run(async {
            let (held, work) = held();
            let task = spawn_blocking(work);
            held.begun.recv().unwrap();
            // Once before the task's first poll, once while it waits.
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            held.goes_on_for_nobody();
        });
        run(async {
            let (held, work) = held();
            let task = spawn_blocking(work);
            yield_now().await;
            held.begun.recv().unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(Metrics::current().alive, 0);
            held.goes_on_for_nobody();
        });
    });
}

#[test]
fn work_that_runs_when_its_executor_is_dropped_runs_on_and_its_result_is_dropped() {
    bounded(|| {
        let (held, work) = held();
        let kept = run(async {
            let handle = spawn_blocking(work);
            yield_now().await;
            held.begun.recv().unwrap();
            Some(handle)
        });
        assert!(kept.unwrap().now_or_never().unwrap().unwrap_err().is_cancelled());
        held.goes_on_for_nobody();
    });
}

#[test]
fn work_whose_handle_is_dropped_runs_to_its_end() {
    bounded(|| {
        run(async {
            let (held, work) = held();
            drop(spawn_blocking(work));
            held.begun.recv().unwrap();
            yield_now().await;
            assert_eq!((Metrics::current().alive, held.dropped.recv_timeout(Duration::ZERO)), (1, timeout_error()));
            held.go_on.send(()).unwrap();
            while Metrics::current().alive > 0 {
                yield_now().await;
            }
            // The executor drops the result that nobody wants, as that of any task.
            assert_eq!(held.dropped.recv(), Ok(thread::current().id()));
        });
    });
}

fn timeout_error<T>() -> Result<T, RecvTimeoutError> {
    Err(RecvTimeoutError::Timeout)
}

#[test]
fn a_result_that_nobody_takes_is_dropped_with_the_executor() {
    bounded(|| {
        let (held, work) = held();
        let kept = run(async {
            let handle = spawn_blocking(work);
            held.go_on.send(()).unwrap();
            while Metrics::current().alive > 0 {
                yield_now().await;
            }
            Some(handle)
        });
        assert_eq!(held.dropped.recv(), Ok(thread::current().id()));
        assert!(kept.unwrap().now_or_never().unwrap().is_err());
    });
}

#[test]
fn a_thousand_pieces_of_work_at_once() {
    bounded(|| {
        run(async {
            let ran = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..1_000)
                .map(|number| {
                    let ran = ran.clone();
                    spawn_blocking(move || {
                        ran.fetch_add(1, Ordering::SeqCst);
                        number
                    })
                })
                .collect();
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), number);
            }
            assert_eq!(ran.load(Ordering::SeqCst), 1_000);
            assert_eq!(Metrics::current().alive, 0);
        });
    });
}

#[test]
fn a_paused_clock_waits_for_work() {
    bounded(|| {
        // The work ends only once the executor has nothing else to do, which is when the clock would move.
        let (idle, waits) = mpsc::channel();
        let executor = Executor::builder().on_park(move || _ = idle.send(())).build().unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            time::pause();
            let start = time::now();
            let task = spawn_blocking(move || waits.recv().unwrap());
            timeout(Duration::from_secs(3600), task).await.expect("no time has passed").unwrap();
            assert_eq!(time::now(), start);
            // It moves again when the work is done.
            time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(time::now() - start, Duration::from_secs(3600));
        });
    });
}

#[test]
fn work_in_a_set_is_joined_as_its_tasks_are() {
    silence_expected_panics();
    bounded(|| {
        run(async {
            let (go_on, waits) = mpsc::channel::<()>();
            let mut set = JoinSet::new();
            let held = set.spawn_blocking(move || {
                waits.recv().unwrap();
                thread::current().id()
            });
            let (failing, quick) = (set.spawn_blocking(|| panic!("expected: work")), set.spawn(async { here() }));
            let mut others = [set.join_next_with_id().await.unwrap(), set.join_next_with_id().await.unwrap()];
            others.sort_by_key(|(id, _)| *id != failing.id());
            let [(first, error), (second, task)] = others;
            assert_eq!((first, second), (failing.id(), quick.id()));
            let error = error.unwrap_err();
            assert_eq!(error.to_string(), format!("task {first} panicked: expected: work"));
            assert!(format!("{error:?}").contains(&format!("; spawned at {}:", file!())), "{error:?}");
            assert_eq!(task.unwrap(), here());
            go_on.send(()).unwrap();
            let (id, thread) = set.join_next_with_id().await.unwrap();
            assert_eq!(id, held.id());
            assert_ne!(thread.unwrap(), here());
            assert!(set.is_empty());
        });
    });
}

fn here() -> ThreadId {
    thread::current().id()
}

#[test]
fn dropping_a_set_keeps_its_work_from_starting() {
    with_one_thread("dropping_a_set_keeps_its_work_from_starting", || {
        run(async {
            let (first, work) = held();
            let first_task = spawn_blocking(work);
            first.begun.recv().unwrap();
            let (runs, drops, work) = counted();
            let mut set = JoinSet::new();
            set.spawn_blocking(work);
            drop(set);
            // Its tasks are gone when the executor has come to them.
            yield_now().await;
            first.go_on.send(()).unwrap();
            drop(first_task.await.unwrap());
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 1));
        });
    });
}

#[test]
fn the_shutdown_of_a_set_does_not_wait_for_work_that_runs() {
    bounded(|| {
        let (running, work) = held();
        run(async {
            let mut set = JoinSet::new();
            set.spawn_blocking(work);
            running.begun.recv().unwrap();
            set.shutdown().await;
            assert!(set.is_empty());
        });
        running.goes_on_for_nobody();
    });
}

#[test]
fn outside_an_executor_it_panics_and_nothing_starts() {
    const EXPECTED: &str = "outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    let (runs, drops, work) = counted();
    assert_eq!(panic_of(|| spawn_blocking(work)), format!("`spawn_blocking` {EXPECTED}"));
    assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 1));
    let (runs, drops, work) = counted();
    let mut set = JoinSet::new();
    assert_eq!(panic_of(|| set.spawn_blocking(work)), format!("`JoinSet::spawn_blocking` {EXPECTED}"));
    assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst), set.len()), (0, 1, 0));
}

#[test]
fn a_destructor_may_hand_work_over_while_the_executor_ends() {
    bounded(|| {
        let refused = Rc::new(Cell::new(false));
        let told = refused.clone();
        run(async {
            let guard = OnDrop::new(move || {
                let result = spawn_blocking(|| {}).now_or_never();
                told.set(result.is_some_and(|result| result.unwrap_err().is_cancelled()));
            });
            drop(spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        });
        assert!(refused.get());
    });
}
