//! Handles: what comes from other threads, in which state of the executor, and what its sender hears.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Debug;
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use futures::channel::oneshot;
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::{
    Executor, Handle, JoinError, Metrics, RemoteJoinHandle, UnhandledPanic, spawn, task, task::yield_now,
};
use pollywog_tests::executor::{
    Counter, OnDrop, bounded, in_a_child, panic_of, poll_with, run, silence_expected_panics,
};
use tracing::Dispatch;
use tracing::dispatcher;
use tracing::field::{Field, Visit};
use tracing::span;

/// Notes what is reported of panics that nobody observed.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Reports {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR && metadata.target() == "pollywog::task"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut ErrorOf(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct ErrorOf<'a>(&'a mut Vec<String>);

impl Visit for ErrorOf<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "error" {
            self.0.push(format!("{value:?}"));
        }
    }
}

impl Reports {
    /// Runs `f` with this log, on this thread.
    fn during<R>(&self, f: impl FnOnce() -> R) -> R {
        silence_expected_panics();
        pollywog_tests::log::ask_each_time();
        dispatcher::with_default(&Dispatch::new(self.clone()), f)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Says when it is about to sleep.
struct Sleeper {
    driver: ThreadDriver,
    asleep: Sender<()>,
}

impl Driver for Sleeper {
    fn unparker(&self) -> Waker {
        self.driver.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        if park != Park::Look {
            let _ = self.asleep.send(());
        }
        self.driver.park(park, ready);
    }
}

/// Runs `f` on another thread, to its end.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// The threads on which something was dropped.
#[derive(Clone, Default)]
struct Drops(Arc<Mutex<Vec<ThreadId>>>);

impl Drops {
    fn guard(&self) -> OnDrop<impl FnOnce() + Send + 'static> {
        let drops = self.clone();
        OnDrop::new(move || drops.0.lock().unwrap().push(thread::current().id()))
    }

    /// Pends for ever.
    fn pend(&self) -> impl Future<Output = ()> + Send + 'static {
        let guard = self.guard();
        async move {
            let _guard = guard;
            pending().await
        }
    }

    fn take(&self) -> Vec<ThreadId> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// How many futures, guards and copies of this there are.
    fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// The result that is there already.
fn result_of<T>(handle: &mut RemoteJoinHandle<T>) -> Result<T, JoinError> {
    match poll_with(handle, Counter::new()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("there is no result"),
    }
}

async fn explode() {
    panic!("expected: explosion")
}

#[test]
fn what_comes_from_another_thread_wakes_a_parked_executor() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let (handle, owner) = (executor.handle(), thread::current().id());
        let ((asleep, sleeps), (end, ended)) = (mpsc::channel(), oneshot::channel());
        let other = thread::spawn(move || {
            for number in 0..3 {
                let () = sleeps.recv().unwrap();
                let task = handle.spawn(async move { (number, thread::current().id()) });
                assert_eq!(futures::executor::block_on(task).unwrap(), (number, owner));
            }
            let () = sleeps.recv().unwrap();
            let task = handle.spawn(pending::<()>());
            let () = sleeps.recv().unwrap();
            task.abort();
            assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
            let () = sleeps.recv().unwrap();
            end.send(()).unwrap();
        });
        let mut driver = Sleeper { driver: ThreadDriver::new(), asleep };
        executor.block_on(&mut driver, ended).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn what_comes_between_two_runs_waits_for_the_next() {
    let executor = Executor::new().unwrap();
    let (handle, order) = (executor.handle(), Arc::new(Mutex::new(Vec::new())));
    let task = |number| {
        let order = order.clone();
        async move { order.lock().unwrap().push(number) }
    };
    executor.block_on(&mut ThreadDriver::new(), yield_now());
    let mut tasks = vec![handle.spawn(task(1))];
    tasks.push(elsewhere(|| handle.spawn(task(2))));
    tasks.push(handle.spawn(task(3)));
    let aborted = handle.spawn(task(4));
    elsewhere(|| aborted.abort());
    assert_eq!((order.lock().unwrap().len(), executor.metrics().spawned), (0, 0));
    assert!(tasks.iter().all(|task| !task.is_finished()) && !aborted.is_finished());
    executor.block_on(&mut ThreadDriver::new(), async {
        for task in tasks {
            task.await.unwrap();
        }
        assert!(aborted.await.unwrap_err().is_cancelled());
    });
    assert_eq!(order.lock().unwrap()[..], [1, 2, 3], "in the order in which they came");
}

#[test]
fn what_comes_between_two_ticks_is_told_to_the_outer_loop() {
    let (executor, mut driver, waker) = (Executor::new().unwrap(), ThreadDriver::new(), Counter::new());
    let handle = executor.handle();
    executor.on_wake(Waker::from(waker.clone()));
    while executor.tick(&mut driver) {}
    let before = waker.count();
    let mut task = handle.spawn(ready(1));
    assert_eq!(waker.count(), before + 1);
    while executor.tick(&mut driver) {}
    assert_eq!(result_of(&mut task).unwrap(), 1);
    let before = waker.count();
    let mut task = elsewhere(|| handle.spawn(ready(2)));
    assert_eq!(waker.count(), before + 1);
    while executor.tick(&mut driver) {}
    assert_eq!(result_of(&mut task).unwrap(), 2);
}

#[test]
fn on_its_own_thread_it_spawns_at_once_and_the_task_runs_after_the_current_one() {
    run(async {
        let (handle, ran) = (Handle::current(), Arc::new(AtomicBool::new(false)));
        let flag = ran.clone();
        let mut task = handle.spawn(async move { flag.store(true, Ordering::SeqCst) });
        assert_eq!((Metrics::current().alive, ran.load(Ordering::SeqCst)), (1, false));
        yield_now().await;
        assert!(ran.load(Ordering::SeqCst) && task.is_finished());
        result_of(&mut task).unwrap();
        assert!(task.is_finished());
    });
}

#[test]
fn outside_an_executor_there_is_no_current_handle() {
    let expected =
        "`Handle::current` outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    assert_eq!(panic_of(Handle::current), expected);
    let expected = "no Pollywog executor runs on this thread: no `block_on`, `run` or `tick` is under way here";
    assert_eq!(Handle::try_current().unwrap_err().to_string(), expected);
    run(async {
        assert_eq!(Handle::try_current(), Ok(Handle::current()));
        assert!(elsewhere(Handle::try_current).is_err());
    });
}

#[test]
fn a_handle_says_whether_its_executor_is_gone() {
    let executor = Executor::new().unwrap();
    let handle = executor.handle();
    assert!(!handle.is_closed() && !elsewhere(|| handle.is_closed()));
    executor.block_on(&mut ThreadDriver::new(), async {
        assert_eq!(Handle::current(), handle);
        assert!(!handle.is_closed() && !elsewhere(|| handle.is_closed()));
    });
    assert!(!handle.is_closed(), "between two runs it is there");
    let seen = Rc::new(Cell::new(false));
    let inside = seen.clone();
    let guard = OnDrop::new(move || inside.set(handle.is_closed() && elsewhere(|| handle.is_closed())));
    executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    drop(executor);
    assert!(seen.get(), "it is closed when the first destructor runs");
    assert!(handle.is_closed() && elsewhere(|| handle.is_closed()));

    let other = Executor::new().unwrap();
    assert!(handle.is_closed() && other.handle() != handle, "whichever number the other has");
}

#[test]
fn an_executor_that_died_of_a_panic_is_closed() {
    let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    let (handle, drops) = (executor.handle(), Drops::default());
    let mut pending = handle.spawn(drops.pend());
    executor.spawn(explode());
    assert!(panic_of(|| executor.block_on(&mut ThreadDriver::new(), yield_now())).contains("expected: explosion"));
    assert!(handle.is_closed());
    assert!(result_of(&mut pending).unwrap_err().is_cancelled());
    let mut late = elsewhere(|| handle.spawn(drops.pend()));
    assert!(result_of(&mut late).unwrap_err().is_cancelled());
    assert_eq!((drops.take().len(), drops.count()), (2, 1));
}

#[test]
fn what_the_executor_had_not_come_to_is_dropped_on_its_thread_when_it_goes() {
    let (executor, drops) = (Executor::new().unwrap(), Drops::default());
    let handle = executor.handle();
    let (mut ran, mut unread) = executor.block_on(&mut ThreadDriver::new(), async {
        let ran = elsewhere(|| handle.spawn(drops.pend()));
        yield_now().await;
        yield_now().await;
        (ran, elsewhere(|| handle.spawn(drops.pend())))
    });
    let (mut between, mut aborted) = elsewhere(|| (handle.spawn(drops.pend()), handle.spawn(drops.pend())));
    aborted.abort();
    let waits = Counter::new();
    for task in [&mut ran, &mut unread, &mut between, &mut aborted] {
        assert!(poll_with(task, waits.clone()).is_pending());
    }
    assert_eq!(drops.take(), []);
    drop(executor);
    assert_eq!(drops.take(), [thread::current().id(); 4]);
    assert_eq!(waits.count(), 4);
    for mut task in [ran, unread, between, aborted] {
        assert!(task.is_finished());
        let error = elsewhere(|| result_of(&mut task).unwrap_err());
        assert!(error.is_cancelled());
        assert_eq!((error.id(), error.to_string()), (task.id(), format!("task {} was cancelled", task.id())));
    }
    assert_eq!((drops.count(), Arc::strong_count(&waits)), (1, 1), "nothing is left");
}

#[test]
fn what_comes_too_late_is_dropped_where_it_came_from_and_its_handle_says_cancelled() {
    let (executor, drops) = (Executor::new().unwrap(), Drops::default());
    let handle = executor.handle();
    drop(executor);
    let mut here = handle.spawn(drops.pend());
    let (mut there, thread) = elsewhere(|| (handle.spawn(drops.pend()), thread::current().id()));
    assert_eq!(drops.take(), [thread::current().id(), thread]);
    for task in [&mut here, &mut there] {
        task.abort();
        assert!(task.is_finished());
        assert!(result_of(task).unwrap_err().is_cancelled());
    }
    assert_ne!(here.id(), there.id());
    // A drop that panics is the error, as in an executor.
    silence_expected_panics();
    let bomb = OnDrop::new(|| panic!("expected: drop"));
    let mut task = handle.spawn(async move { drop(bomb) });
    assert_eq!(result_of(&mut task).unwrap_err().to_string(), format!("task {} panicked: expected: drop", task.id()));
    assert_eq!(drops.count(), 1, "nothing is left");
}

#[test]
fn what_a_destructor_spawns_while_the_executor_shuts_down_is_cancelled() {
    let (executor, drops) = (Executor::new().unwrap(), Drops::default());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (handle, inside, theirs) = (executor.handle(), kept.clone(), drops.clone());
    let guard = OnDrop::new(move || {
        let here = handle.spawn(theirs.pend());
        here.abort();
        let there = elsewhere(|| handle.spawn(theirs.pend()));
        inside.lock().unwrap().extend([here, there]);
    });
    executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    drop(executor);
    assert_eq!(drops.take().len(), 2);
    for mut task in kept.lock().unwrap().drain(..) {
        assert!(result_of(&mut task).unwrap_err().is_cancelled());
    }
}

#[test]
fn a_handle_of_a_dead_executor_does_not_reach_the_next_with_its_number() {
    in_a_child("a_handle_of_a_dead_executor_does_not_reach_the_next_with_its_number", || {
        let (first, drops) = (Executor::new().unwrap(), Drops::default());
        let (number, handle) = (first.id(), first.handle());
        let mut old = handle.spawn(drops.pend());
        first.block_on(&mut ThreadDriver::new(), yield_now());
        drop(first);
        drops.take();

        let second = Executor::new().unwrap();
        assert_eq!(second.id(), number, "the number is used again");
        assert!(handle.is_closed() && !second.handle().is_closed());
        assert_ne!(handle, second.handle());
        let check = |old: &RemoteJoinHandle<()>| {
            let mut late = handle.spawn(drops.pend());
            assert_eq!(drops.take(), [thread::current().id()], "it is dropped at once");
            assert!(result_of(&mut late).unwrap_err().is_cancelled());
            late.abort();
            old.abort();
        };
        let new = second.handle().spawn(async {
            yield_now().await;
            "done"
        });
        check(&old);
        second.block_on(&mut ThreadDriver::new(), async {
            yield_now().await;
            check(&old);
            elsewhere(|| check(&old));
            assert_eq!(new.await.unwrap(), "done");
            assert!(result_of(&mut old).unwrap_err().is_cancelled());
        });
        assert_eq!(second.metrics().spawned, 1);
    });
}

#[test]
fn an_abort_finds_its_task_from_any_thread_and_before_it_has_arrived() {
    bounded(|| {
        let drops = Drops::default();
        run(async {
            let (handle, owner) = (Handle::current(), thread::current().id());
            // Spawned on one thread and aborted on another, which can be before the executor has come to it.
            let there = elsewhere(|| handle.spawn(drops.pend()));
            there.abort();
            let here = handle.spawn(drops.pend());
            elsewhere(|| here.abort());
            let twice = elsewhere(|| {
                let task = handle.spawn(drops.pend());
                elsewhere(|| task.abort());
                task
            });
            twice.abort();
            for task in [there, here, twice] {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            // After it has run.
            let tasks: Vec<_> = elsewhere(|| (0..3).map(|_| handle.spawn(drops.pend())).collect());
            yield_now().await;
            yield_now().await;
            assert_eq!(Metrics::current().alive, 3);
            tasks[0].abort();
            elsewhere(|| tasks[1].abort());
            tasks[2].abort();
            tasks[2].abort();
            for task in tasks {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            assert_eq!(drops.take(), [owner; 6]);
            assert_eq!(Metrics::current().alive, 0);
        });
    });
}

#[test]
fn what_is_aborted_before_its_first_poll_is_never_polled() {
    run(async {
        let (handle, polls) = (Handle::current(), Arc::new(AtomicUsize::new(0)));
        let task = || {
            let polls = polls.clone();
            async move { polls.fetch_add(1, Ordering::SeqCst) }
        };
        let (here, there) = (handle.spawn(task()), elsewhere(|| handle.spawn(task())));
        here.abort();
        there.abort();
        let third = elsewhere(|| {
            let third = handle.spawn(task());
            third.abort();
            third
        });
        for task in [here, there, third] {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!(polls.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn an_abort_that_comes_after_the_end_takes_nothing_away() {
    let executor = Executor::new().unwrap();
    let mut task = executor.handle().spawn(ready(5));
    executor.block_on(&mut ThreadDriver::new(), async {
        yield_now().await;
        task.abort();
        elsewhere(|| task.abort());
        yield_now().await;
        yield_now().await;
    });
    drop(executor);
    task.abort();
    assert_eq!(result_of(&mut task).unwrap(), 5, "the result outlives the executor");
    task.abort();
}

#[test]
fn the_result_is_awaited_wherever_its_owner_is() {
    bounded(|| {
        let ((give, given), (end, ended)) = (mpsc::channel(), oneshot::channel());
        let served = thread::spawn(move || {
            run(async {
                give.send((Handle::current(), thread::current().id())).unwrap();
                ended.await.unwrap();
            });
        });
        let (handle, owner) = given.recv().unwrap();
        let where_it_runs = || async {
            yield_now().await;
            thread::current().id()
        };
        // On another thread without an executor of ours, ...
        assert_eq!(futures::executor::block_on(handle.spawn(where_it_runs())).unwrap(), owner);
        // ... in a task of another executor, in its root, and beside others, ...
        run(async {
            let first = handle.spawn(where_it_runs());
            let joined = spawn(async move { first.await.unwrap() });
            let (second, third) = (handle.spawn(where_it_runs()), Handle::current().spawn(where_it_runs()));
            let (second, third) = futures::join!(second, third);
            assert_eq!((second.unwrap(), third.unwrap()), (owner, thread::current().id()));
            assert_eq!(joined.await.unwrap(), owner);
            assert!(handle.spawn(explode_quietly()).await.unwrap_err().is_panic());
        });
        // ... and in a task of its own.
        let inner = handle.spawn(async move { Handle::current().spawn(where_it_runs()).await.unwrap() });
        assert_eq!(futures::executor::block_on(inner).unwrap(), owner);
        end.send(()).unwrap();
        served.join().unwrap();
    });
}

async fn explode_quietly() {
    silence_expected_panics();
    explode().await
}

#[test]
fn polled_by_reference_it_loses_nothing_when_that_is_dropped_at_any_poll() {
    const TURNS: usize = 4;
    for dropped_at in 0..=TURNS {
        run(async {
            let mut task = Handle::current().spawn(async {
                for _ in 0..TURNS {
                    yield_now().await;
                }
                "the result"
            });
            for _ in 0..dropped_at {
                assert!(poll_with(&mut &mut task, Counter::new()).is_pending());
                yield_now().await;
            }
            assert_eq!((&mut task).await.unwrap(), "the result");
        });
    }
}

#[test]
fn only_the_last_waker_is_woken_and_once() {
    run(async {
        let (first, last) = (Counter::new(), Counter::new());
        let mut task = Handle::current().spawn(yield_now());
        for waker in [&first, &first, &last, &last] {
            assert!(poll_with(&mut task, waker.clone()).is_pending());
        }
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&last)), (1, 2));
        yield_now().await;
        yield_now().await;
        assert_eq!((first.count(), last.count(), Arc::strong_count(&last)), (0, 1, 1));
        task.await.unwrap();

        let mut task = Handle::current().spawn(pending::<()>());
        assert!(poll_with(&mut task, last.clone()).is_pending());
        drop(task);
        assert_eq!(Arc::strong_count(&last), 1, "it goes with the handle");
    });
}

/// A waker whose wake panics.
struct Faulty;

impl Wake for Faulty {
    fn wake(self: Arc<Self>) {
        panic!("expected: wake");
    }
}

#[test]
fn a_waker_that_panics_harms_neither_the_task_nor_its_result() {
    let reports = Reports::default();
    reports.during(|| {
        run(async {
            let mut task = Handle::current().spawn(ready(5));
            assert!(poll_with(&mut task, Arc::new(Faulty)).is_pending());
            yield_now().await;
            assert_eq!(result_of(&mut task).unwrap(), 5);
        });
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn it_gives_its_result_once() {
    let [mut task] = run(async {
        let mut task = Handle::current().spawn(ready(5));
        assert_eq!(format!("{task:?}"), format!("RemoteJoinHandle {{ id: Id({}), .. }}", task.id()));
        assert_eq!((&mut task).await.unwrap(), 5);
        [task]
    });
    for _ in 0..2 {
        let message = panic_of(|| poll_with(&mut task, Counter::new()));
        assert_eq!(message, "a RemoteJoinHandle is not polled after it has given its result");
    }
    assert!(task.is_finished());
    task.abort();
}

#[test]
fn a_task_runs_on_without_its_handle() {
    bounded(|| {
        run(async {
            let (handle, drops, ran) = (Handle::current(), Drops::default(), Arc::new(AtomicUsize::new(0)));
            let task = || {
                let (output, ran) = (drops.guard(), ran.clone());
                async move {
                    yield_now().await;
                    ran.fetch_add(1, Ordering::SeqCst);
                    output
                }
            };
            drop(handle.spawn(task()));
            elsewhere(|| drop(handle.spawn(task())));
            let (late, there) = (handle.spawn(task()), handle.spawn(task()));
            yield_now().await;
            drop(late);
            elsewhere(|| drop(there));
            while Metrics::current().alive > 0 {
                yield_now().await;
            }
            assert_eq!(ran.load(Ordering::SeqCst), 4);
            assert_eq!(drops.take(), [thread::current().id(); 4], "what nobody wants is dropped where it was made");

            // The result goes where it was sent.
            let finished = handle.spawn(task());
            yield_now().await;
            yield_now().await;
            assert!(finished.is_finished() && drops.take().is_empty());
            let thread = elsewhere(|| {
                drop(finished);
                thread::current().id()
            });
            assert_eq!((drops.take(), drops.count()), (vec![thread], 1));
        });
    });
}

#[test]
fn a_task_that_holds_its_own_handle_is_freed() {
    let drops = Drops::default();
    let executor = Executor::new().unwrap();
    let own = Arc::new(Mutex::new(None));
    let (theirs, rest) = (own.clone(), drops.pend());
    let task = executor.handle().spawn(async move {
        let _own: Option<RemoteJoinHandle<()>> = theirs.lock().unwrap().take();
        rest.await
    });
    *own.lock().unwrap() = Some(task);
    executor.block_on(&mut ThreadDriver::new(), async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(Arc::strong_count(&own), 2, "it has its handle, and keeps it");
    drop(executor);
    assert_eq!((Arc::strong_count(&own), drops.take().len(), drops.count()), (1, 1, 1));
}

#[test]
fn a_panic_that_nobody_takes_is_reported_once_from_either_side() {
    let reports = Reports::default();
    let mut ids = Vec::new();
    reports.during(|| {
        let executor = Executor::new().unwrap();
        let handle = executor.handle();
        let (kept, bomb) = executor.block_on(&mut ThreadDriver::new(), async {
            // The handle is dropped first: the executor's thread reports it.
            let task = handle.spawn(explode());
            ids.push(task.id());
            drop(task);
            yield_now().await;
            // The task ends first: whoever drops the handle reports it.
            let (here, there, kept) = (handle.spawn(explode()), handle.spawn(explode()), handle.spawn(explode()));
            ids.extend([here.id(), there.id()]);
            yield_now().await;
            drop(here);
            elsewhere(|| reports.during(|| drop(there)));
            // The panic is that of the drop.
            let guard = || OnDrop::new(|| panic!("expected: explosion"));
            let pend = |guard: OnDrop<_>| async move {
                let _guard = guard;
                pending::<()>().await
            };
            let aborted = handle.spawn(pend(guard()));
            ids.push(aborted.id());
            aborted.abort();
            drop(aborted);
            yield_now().await;
            let bomb = handle.spawn(pend(guard()));
            ids.extend([bomb.id(), kept.id()]);
            (kept, bomb)
        });
        drop(bomb);
        drop(executor);
        drop(kept);
        // Nor does one that nobody ever polled get lost.
        let guard = OnDrop::new(|| panic!("expected: explosion"));
        let late = handle.spawn(async move { drop(guard) });
        ids.push(late.id());
    });
    let expected: Vec<_> = ids.iter().map(|id| format!("task {id} panicked: expected: explosion")).collect();
    assert_eq!(reports.take(), expected);
}

#[test]
fn what_is_no_panic_or_was_taken_is_not_reported() {
    let (reports, drops) = (Reports::default(), Arc::new(AtomicUsize::new(0)));
    reports.during(|| {
        let executor = Executor::builder().unhandled_panic(UnhandledPanic::Ignore).build().unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            let handle = Handle::current();
            assert!(handle.spawn(explode()).await.unwrap_err().is_panic());
            let mut task = handle.spawn(explode());
            yield_now().await;
            assert!(result_of(&mut task).unwrap_err().is_panic());
            drop(task);
            drop(handle.spawn(ready(())));
            let aborted = handle.spawn(pending::<()>());
            aborted.abort();
            drop(aborted);
            drop(handle.spawn(pending::<()>()));
            yield_now().await;
        });
    });
    reports.during(|| {
        // An output that nobody wants is not the task's, whatever its drop does.
        let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            let output = || {
                let drops = drops.clone();
                OnDrop::new(move || {
                    drops.fetch_add(1, Ordering::SeqCst);
                    panic!("expected: output");
                })
            };
            let handle = Handle::current();
            drop(handle.spawn(ready(output())));
            let late = handle.spawn(ready(output()));
            yield_now().await;
            drop(late);
            yield_now().await;
            assert_eq!(spawn(ready(7)).await.unwrap(), 7, "the executor has not shut down");
        });
    });
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn numbers_count_what_came_from_other_threads() {
    in_a_child("numbers_count_what_came_from_other_threads", || {
        let executor = Executor::new().unwrap();
        let handle = executor.handle();
        let ids =
            [handle.spawn(ready(())).id(), elsewhere(|| handle.spawn(ready(())).id()), executor.spawn(ready(())).id()];
        assert_eq!(ids.map(|id| id.to_string()), ["0.r1", "0.r2", "0.2"]);
        assert_eq!(format!("{:?}", ids[0]), "Id(0.r1)");
        let [mut inside] =
            executor.block_on(&mut ThreadDriver::new(), async { [handle.spawn(async { panic!("expected") })] });
        assert_eq!(inside.id().to_string(), "0.r3");
        silence_expected_panics();
        executor.block_on(&mut ThreadDriver::new(), yield_now());
        assert_eq!(result_of(&mut inside).unwrap_err().to_string(), "task 0.r3 panicked: expected");
        let other = Executor::new().unwrap();
        assert_eq!(other.handle().spawn(ready(())).id().to_string(), "1.r4", "the process counts");
    });
}

#[test]
fn numbers_are_unique() {
    const THREADS: usize = 4;
    const TASKS: usize = 1_000;
    bounded(|| {
        let executors = [(); 2].map(|()| Executor::new().unwrap());
        let handles = executors.each_ref().map(Executor::handle);
        let spawn_all = || (0..TASKS).map(|task| handles[task % 2].spawn(ready(())).id()).collect::<Vec<_>>();
        let mut ids: HashSet<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(spawn_all)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        ids.extend((0..TASKS).map(|_| executors[0].spawn(ready(())).id()));
        assert_eq!(ids.len(), (THREADS + 1) * TASKS);
    });
}

#[test]
fn names_and_places_are_those_of_the_task() {
    silence_expected_panics();
    run(async {
        let handle = Handle::current();
        let builder = task::Builder::new().name("crawler");
        let line = line!() + 1;
        let here = builder.clone().spawn_on(explode(), &handle);
        let there = elsewhere(|| builder.spawn_on(explode(), &handle));
        for (task, is_here) in [(here, true), (there, false)] {
            let id = task.id();
            let error = task.await.unwrap_err();
            assert_eq!(error.to_string(), format!("task {id} 'crawler' panicked: expected: explosion"));
            let line = if is_here { line } else { line + 1 };
            let expected = format!("JoinError({error}; spawned at {}:{line}:", file!());
            assert!(format!("{error:?}").starts_with(&expected), "{error:?}");
        }
        let aborted = task::Builder::new().name("idler").spawn_on(pending::<()>(), &handle);
        aborted.abort();
        let id = aborted.id();
        assert_eq!(aborted.await.unwrap_err().to_string(), format!("task {id} 'idler' was cancelled"));
    });
}

#[test]
fn every_task_of_a_storm_ends_once_while_its_executor_runs_and_goes() {
    const THREADS: usize = 4;
    const TASKS: usize = 200;
    bounded(|| {
        for _ in 0..20 {
            let (drops, ran) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let executor = Executor::new().unwrap();
            let (handle, (started, starts)) = (executor.handle(), mpsc::channel());
            let spawn_all = || {
                let (drops, ran, started) = (drops.clone(), ran.clone(), started.clone());
                move || {
                    let tasks: Vec<_> = (0..TASKS)
                        .map(|number| {
                            let _ = started.send(());
                            let (guard, ran) = (drops.guard(), ran.clone());
                            let task = handle.spawn(async move {
                                yield_now().await;
                                drop(guard);
                                ran.fetch_add(1, Ordering::SeqCst);
                            });
                            if number % 3 == 0 {
                                task.abort();
                            }
                            task
                        })
                        .collect();
                    let results = tasks.into_iter().map(futures::executor::block_on);
                    results.filter(|result| result.as_ref().map_err(JoinError::is_cancelled) == Ok(&())).count()
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(spawn_all())).collect();
            executor.block_on(&mut ThreadDriver::new(), async {
                for () in starts.iter().take(TASKS) {
                    yield_now().await;
                }
            });
            drop(executor);
            let done: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(done, ran.load(Ordering::SeqCst), "who is told that it ran, ran");
            assert_eq!((drops.take().len(), drops.count()), (THREADS * TASKS, 1), "each is dropped, once");
        }
    });
}

#[test]
fn what_came_from_another_thread_may_make_and_spawn_what_cannot_be_sent() {
    bounded(|| {
        run(async {
            let (handle, (send, receive)) = (Handle::current(), oneshot::channel());
            let task = elsewhere(|| {
                handle.spawn(async move {
                    let local = Rc::new(Cell::new(5));
                    let theirs = local.clone();
                    spawn(async move { send.send(theirs.get()).unwrap() });
                })
            });
            task.await.unwrap();
            assert_eq!(receive.await, Ok(5));
        });
    });
}

/// A future that cannot be sent, and says where it is polled first.
fn local_task() -> impl Future<Output = (ThreadId, i32)> {
    let (made_on, local) = (thread::current().id(), Rc::new(Cell::new(5)));
    let theirs = local.clone();
    async move {
        let task = spawn(async move { theirs.set(theirs.get() + 1) });
        task.await.unwrap();
        assert_eq!(thread::current().id(), made_on);
        (made_on, local.get())
    }
}

#[test]
fn what_cannot_be_sent_is_made_on_the_executors_thread() {
    bounded(|| {
        run(async {
            let (handle, owner) = (Handle::current(), thread::current().id());
            for task in [handle.spawn_pinned(local_task), elsewhere(|| handle.spawn_pinned(local_task))] {
                assert_eq!(task.await.unwrap(), (owner, 6));
            }
        });
    });
}

#[test]
fn it_is_made_in_the_first_poll_and_not_in_the_call() {
    run(async {
        let (handle, made) = (Handle::current(), Arc::new(AtomicUsize::new(0)));
        let create = || {
            let made = made.clone();
            move || {
                made.fetch_add(1, Ordering::SeqCst);
                yield_now()
            }
        };
        let (here, there) = (handle.spawn_pinned(create()), elsewhere(|| handle.spawn_pinned(create())));
        let (aborted_here, aborted_there) =
            (handle.spawn_pinned(create()), elsewhere(|| handle.spawn_pinned(create())));
        aborted_here.abort();
        aborted_there.abort();
        assert_eq!(made.load(Ordering::SeqCst), 0);
        here.await.unwrap();
        there.await.unwrap();
        for task in [aborted_here, aborted_there] {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!((made.load(Ordering::SeqCst), Arc::strong_count(&made)), (2, 1), "who is aborted is not made");
    });
}

/// What `drops` notes the drop of, and what that makes pends for ever on top of it.
fn pinned(drops: &Drops) -> impl FnOnce() -> futures::future::LocalBoxFuture<'static, ()> + Send + 'static {
    let guard = drops.guard();
    move || {
        let local = Rc::new(guard);
        Box::pin(async move {
            let _local = local;
            pending().await
        })
    }
}

#[test]
fn what_was_not_made_is_dropped_as_a_task_would_be() {
    let (executor, drops) = (Executor::new().unwrap(), Drops::default());
    let (handle, owner) = (executor.handle(), thread::current().id());
    let (ran, aborted) = executor.block_on(&mut ThreadDriver::new(), async {
        let ran = [handle.spawn_pinned(pinned(&drops)), elsewhere(|| handle.spawn_pinned(pinned(&drops)))];
        let aborted = elsewhere(|| handle.spawn_pinned(pinned(&drops)));
        yield_now().await;
        yield_now().await;
        assert_eq!((Metrics::current().alive, drops.take().len()), (3, 0));
        elsewhere(|| aborted.abort());
        (ran, aborted.await)
    });
    assert!(aborted.unwrap_err().is_cancelled());
    assert_eq!(drops.take(), [owner]);

    // What the executor had not come to goes with it, on its thread.
    let unread = elsewhere(|| handle.spawn_pinned(pinned(&drops)));
    drop(executor);
    assert_eq!(drops.take(), [owner; 3]);
    for mut task in ran.into_iter().chain([unread]) {
        assert!(result_of(&mut task).unwrap_err().is_cancelled());
    }

    // What comes too late is dropped where it came from.
    let (mut late, thread) = elsewhere(|| (handle.spawn_pinned(pinned(&drops)), thread::current().id()));
    assert!(late.is_finished());
    let error = result_of(&mut late).unwrap_err();
    assert_eq!((error.is_cancelled(), error.to_string()), (true, format!("task {} was cancelled", late.id())));
    assert_eq!((drops.take(), drops.count()), (vec![thread], 1), "nothing is left");
}

#[test]
fn a_panic_of_what_makes_the_task_is_the_tasks() {
    silence_expected_panics();
    let executor = Executor::new().unwrap();
    let handle = executor.handle();
    executor.block_on(&mut ThreadDriver::new(), async {
        let explosion = || -> std::future::Ready<()> { panic!("expected: explosion") };
        let line = line!() + 1;
        let named = task::Builder::new().name("crawler").spawn_pinned_on(explosion, &handle);
        let id = named.id();
        let error = named.await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.to_string(), format!("task {id} 'crawler' panicked: expected: explosion"));
        let expected = format!("JoinError({error}; spawned at {}:{line}:", file!());
        assert!(format!("{error:?}").starts_with(&expected), "{error:?}");
        let there = elsewhere(|| handle.spawn_pinned(explosion));
        assert!(there.await.unwrap_err().is_panic());
        assert_eq!(spawn(ready(7)).await.unwrap(), 7, "the executor runs on");
    });

    // So is one of its drop, where it was never called.
    let bomb = || {
        let bomb = OnDrop::new(|| panic!("expected: drop"));
        move || {
            drop(bomb);
            ready(())
        }
    };
    let mut unread = elsewhere(|| handle.spawn_pinned(bomb()));
    drop(executor);
    let mut late = handle.spawn_pinned(bomb());
    for task in [&mut unread, &mut late] {
        let expected = format!("task {} panicked: expected: drop", task.id());
        assert_eq!(result_of(task).unwrap_err().to_string(), expected);
    }

    let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    let task = executor.handle().spawn_pinned(|| -> std::future::Ready<()> { panic!("expected: explosion") });
    let message = panic_of(|| executor.block_on(&mut ThreadDriver::new(), pending::<()>()));
    assert!(message.contains("expected: explosion"), "{message}");
    drop(task);
}
