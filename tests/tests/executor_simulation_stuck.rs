//! What can never go on in a simulation is reported, task by task, and seeds find the orders that lead there.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::lock::Mutex;
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::sim::SimDriver;
use pollywog_executor::task::{self, Id, yield_now};
use pollywog_executor::time::{hold, now, pause, sleep};
use pollywog_executor::{
    Executor, Handle, JoinError, JoinHandle, RemoteJoinHandle, Scope, scope, spawn, spawn_blocking,
};
use pollywog_tests::executor::{OnDrop, bounded, panic_of};
use pollywog_tests::net::Watchdog;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs `future` in a simulation, its tasks in the order that `seed` chooses, or first in, first out.
fn simulate<F: Future>(seed: Option<u64>, future: F) -> F::Output {
    let _watchdog = Watchdog::start();
    let builder = Executor::builder();
    let builder = seed.into_iter().fold(builder, |builder, seed| builder.seed(seed));
    builder.build().unwrap().block_on(&mut SimDriver::new(), future)
}

const STUCK: &str = "nothing can ever run again: no task is ready, no timer is set, and nothing outside wakes a \
                     simulation. These wait for ever:\n  the future of `block_on`";

/// The report of what is stuck, as it should be: each task that is spawned through this is to be listed.
#[derive(Clone, Default)]
struct Report(Rc<RefCell<Vec<String>>>);

impl Report {
    fn expect(&self, id: Id, name: &str, place: &Location<'_>) {
        assert_eq!(place.file(), file!());
        let name = if name.is_empty() { String::new() } else { format!(" '{name}'") };
        self.0.borrow_mut().push(format!("  task {id}{name}, spawned at {place}"));
    }

    #[track_caller]
    fn spawn<F: Future + 'static>(&self, name: &str, future: F) -> JoinHandle<F::Output> {
        let task = match name {
            "" => spawn(future),
            name => task::Builder::new().name(name).spawn(future),
        };
        self.expect(task.id(), name, Location::caller());
        task
    }

    /// From another thread.
    fn spawn_remote(&self) -> RemoteJoinHandle<()> {
        #[track_caller]
        fn spawn_on(handle: Handle) -> (RemoteJoinHandle<()>, &'static Location<'static>) {
            (handle.spawn(pending()), Location::caller())
        }
        let handle = Handle::current();
        let (task, place) = thread::spawn(move || spawn_on(handle)).join().unwrap();
        self.expect(task.id(), "", place);
        task
    }

    #[track_caller]
    fn spawn_child<'env, F>(
        &self,
        scope: &Scope<'env>,
        future: F,
    ) -> impl Future<Output = Result<F::Output, JoinError>> + use<'env, F>
    where
        F: Future + 'env,
        F::Output: 'env,
    {
        let child = scope.spawn(future);
        self.expect(child.id(), "", Location::caller());
        child
    }

    fn text(&self) -> String {
        self.0.borrow().iter().fold(STUCK.to_owned(), |report, line| format!("{report}\n{line}"))
    }
}

#[test]
fn what_is_stuck_is_listed_and_nothing_else() {
    let report = Report::default();
    let expected = report.clone();
    let text = panic_of(|| {
        simulate(None, async move {
            // A ring: each waits for the one before, and the first for the last.
            let (send, receive) = oneshot::channel::<()>();
            let first = report.spawn("first", receive);
            let second = report.spawn("second", async move { first.await.is_ok() });
            let third = report.spawn("", async move {
                let _ = second.await;
                drop(send);
            });
            let _kept = report.spawn_remote();
            yield_now().await; // it has come
            drop(report.spawn("detached", pending::<()>()));
            let children = report.clone();
            let family = report.spawn("family", async move {
                scope(async |s| {
                    let older = children.spawn_child(&s, pending::<()>());
                    drop(children.spawn_child(&s, async move { older.await.is_ok() }));
                    // These two will be over.
                    s.spawn(async {});
                    let aborted = s.spawn(pending::<()>());
                    yield_now().await;
                    aborted.abort();
                })
                .await;
            });
            // What is done, has panicked or is aborted is not stuck, though its handle is there.
            let (done, panicked) = (spawn(async { 1 }), spawn(async { panic!("expected: a panic") }));
            let (aborted, late) = (spawn(pending::<()>()), spawn(pending::<()>()));
            aborted.abort();
            sleep(HOUR).await;
            late.abort();
            let _kept = (done, panicked, aborted, late, family);
            third.await.unwrap();
        });
    });
    assert_eq!(text, expected.text());
    assert_eq!(text.lines().count(), 2 + 8);
}

#[test]
fn tasks_are_shown_with_their_names_and_places() {
    let report = Report::default();
    let text = panic_of(|| {
        simulate(None, async {
            for _ in 0..3 {
                report.spawn("", pending::<()>());
                report.spawn("a name", pending::<()>());
            }
            pending::<()>().await;
        });
    });
    assert_eq!(text, report.text());
    assert_eq!(panic_of(|| simulate(None, pending::<()>())), STUCK, "also when there is no task");
}

#[test]
fn a_timer_that_never_comes_is_no_hope() {
    bounded(|| {
        let text = panic_of(|| {
            simulate(None, async {
                sleep(HOUR).await;
                sleep(Duration::from_millis(u64::MAX)).await;
            });
        });
        assert_eq!(text, STUCK);
    });
}

#[test]
fn tasks_that_wait_for_ever_do_not_matter_once_the_root_is_done() {
    simulate(None, async {
        spawn(pending::<()>());
        sleep(HOUR).await;
    });
}

#[test]
fn a_tick_never_panics_about_what_is_stuck() {
    let executor = Executor::new().unwrap();
    let mut driver = SimDriver::new();
    executor.spawn(async {
        sleep(HOUR).await;
        pending::<()>().await;
    });
    // It runs, the clock moves, it runs again, and then nothing is left.
    for _ in 0..5 {
        executor.tick(&mut driver);
    }
    assert!(!executor.tick(&mut driver) && executor.has_tasks());
    assert_eq!(executor.next_deadline(), None, "the hour is over");
}

#[test]
fn after_the_report_everything_can_go_on() {
    for seed in [None, Some(1)] {
        let builder = Executor::builder();
        let executor = seed.into_iter().fold(builder, |builder, seed| builder.seed(seed)).build().unwrap();
        let mut driver = SimDriver::new();
        let (send, receive) = oneshot::channel();
        let task = executor.spawn(async move {
            sleep(HOUR).await;
            receive.await.unwrap()
        });
        let (id, dropped) = (task.id(), Rc::new(Cell::new(false)));
        for _ in 0..3 {
            let flag = dropped.clone();
            dropped.set(false);
            let text = panic_of(|| {
                executor.block_on(&mut driver, async {
                    let _guard = OnDrop::new(move || {
                        let _in_the_executors_context = spawn(async {});
                        flag.set(true);
                    });
                    pending::<()>().await;
                });
            });
            assert!(text.starts_with(STUCK), "{text}");
            assert!(text[STUCK.len()..].starts_with(&format!("\n  task {id}, spawned at ")), "{text}");
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(dropped.get(), "the future of `block_on` is gone");
        }
        executor.block_on(&mut ThreadDriver::new(), async {
            assert!(now() <= Instant::now(), "the simulation is over");
        });
        send.send(5).unwrap();
        assert_eq!(executor.block_on(&mut driver, task).unwrap(), 5);
        executor.block_on(&mut driver, sleep(HOUR));
        assert!(!executor.has_tasks());
    }
}

#[test]
fn work_that_holds_the_clock_is_not_stuck() {
    bounded(|| {
        let (parked, waits) = mpsc::channel();
        let executor = Executor::builder().on_park(move || parked.send(()).unwrap_or(())).build().unwrap();
        executor.block_on(&mut SimDriver::new(), async {
            let start = now();
            let (send, receive) = oneshot::channel();
            let held = hold();
            let worker = thread::spawn(move || {
                waits.recv().unwrap(); // the executor has nothing to do
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(20) {} // were the clock not held, it had moved by now
                send.send(5).unwrap();
                drop(held);
            });
            assert_eq!(receive.await, Ok(5));
            worker.join().unwrap();
            assert_eq!(spawn_blocking(|| 6).await.unwrap(), 6);
            assert_eq!(now(), start);
            // A task that comes from there is enough.
            let (handle, held) = (Handle::current(), hold());
            thread::spawn(move || {
                drop(handle.spawn(async {}));
                drop(held);
            });
            sleep(HOUR).await;
            assert_eq!(now(), start + HOUR);
        });
    });
}

#[test]
fn work_that_lets_the_clock_go_and_wakes_nobody_leaves_it_stuck() {
    bounded(|| {
        let text = panic_of(|| {
            simulate(None, async {
                let held = hold();
                thread::spawn(move || drop(held));
                pending::<()>().await;
            });
        });
        assert_eq!(text, STUCK);
    });
}

#[test]
fn a_driver_that_is_no_simulation_waits() {
    bounded(|| {
        let (send, receive) = oneshot::channel();
        let sender = Cell::new(Some(send));
        struct Waits<F>(ThreadDriver, F);
        impl<F: Fn()> Driver for Waits<F> {
            fn unparker(&self) -> Waker {
                self.0.unparker()
            }
            fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
                if park == Park::Unlimited {
                    (self.1)();
                }
                self.0.park(park, ready);
            }
        }
        let mut driver = Waits(ThreadDriver::new(), move || {
            let send = sender.take().expect("it sleeps once");
            thread::spawn(move || send.send(5).unwrap());
        });
        Executor::new().unwrap().block_on(&mut driver, async {
            pause();
            assert_eq!(receive.await, Ok(5));
        });
    });
}

/// Which of the seeds let `bug` end in a deadlock. It does so each time or never with one seed.
fn seeds_that_fail<F: Future<Output = ()>>(seeds: u64, bug: impl Fn() -> F) -> Vec<u64> {
    let fails = |seed| {
        let executor = Executor::builder().seed(seed).build().unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            executor.block_on(&mut SimDriver::new(), bug());
        }));
        match result {
            Ok(()) => false,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().expect("a report");
                assert!(text.starts_with(STUCK), "{text}");
                true
            }
        }
    };
    let found: Vec<_> = (0..seeds).filter(|&seed| fails(seed)).collect();
    assert_eq!(found, (0..seeds).filter(|&seed| fails(seed)).collect::<Vec<_>>());
    found
}

#[test]
fn some_seeds_find_two_locks_that_are_taken_in_two_orders() {
    let bug = || async {
        let locks = Rc::new((Mutex::new(()), Mutex::new(())));
        let other = locks.clone();
        let task = spawn(async move {
            let _second = other.1.lock().await;
            yield_now().await;
            let _first = other.0.lock().await;
        });
        let _first = locks.0.lock().await;
        yield_now().await;
        let second = locks.1.lock().await;
        drop((second, _first));
        task.await.unwrap();
    };
    let found = quietly(|| seeds_that_fail(100, bug));
    assert!((10..90).contains(&found.len()), "{found:?}");
}

#[test]
fn some_seeds_find_a_wake_that_is_lost() {
    /// Its bug: between the look and the leaving of the waker, others run.
    #[derive(Default)]
    struct Event {
        is_set: Cell<bool>,
        waiter: Cell<Option<Waker>>,
    }
    impl Event {
        async fn wait(&self) {
            if self.is_set.get() {
                return;
            }
            yield_now().await;
            let mut is_left = false;
            poll_fn(|cx| {
                self.waiter.set(Some(cx.waker().clone()));
                if std::mem::replace(&mut is_left, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }

        fn set(&self) {
            self.is_set.set(true);
            if let Some(waiter) = self.waiter.take() {
                waiter.wake();
            }
        }
    }
    let bug = || async {
        let event = Rc::new(Event::default());
        let theirs = event.clone();
        spawn(async move { theirs.set() });
        event.wait().await;
    };
    let found = quietly(|| seeds_that_fail(100, bug));
    assert!((10..90).contains(&found.len()), "{found:?}");
}

/// Runs `f`, which does not panic, with nothing printed of the panics inside.
fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let result = Cell::new(None);
    panic_of(|| {
        result.set(Some(f()));
        panic!("expected: it is over");
    });
    result.take().unwrap()
}
