//! Sets of tasks: in which order, how many, who is told, and what becomes of those that nobody waits for.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::sleep;
use pollywog_executor::{AbortHandle, Executor, JoinSet, Metrics, UnhandledPanic, spawn, task, task::yield_now};
use pollywog_tests::executor::{
    Counter, OnDrop, Probe, bounded, in_a_child, panic_of, poll_with, run, silence_expected_panics,
};
use tracing::field::{Field, Visit};
use tracing::span;

/// Notes what is reported of panics that nobody observed.
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

/// What was reported while `test` ran.
fn reported(test: impl FnOnce()) -> Vec<String> {
    silence_expected_panics();
    let reports = Arc::new(Mutex::new(Vec::new()));
    pollywog_tests::log::ask_each_time();
    tracing::subscriber::with_default(Reports(reports.clone()), test);
    std::mem::take(&mut *reports.lock().unwrap())
}

async fn explode() {
    panic!("expected: explosion")
}

/// What a task says with its drop, in the order of the drops.
type Drops = Rc<RefCell<Vec<u32>>>;

/// Pends for ever, and notes `number` when it is dropped.
fn pend(drops: &Drops, number: u32) -> impl Future<Output = u32> + 'static {
    let drops = drops.clone();
    let guard = OnDrop::new(move || drops.borrow_mut().push(number));
    async move {
        let _guard = guard;
        pending().await
    }
}

/// Done after so many turns.
async fn after(turns: usize) -> usize {
    for _ in 0..turns {
        yield_now().await;
    }
    turns
}

#[test]
fn results_come_in_the_order_in_which_the_tasks_finish() {
    run(async {
        let mut set = JoinSet::new();
        let ids = [3, 1, 4, 2].map(|turns| set.spawn(after(turns)).id());
        let mut results = Vec::new();
        while let Some((id, result)) = set.join_next_with_id().await {
            results.push((id, result.unwrap()));
        }
        assert_eq!(results, [(ids[1], 1), (ids[3], 2), (ids[0], 3), (ids[2], 4)]);
    });
}

#[test]
fn one_that_panics_and_one_that_is_aborted_have_their_places_in_the_order() {
    silence_expected_panics();
    run(async {
        let mut set = JoinSet::new();
        let late = set.spawn(after(3)).id();
        let aborted = set.spawn(after(usize::MAX));
        let panicked = set.spawn(async {
            yield_now().await;
            panic!("expected: explosion")
        });
        aborted.abort();
        let (id, result) = set.join_next_with_id().await.unwrap();
        let error = result.unwrap_err();
        assert_eq!((id, error.id(), error.is_cancelled()), (aborted.id(), aborted.id(), true));
        let (id, result) = set.join_next_with_id().await.unwrap();
        assert_eq!(id, panicked.id());
        assert_eq!(result.unwrap_err().to_string(), format!("task {id} panicked: expected: explosion"));
        let (id, result) = set.join_next_with_id().await.unwrap();
        assert_eq!((id, result.unwrap()), (late, 3));
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn a_task_is_counted_until_its_result_is_taken() {
    run(async {
        let mut set = JoinSet::default();
        assert_eq!((set.len(), set.is_empty()), (0, true));
        assert!(set.join_next().await.is_none(), "an empty set is ready");
        set.spawn(ready(1));
        set.spawn(after(2));
        assert_eq!((set.len(), set.is_empty()), (2, false));
        yield_now().await;
        assert_eq!(set.len(), 2, "finished, but not taken");
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert_eq!(set.len(), 1);
        let aborted = set.spawn(pending());
        aborted.abort();
        assert_eq!(set.len(), 2);
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
        assert_eq!((set.len(), set.is_empty()), (0, true));
        assert!(set.join_next().await.is_none());
        set.spawn(ready(3));
        assert_eq!(set.join_next().await.unwrap().unwrap(), 3, "it is used again");
        assert_eq!(format!("{set:?}"), "JoinSet { len: 0, .. }");
    });
}

#[test]
fn try_join_next_takes_only_what_is_there() {
    run(async {
        let mut set = JoinSet::new();
        assert!(set.try_join_next().is_none());
        set.spawn(ready(1));
        set.spawn(after(3));
        assert!(set.try_join_next().is_none(), "neither has run");
        yield_now().await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
        assert!(set.try_join_next().is_none());
        assert_eq!(set.len(), 1);
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(set.try_join_next().unwrap().unwrap(), 3);
        assert!(set.is_empty() && set.try_join_next().is_none());
    });
}

#[test]
fn join_next_dropped_at_any_poll_loses_nothing() {
    const TURNS: usize = 4;
    for dropped_at in 0..=TURNS + 2 {
        bounded(move || {
            run(async {
                let mut set = JoinSet::new();
                let id = set.spawn(after(TURNS)).id();
                let mut taken = None;
                for poll in 0..dropped_at {
                    // A new future for each poll, with a waker that is not heard again.
                    let mut next = Box::pin(set.join_next_with_id());
                    if let Poll::Ready(next) = poll_with(&mut next, Counter::new()) {
                        taken = next;
                        assert!(poll > TURNS, "after {poll} turns");
                        break;
                    }
                    yield_now().await;
                }
                let (taken, result) = match taken {
                    Some(taken) => taken,
                    None => set.join_next_with_id().await.unwrap(),
                };
                assert_eq!((taken, result.unwrap()), (id, TURNS));
                assert!(set.join_next().await.is_none());
            });
        });
    }
}

#[test]
fn of_all_wakers_the_latest_is_woken_and_once_for_each_time_it_waits() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(after(1));
        set.spawn(after(1));
        let (first, last) = (Counter::new(), Counter::new());
        let mut poll =
            |waker: &Arc<Counter>| set.poll_join_next_with_id(&mut Context::from_waker(&Waker::from(waker.clone())));
        assert!(poll(&first).is_pending() && poll(&last).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "its place was taken");
        yield_now().await;
        yield_now().await;
        assert_eq!((first.count(), last.count()), (0, 1), "two results, and one wake");
        assert!(poll(&last).is_ready() && poll(&last).is_ready());
        assert_eq!((last.count(), Arc::strong_count(&last)), (1, 1));
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
    let reports = reported(|| {
        run(async {
            let mut set = JoinSet::new();
            set.spawn(ready(5));
            assert!(poll_with(&mut Box::pin(set.join_next()), Arc::new(Faulty)).is_pending());
            yield_now().await;
            assert_eq!(set.try_join_next().unwrap().unwrap(), 5);
        });
    });
    assert_eq!(reports, [""; 0]);
}

#[test]
fn abort_all_keeps_each_in_the_set_until_it_is_taken() {
    run(async {
        let (mut set, drops) = (JoinSet::new(), Drops::default());
        set.spawn(ready(7));
        yield_now().await;
        let ids = [1, 2, 3].map(|number| set.spawn(pend(&drops, number)).id());
        set.abort_all();
        set.abort_all();
        assert_eq!((set.len(), &drops.borrow()[..]), (4, &[][..]), "none is dropped inside the call");
        assert_eq!(set.join_next().await.unwrap().unwrap(), 7, "what had finished keeps its result");
        for id in ids {
            let (next, result) = set.join_next_with_id().await.unwrap();
            assert_eq!((next, result.unwrap_err().is_cancelled()), (id, true));
        }
        assert_eq!(drops.borrow()[..], [1, 2, 3], "in the order of spawning");
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn shutdown_is_over_when_each_future_is_dropped() {
    run(async {
        let (mut set, drops) = (JoinSet::new(), Drops::default());
        for number in 0..5 {
            set.spawn(pend(&drops, number));
            if number == 2 {
                yield_now().await; // these three have run, the others have not
            }
        }
        set.shutdown().await;
        drops.borrow_mut().sort();
        assert_eq!(drops.borrow()[..], [0, 1, 2, 3, 4]);
        assert!(set.is_empty() && set.try_join_next().is_none());
        assert_eq!(Metrics::current().alive, 0);
        set.spawn(ready(6));
        assert_eq!(set.join_next().await.unwrap().unwrap(), 6, "it is used again");
    });
}

#[test]
fn shutdown_waits_for_one_that_is_aborted_while_it_runs() {
    run(async {
        let set = Rc::new(RefCell::new(JoinSet::new()));
        let (inside, drops) = (set.clone(), Drops::default());
        let guard = pend(&drops, 1);
        // It begins to shut its own set down, and is dropped at the end of the poll in which it did.
        set.borrow_mut().spawn(async move {
            assert!(poll_with(&mut Box::pin(inside.borrow_mut().shutdown()), Counter::new()).is_pending());
            guard.await
        });
        yield_now().await;
        let mut set = set.take();
        set.shutdown().await;
        assert_eq!(drops.borrow()[..], [1]);
    });
}

#[test]
fn shutdown_dropped_at_any_poll_leaves_the_rest_aborted_in_the_set() {
    const TASKS: u32 = 3;
    for dropped_at in 0..5 {
        run(async move {
            let (mut set, drops) = (JoinSet::new(), Drops::default());
            for number in 0..TASKS {
                set.spawn(pend(&drops, number));
            }
            let mut shutdown = Box::pin(set.shutdown());
            let mut is_over = false;
            for _ in 0..dropped_at {
                is_over = is_over || poll_with(&mut shutdown, Counter::new()).is_ready();
                yield_now().await;
            }
            drop(shutdown);
            assert_eq!(is_over, dropped_at > 1);
            if dropped_at == 0 {
                assert_eq!(set.len(), TASKS as usize, "it had not begun");
                set.abort_all();
            }
            while let Some(result) = set.join_next().await {
                assert!(result.unwrap_err().is_cancelled());
            }
            assert_eq!(drops.borrow().len(), TASKS as usize);
        });
    }
}

#[test]
fn what_is_detached_runs_on_and_is_not_heard_of_again() {
    bounded(|| {
        run(async {
            let (mut set, ran) = (JoinSet::new(), Rc::new(Cell::new(0)));
            let task = |turns| {
                let ran = ran.clone();
                async move {
                    after(turns).await;
                    ran.set(ran.get() + 1);
                    turns
                }
            };
            set.spawn(task(0));
            set.spawn(task(3));
            let aborted = set.spawn(task(3));
            let waits = Counter::new();
            yield_now().await;
            assert!(set.try_join_next().is_some());
            assert!(poll_with(&mut Box::pin(set.join_next()), waits.clone()).is_pending());
            set.detach_all();
            assert_eq!((set.len(), ran.get()), (0, 1));
            assert_eq!(Arc::strong_count(&waits), 1, "nobody is left to wake");
            assert!(set.join_next().await.is_none());

            set.spawn(task(5));
            aborted.abort();
            set.abort_all();
            set.detach_all();
            set.spawn(task(6));
            assert_eq!(set.join_next().await.unwrap().unwrap(), 6, "and not one from before");
            assert!(set.join_next().await.is_none());
            assert_eq!(ran.get(), 3, "the first, the one that was detached, the last");
            assert_eq!((waits.count(), Metrics::current().alive), (0, 0));
        });
    });
}

#[test]
fn dropping_the_set_aborts_its_tasks() {
    run(async {
        let (mut set, drops) = (JoinSet::new(), Drops::default());
        for number in 0..3 {
            set.spawn(pend(&drops, number));
        }
        let output = drops.clone();
        let mut outputs = JoinSet::new();
        outputs.spawn(async move { OnDrop::new(move || output.borrow_mut().push(10)) });
        yield_now().await;
        drop(outputs);
        assert_eq!(drops.take(), [10], "the result that was there is dropped with it");
        drop(set);
        assert!(drops.borrow().is_empty(), "no task is dropped inside the drop");
        yield_now().await;
        assert_eq!(drops.borrow()[..], [0, 1, 2], "in the order of spawning");
        assert_eq!(Metrics::current().alive, 0);
    });
}

#[test]
fn a_set_dropped_by_its_own_task_and_one_inside_its_own_task_are_freed() {
    let drops = Drops::default();
    run(async {
        let set = Rc::new(RefCell::new(Some(JoinSet::new())));
        let (inside, rest) = (set.clone(), pend(&drops, 1));
        set.borrow_mut().as_mut().unwrap().spawn(async move {
            drop(inside.take());
            rest.await
        });
        yield_now().await;
        yield_now().await;
        assert_eq!((drops.take(), Rc::strong_count(&set)), (vec![1], 1));

        let (give, given) = oneshot::channel();
        let mut set = JoinSet::new();
        let rest = pend(&drops, 2);
        set.spawn(async move {
            let _set: JoinSet<u32> = given.await.unwrap();
            rest.await
        });
        give.send(set).unwrap();
        yield_now().await;
        assert!(drops.borrow().is_empty());
    });
    assert_eq!(drops.borrow()[..], [2], "it goes with the executor");
}

#[test]
fn a_panic_that_nobody_takes_is_reported_once() {
    let mut ids = Vec::new();
    let reports = reported(|| {
        let executor = Executor::new().unwrap();
        let kept = executor.block_on(&mut ThreadDriver::new(), async {
            // Finished when the set is dropped, detached, shut down.
            for end in [drop, |mut set: JoinSet<()>| set.detach_all()] {
                let mut set = JoinSet::new();
                ids.push(set.spawn(explode()).id());
                yield_now().await;
                end(set);
            }
            let mut set = JoinSet::new();
            ids.push(set.spawn(explode()).id());
            yield_now().await;
            set.shutdown().await;
            // Not finished when it is detached.
            ids.push(set.spawn(explode()).id());
            set.detach_all();
            yield_now().await;
            // The panic is that of the drop, when the set is gone.
            let guard = OnDrop::new(|| panic!("expected: explosion"));
            let task = async move {
                let _guard = guard;
                pending().await
            };
            ids.push(set.spawn(task).id());
            yield_now().await;
            drop(set);
            yield_now().await;
            let mut kept = JoinSet::new();
            ids.push(kept.spawn(explode()).id());
            yield_now().await;
            kept
        });
        drop(executor);
        drop(kept);
    });
    let expected: Vec<_> = ids.iter().map(|id| format!("task {id} panicked: expected: explosion")).collect();
    assert_eq!(reports, expected);
}

#[test]
fn what_is_no_panic_or_was_taken_is_not_reported() {
    let reports = reported(|| {
        run(async {
            let mut set = JoinSet::new();
            set.spawn(explode());
            assert!(set.join_next().await.unwrap().unwrap_err().is_panic());
            set.spawn(explode());
            yield_now().await;
            assert!(set.try_join_next().unwrap().unwrap_err().is_panic());
            set.spawn(ready(()));
            set.spawn(pending());
            yield_now().await;
            set.shutdown().await;
            set.spawn(ready(()));
            set.spawn(pending());
            yield_now().await;
            drop(set);
            yield_now().await;
        });
    });
    assert_eq!(reports, [""; 0]);
}

#[test]
fn the_panic_of_an_output_that_nobody_wants_is_not_the_task_s() {
    let drops = Rc::new(Cell::new(0));
    let output = || {
        let drops = drops.clone();
        OnDrop::new(move || {
            drops.set(drops.get() + 1);
            panic!("expected: output");
        })
    };
    let reports = reported(|| {
        let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            let (mut set, detached) = (JoinSet::new(), output());
            set.spawn(async move {
                after(1).await;
                detached
            });
            set.detach_all();
            yield_now().await;
            yield_now().await;
            assert_eq!(drops.get(), 1);

            let own = Rc::new(RefCell::new(JoinSet::new()));
            let (inside, unwanted) = (own.clone(), output());
            own.borrow_mut().spawn(async move {
                drop(inside.take());
                unwanted
            });
            yield_now().await;
            yield_now().await;
            assert_eq!((drops.get(), Metrics::current().alive), (2, 0));
            assert_eq!(spawn(ready(7)).await.unwrap(), 7, "the executor has not shut down");
        });
    });
    assert_eq!(reports, [""; 0]);
}

#[test]
fn outputs_that_panic_when_nobody_takes_them_are_all_dropped() {
    // In a child, since a second panic while the first unwinds would end the process.
    in_a_child("outputs_that_panic_when_nobody_takes_them_are_all_dropped", || {
        silence_expected_panics();
        let drops = Rc::new(Cell::new(0));
        let fill = || {
            let mut set = JoinSet::new();
            for _ in 0..3 {
                let drops = drops.clone();
                let output = OnDrop::new(move || {
                    drops.set(drops.get() + 1);
                    panic!("expected: output");
                });
                set.spawn(ready(output));
            }
            set
        };
        run(async {
            let (dropped, mut detached, mut shut_down) = (fill(), fill(), fill());
            yield_now().await;
            drop(dropped);
            assert_eq!(drops.get(), 3);
            detached.detach_all();
            assert_eq!(drops.get(), 6);
            shut_down.shutdown().await;
            assert_eq!(drops.get(), 9);
        });
    });
}

#[test]
fn join_all_gives_the_results_in_the_order_of_the_ends() {
    run(async {
        let mut set = JoinSet::new();
        for turns in [2, 0, 3, 1] {
            set.spawn(after(turns));
        }
        assert_eq!(set.join_all().await, [0, 1, 2, 3]);
        assert_eq!(JoinSet::<()>::new().join_all().await, []);
    });
}

#[test]
fn join_all_panics_with_the_first_panic_and_aborts_the_others() {
    silence_expected_panics();
    let drops = Drops::default();
    let message = panic_of(|| {
        run(async {
            let mut set = JoinSet::new();
            set.spawn(pend(&drops, 1));
            set.spawn(async {
                yield_now().await;
                panic!("expected: the first");
            });
            set.spawn(async {
                after(2).await;
                panic!("expected: the second");
            });
            let others = drops.clone();
            let joined = spawn(set.join_all());
            let error = joined.await.unwrap_err();
            yield_now().await;
            assert_eq!(others.borrow()[..], [1]);
            assert_eq!(Metrics::current().alive, 0);
            std::panic::resume_unwind(error.into_panic());
        })
    });
    assert_eq!(message, "expected: the first");
}

#[test]
fn join_all_panics_when_one_was_aborted() {
    run(async {
        let mut set = JoinSet::new();
        let aborted = set.spawn(pending::<()>());
        let id = aborted.id();
        aborted.abort();
        yield_now().await;
        let mut joined = Box::pin(set.join_all());
        assert_eq!(panic_of(|| poll_with(&mut joined, Counter::new())), format!("task {id} was cancelled"));
    });
}

#[test]
fn what_is_spawned_while_the_executor_shuts_down_is_cancelled() {
    let executor = Executor::new().unwrap();
    let (set, drops) = (Rc::new(RefCell::new(JoinSet::new())), Drops::default());
    let (inside, theirs) = (set.clone(), drops.clone());
    let guard = OnDrop::new(move || {
        let mut set = inside.borrow_mut();
        set.spawn(pend(&theirs, 1));
        assert_eq!(set.len(), 1);
        let named = task::Builder::new().name("the late one").spawn_into(pend(&theirs, 2), &mut set);
        named.abort();
        assert_eq!(set.len(), 2);
    });
    executor.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    executor.block_on(&mut ThreadDriver::new(), yield_now());
    drop(executor);
    let mut set = set.take();
    drops.borrow_mut().sort();
    assert_eq!((&drops.borrow()[..], set.len()), (&[1, 2][..], 2));
    for _ in 0..2 {
        let (id, result) = futures::executor::block_on(set.join_next_with_id()).unwrap();
        let error = result.unwrap_err();
        assert!(error.is_cancelled() && error.id() == id);
    }
    assert!(set.is_empty());
}

#[test]
fn names_and_places_are_those_of_the_task() {
    silence_expected_panics();
    run(async {
        let mut set = JoinSet::new();
        let line = line!() + 1;
        let named = task::Builder::new().name("crawler").spawn_into(explode(), &mut set);
        let id = named.id();
        let aborted = task::Builder::new().name("idler").spawn_into(pending(), &mut set);
        aborted.abort();
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("task {id} 'crawler' panicked: expected: explosion"));
        let expected = format!("JoinError({error}; spawned at {}:{line}:", file!());
        assert!(format!("{error:?}").starts_with(&expected), "{error:?}");
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("task {} 'idler' was cancelled", aborted.id()));
    });
}

#[test]
fn a_loop_over_ten_thousand_that_are_finished_lets_others_in() {
    const TASKS: usize = 10_000;
    /// The budget of a poll.
    const AT_ONCE: usize = 128;
    bounded(|| {
        run(async {
            let mut set = JoinSet::new();
            for number in 0..TASKS {
                set.spawn(ready(number));
            }
            while Metrics::current().alive > 0 {
                yield_now().await;
            }
            let (taken, longest, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let (seen, measured, end) = (taken.clone(), longest.clone(), over.clone());
            let bystander = spawn(async move {
                let mut before = 0;
                while !end.get() {
                    yield_now().await;
                    measured.set(measured.get().max(seen.get() - before));
                    before = seen.get();
                }
            });
            yield_now().await;
            let timer = spawn(sleep(Duration::ZERO));
            let mut expected = 0..TASKS;
            while let Some(result) = set.join_next().await {
                assert_eq!(Some(result.unwrap()), expected.next());
                taken.set(taken.get() + 1);
                assert!(taken.get() <= 4 * AT_ONCE || timer.is_finished(), "a timer waits for the loop");
            }
            over.set(true);
            bystander.await.unwrap();
            assert_eq!((taken.get(), longest.get()), (TASKS, AT_ONCE));
        });
    });
}

#[test]
fn a_set_outlives_its_executor_with_its_results() {
    let executor = Executor::new().unwrap();
    let drops = Drops::default();
    let mut set = executor.block_on(&mut ThreadDriver::new(), async {
        let mut set = JoinSet::new();
        set.spawn(ready(5));
        set.spawn(pend(&drops, 1));
        yield_now().await;
        set.spawn(pend(&drops, 2)); // is never polled
        set
    });
    let waits = Counter::new();
    assert_eq!(futures::executor::block_on(set.join_next()).unwrap().unwrap(), 5);
    assert!(poll_with(&mut Box::pin(set.join_next()), waits.clone()).is_pending());
    drop(executor);
    drops.borrow_mut().sort();
    assert_eq!((&drops.borrow()[..], waits.count()), (&[1, 2][..], 1));
    set.abort_all(); // aborts nobody
    assert_eq!(set.len(), 2);
    run(async move {
        // In another executor, which may have the number of the first.
        let bystander = spawn(after(3));
        set.abort_all();
        for _ in 0..2 {
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        }
        assert!(set.join_next().await.is_none());
        set.spawn(ready(6));
        assert_eq!(set.join_next().await.unwrap().unwrap(), 6, "it is used again, here");
        set.spawn(pending());
        drop(set);
        assert_eq!(bystander.await.unwrap(), 3);
    });
}

#[test]
fn each_task_runs_on_the_executor_that_ran_when_it_was_spawned() {
    let [first, second] = [(); 2].map(|()| Executor::new().unwrap());
    let mut set = JoinSet::new();
    let probes = [(); 2].map(|()| Rc::new(Probe::default()));
    for (executor, probe) in [&first, &second].into_iter().zip(&probes) {
        let number = executor.id();
        let task = probe.task();
        executor.block_on(&mut ThreadDriver::new(), async {
            set.spawn(async move {
                task.await;
                number
            });
            yield_now().await;
        });
    }
    // The second awaits the task of the first, which runs in between.
    probes[1].done.set(true);
    probes[1].waker().wake();
    let done = second.block_on(&mut ThreadDriver::new(), set.join_next());
    assert_eq!(done.unwrap().unwrap(), second.id());
    let waits = Counter::new();
    second.block_on(&mut ThreadDriver::new(), async {
        assert!(poll_with(&mut Box::pin(set.join_next()), waits.clone()).is_pending());
    });
    probes[0].done.set(true);
    probes[0].waker().wake();
    first.block_on(&mut ThreadDriver::new(), yield_now());
    assert_eq!(waits.count(), 1);
    let done = second.block_on(&mut ThreadDriver::new(), set.join_next());
    assert_eq!(done.unwrap().unwrap(), first.id());
    assert_eq!(probes.map(|probe| probe.polls.get()), [2, 2]);
}

#[test]
fn a_task_is_aborted_from_another_thread_and_the_set_is_told() {
    bounded(|| {
        run(async {
            let (mut set, drops) = (JoinSet::new(), Drops::default());
            let (stays, goes) = (set.spawn(after(5)), set.spawn(async { pending().await }));
            set.spawn(async { after(5).await + 1 });
            let abort = goes.clone();
            let thread = thread::spawn(move || abort.abort());
            let (id, result) = set.join_next_with_id().await.unwrap();
            thread.join().unwrap();
            let mut results = vec![(id, result.map_err(|error| error.is_cancelled()))];
            while let Some((id, result)) = set.join_next_with_id().await {
                results.push((id, result.map_err(|error| error.is_cancelled())));
            }
            assert!(results.contains(&(goes.id(), Err(true))) && results.contains(&(stays.id(), Ok(5))));
            assert_eq!((results.len(), drops.borrow().len()), (3, 0));
        });
    });
}

#[test]
fn outside_an_executor_nothing_is_spawned() {
    let expected = "outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    let mut set = JoinSet::new();
    assert_eq!(panic_of(|| set.spawn(ready(1))), format!("`JoinSet::spawn` {expected}"));
    assert_eq!(
        panic_of(|| task::Builder::new().spawn_into(ready(1), &mut set)),
        format!("`JoinSet::spawn` {expected}")
    );
    assert!(set.is_empty());
    assert!(futures::executor::block_on(set.join_next()).is_none());
}

#[test]
fn a_task_may_join_the_set_it_is_in_and_its_neighbours_may_be_spawned_meanwhile() {
    bounded(|| {
        run(async {
            let set = Rc::new(RefCell::new(JoinSet::<usize>::new()));
            let spawns = |turns| {
                let set = set.clone();
                async move {
                    after(turns).await;
                    set.borrow_mut().spawn(after(turns));
                    turns
                }
            };
            for turns in [1, 2, 3] {
                set.borrow_mut().spawn(spawns(turns));
            }
            let mut sum = 0;
            let mut ended = Vec::<usize>::new();
            let next = || poll_fn(|cx| set.borrow_mut().poll_join_next_with_id(cx));
            while let Some((_, result)) = next().await {
                sum += 1;
                ended.push(result.unwrap());
            }
            assert_eq!((sum, ended.iter().sum::<usize>()), (6, 12));
        });
    });
}

#[test]
fn abort_handles_of_a_set_do_not_keep_the_task() {
    let alive = Rc::new(());
    let theirs = alive.clone();
    let handles: Vec<AbortHandle> = run(async move {
        let mut set = JoinSet::new();
        let mut handles = Vec::new();
        for _ in 0..3 {
            let theirs = theirs.clone();
            handles.push(set.spawn(async move { drop(theirs) }));
        }
        drop(pin!(set.join_all()).await);
        handles
    });
    assert_eq!(Rc::strong_count(&alive), 1);
    handles.iter().for_each(AbortHandle::abort);
}
