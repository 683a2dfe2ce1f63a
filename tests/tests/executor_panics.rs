//! Panics of tasks, of what they leave behind, and of the root: contained, and the rest runs on.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{self, AssertUnwindSafe, Location};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::task::{Builder, Id, JoinSet, yield_now};
use pollywog_executor::time::{Sleep, sleep};
use pollywog_executor::{Executor, Handle, JoinHandle, Metrics, UnhandledPanic, scope, spawn};
use pollywog_tests::executor::{
    Counter, OnDrop, Probe, bounded, panic_of, poll_with, run, silence_expected_panics, spawn_bystanders,
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

/// A future that panics, at its first poll.
async fn explode<T>() -> T {
    panic!("expected: explosion");
}

/// Spawns with `name`; where that happened.
#[track_caller]
fn spawn_named<F: Future<Output: 'static> + 'static>(
    name: &str,
    future: F,
) -> (JoinHandle<F::Output>, &'static Location<'static>) {
    (Builder::new().name(name).spawn(future), Location::caller())
}

#[test]
fn an_error_names_its_task_and_where_it_was_spawned() {
    silence_expected_panics();
    let executor = Executor::new().unwrap();
    let (kept, id, remote) = executor.block_on(&mut ThreadDriver::new(), async {
        let (named, at) = spawn_named("boom", explode::<()>());
        let error = named.await.unwrap_err();
        assert_eq!(error.to_string(), format!("task {} 'boom' panicked: expected: explosion", error.id()));
        assert_eq!(format!("{error:?}"), format!("JoinError({error}; spawned at {at})"));

        let error = spawn(explode::<()>()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("task {} panicked: expected: explosion", error.id()));
        let debug = format!("{error:?}");
        assert!(debug.starts_with(&format!("JoinError({error}; spawned at {}:", file!())), "{debug}");

        // A payload that is no text, and a text that was put together.
        let (named, at) = spawn_named("payload", async { panic::panic_any(5) });
        let error = named.await.unwrap_err();
        assert_eq!(format!("{error:?}"), format!("JoinError(task {} 'payload' panicked; spawned at {at})", error.id()));
        let number = 5;
        let error = spawn(async move { panic!("expected: {number}") }).await.unwrap_err();
        assert_eq!(error.to_string(), format!("task {} panicked: expected: 5", error.id()));

        // Cancelled before its first run, while it waits, and by a drop that panics.
        let (early, at) = spawn_named("early", pending::<()>());
        early.abort();
        let error = early.await.unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            format!("JoinError(task {} 'early' was cancelled; spawned at {at})", error.id())
        );
        let bomb = OnDrop::new(|| panic!("expected: drop"));
        let (late, at) = spawn_named("late", async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
        yield_now().await;
        late.abort();
        let error = late.await.unwrap_err();
        let expected = format!("JoinError(task {} 'late' panicked: expected: drop; spawned at {at})", error.id());
        assert_eq!(format!("{error:?}"), expected);

        // In a set, and from a handle. A task that came by a handle has a number of its own kind.
        let mut set = JoinSet::new();
        Builder::new().name("in a set").spawn_into(explode::<()>(), &mut set);
        let (id, result) = set.join_next_with_id().await.unwrap();
        assert_eq!(result.unwrap_err().to_string(), format!("task {id} 'in a set' panicked: expected: explosion"));
        let handle = Handle::current();
        let far = thread::spawn(move || Builder::new().name("from afar").spawn_on(explode::<()>(), &handle));
        let error = far.join().unwrap().await.unwrap_err();
        assert_eq!(error.to_string(), format!("task {} 'from afar' panicked: expected: explosion", error.id()));
        assert!(error.id().to_string().contains(".r"), "{}", error.id());

        let (kept, _) = spawn_named("kept", pending::<()>());
        let id = kept.id();
        (kept, id, Handle::current().spawn(pending::<()>()))
    });
    // Once the executor is gone, the number is what is left.
    drop(executor);
    let error = kept.now_or_never().unwrap().unwrap_err();
    assert_eq!(format!("{error:?}"), format!("JoinError(task {id} was cancelled)"));
    assert!(remote.now_or_never().unwrap().unwrap_err().is_cancelled());
}

/// An executor that ends where a task panics.
fn mortal() -> Executor {
    Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap()
}

/// Runs `root`, in which a task panics; what `block_on` panics with.
fn death_of(executor: &Executor, root: impl Future<Output = ()>) -> String {
    panic_of(|| executor.block_on(&mut ThreadDriver::new(), root))
}

const PREFIX: &str = "the executor shuts down, as its settings ask for: JoinError(task ";
const DEAD: &str = "the executor has shut down because a task panicked";

#[test]
fn a_panic_ends_an_executor_that_is_to_end_and_block_on_says_why() {
    let (executor, told) = (mortal(), Rc::new(Cell::new(None::<(Id, &'static Location<'static>)>)));
    let slot = told.clone();
    let said = death_of(&executor, async move {
        let (task, location) = spawn_named("boom", explode::<()>());
        slot.set(Some((task.id(), location)));
        // That its handle is awaited makes no difference.
        let _ = task.await;
    });
    let (id, location) = told.take().unwrap();
    assert_eq!(said, format!("{PREFIX}{id} 'boom' panicked: expected: explosion; spawned at {location})"));

    // The same, from a tick.
    let executor = mortal();
    let id = executor.spawn(explode::<()>()).id();
    let said = panic_of(|| executor.tick(&mut ThreadDriver::new()));
    assert!(said.starts_with(&format!("{PREFIX}{id} panicked: expected: explosion; spawned at ")), "{said}");
}

#[test]
fn a_panic_ends_nothing_by_default() {
    silence_expected_panics();
    for executor in [Executor::new(), Executor::builder().unhandled_panic(UnhandledPanic::Ignore).build()] {
        let executor = executor.unwrap();
        executor.block_on(&mut ThreadDriver::new(), async {
            let bystanders = spawn_bystanders();
            assert!(spawn(explode::<()>()).await.unwrap_err().is_panic());
            bystanders.await;
        });
        assert!(!executor.handle().is_closed());
        assert_eq!(executor.block_on(&mut ThreadDriver::new(), async { 5 }), 5);
    }
}

/// What a destructor sees.
#[derive(Debug, PartialEq)]
struct Seen {
    executor: Handle,
    thread: thread::ThreadId,
    unwinding: bool,
    /// Whether a task that it spawns is cancelled at once.
    refused: bool,
}

#[test]
fn all_other_tasks_are_dropped_before_the_panic_in_their_context_and_none_is_polled() {
    let executor = mortal();
    let (seen, polls) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    let said = death_of(&executor, async {
        let probe = Rc::new(Probe::default());
        for _ in 0..3 {
            let (seen, polls, probe) = (seen.clone(), polls.clone(), probe.clone());
            let guard = OnDrop::new(move || {
                probe.waker().wake();
                seen.borrow_mut().push(Seen {
                    executor: Handle::current(),
                    thread: thread::current().id(),
                    unwinding: thread::panicking(),
                    refused: spawn(async {}).now_or_never().is_some_and(|result| result.unwrap_err().is_cancelled()),
                });
            });
            drop(spawn(poll_fn(move |cx| {
                let _ = &guard;
                polls.set(polls.get() + 1);
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })));
        }
        drop(spawn(probe.task()));
        yield_now().await;
        yield_now().await;
        // The others are ready, before and after this one.
        let (polls, waker) = (polls.clone(), probe.waker());
        drop(spawn(async move {
            waker.wake();
            polls.set(0);
            explode::<()>().await;
        }));
        pending::<()>().await;
    });
    assert!(said.starts_with(PREFIX), "{said}");
    assert_eq!(polls.get(), 0, "nobody was polled after the panic");
    let (handle, thread) = (executor.handle(), thread::current().id());
    let expected: Vec<_> = (0..3).map(|_| Seen { executor: handle, thread, unwinding: false, refused: true }).collect();
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn handles_of_an_executor_that_ended_say_cancelled() {
    let executor = mortal();
    let set = Rc::new(RefCell::new(JoinSet::new()));
    let (theirs, handle) = (set.clone(), executor.handle());
    let (waits, done) = (executor.spawn(pending::<()>()), executor.spawn(async {}));
    let panics = Rc::new(RefCell::new(None));
    let slot = panics.clone();
    let (remote, late) = (handle.spawn(pending::<()>()), handle.spawn(explode::<()>()));
    death_of(&executor, async move {
        theirs.borrow_mut().spawn(pending::<()>());
        yield_now().await;
        *slot.borrow_mut() = Some(spawn(explode::<()>()));
        pending::<()>().await;
    });
    let (waits_abort, is_finished) = (waits.abort_handle(), waits.is_finished());
    waits_abort.abort();
    assert!(is_finished && handle.is_closed());
    let error = waits.now_or_never().unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("task {} was cancelled", error.id()));
    // A result that nobody had taken is gone with all the rest.
    assert!(done.now_or_never().unwrap().unwrap_err().is_cancelled());
    assert!(remote.now_or_never().unwrap().unwrap_err().is_cancelled());
    assert!(set.borrow_mut().try_join_next().unwrap().unwrap_err().is_cancelled());
    // It was the first that panicked, though: the handle of another thread has its result at once.
    assert!(late.now_or_never().unwrap().unwrap_err().is_panic());
    assert!(panics.borrow().is_none(), "the root was not polled again");
}

#[test]
fn an_executor_that_ended_refuses_to_run_and_drops_what_it_is_given() {
    let executor = mortal();
    death_of(&executor, async {
        drop(spawn(sleep(Duration::from_secs(60))));
        drop(spawn(explode::<()>()));
        pending::<()>().await;
    });
    for _ in 0..2 {
        assert_eq!(panic_of(|| executor.block_on(&mut ThreadDriver::new(), async {})), DEAD);
        assert_eq!(panic_of(|| executor.tick(&mut ThreadDriver::new())), DEAD);
    }
    assert!(!executor.has_tasks() && executor.next_deadline().is_none());
    let drops = Rc::new(Cell::new(0));
    let counter = drops.clone();
    let guard = OnDrop::new(move || {
        counter.set(counter.get() + 1);
        panic!("expected: drop");
    });
    let refused = executor.spawn(async move { drop(guard) });
    assert_eq!(drops.get(), 1);
    assert!(refused.is_finished());
    assert!(refused.now_or_never().unwrap().unwrap_err().is_cancelled());
    assert!(executor.handle().spawn(async {}).now_or_never().unwrap().unwrap_err().is_cancelled());
    let handle = executor.handle();
    thread::spawn(move || assert!(handle.spawn(async {}).now_or_never().unwrap().is_err())).join().unwrap();
    let Metrics { alive, timers, .. } = executor.metrics();
    assert_eq!((alive, timers), (0, 0));
    drop(executor);
    // The thread is as it was.
    run(async { spawn_bystanders().await });
}

#[test]
fn an_outer_loop_is_not_told_of_an_executor_that_ended() {
    let executor = mortal();
    let wakes = Counter::new();
    drop(executor.spawn(explode::<()>()));
    // It is ready when the other panics.
    drop(executor.spawn(async {}));
    executor.on_wake(wakes.clone().into());
    let before = wakes.count();
    panic_of(|| executor.tick(&mut ThreadDriver::new()));
    assert_eq!(wakes.count(), before);
    drop(executor.spawn(async {}));
    assert_eq!(wakes.count(), before);
}

#[test]
fn every_kind_of_task_ends_its_executor_when_it_panics() {
    /// Starts what panics, and gives what is to be kept.
    type Starts = fn() -> Box<dyn Any>;
    let kinds: [(&str, Starts); 8] = [
        ("a task", || Box::new(spawn(explode::<()>()))),
        ("of a set", || {
            let mut set = JoinSet::new();
            set.spawn(explode::<()>());
            Box::new(set)
        }),
        ("of a set that let it go", || {
            let mut set = JoinSet::new();
            set.spawn(explode::<()>());
            set.detach_all();
            Box::new(())
        }),
        ("by a handle", || Box::new(Handle::current().spawn(explode::<()>()))),
        ("by a handle of another thread", || {
            let handle = Handle::current();
            Box::new(thread::spawn(move || handle.spawn(explode::<()>())).join().unwrap())
        }),
        ("in a scope", || {
            Box::new(spawn(scope(async |s| {
                s.spawn(explode::<()>());
            })))
        }),
        ("in the drop of a task that is aborted", || {
            let bomb = OnDrop::new(|| panic!("expected: explosion"));
            let task = spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            task.abort();
            Box::new(task)
        }),
        ("in the drop of a task that is done", || {
            let bomb = OnDrop::new(|| panic!("expected: explosion"));
            Box::new(spawn(poll_fn(move |_| {
                let _ = &bomb;
                Poll::Ready(())
            })))
        }),
    ];
    for (name, start) in kinds {
        bounded(move || {
            let executor = mortal();
            let said = death_of(&executor, async {
                let _kept = start();
                pending::<()>().await;
            });
            assert!(said.starts_with(PREFIX) && said.contains(" panicked: expected: explosion"), "{name}: {said}");
            assert_eq!(panic_of(|| executor.tick(&mut ThreadDriver::new())), DEAD, "{name}");
        });
    }
}

#[test]
fn the_first_panic_is_the_one_that_counts() {
    let executor = mortal();
    let said = death_of(&executor, async {
        let bomb = || {
            let bomb = OnDrop::new(|| panic!("expected: another, of a drop while it ends"));
            async move {
                let _bomb = bomb;
                pending::<()>().await;
            }
        };
        let _tasks = (spawn(bomb()), Handle::current().spawn(bomb()));
        yield_now().await;
        drop(spawn(explode::<()>()));
        pending::<()>().await;
    });
    assert!(said.contains("expected: explosion") && !said.contains("another"), "{said}");
}

#[test]
fn a_panic_of_the_root_does_not_end_the_executor() {
    let executor = mortal();
    assert_eq!(death_of(&executor, explode()), "expected: explosion");
    let children = scope(async |s| {
        s.spawn(explode::<()>());
    });
    assert_eq!(death_of(&executor, children), "expected: explosion", "a child of the root's own scope is a part of it");
    executor.block_on(&mut ThreadDriver::new(), async { spawn_bystanders().await });
}

#[test]
fn a_panic_of_a_child_ends_the_executor_at_once_though_its_parent_catches_it() {
    bounded(|| {
        let polls = Arc::new(AtomicUsize::new(0));
        let executor = mortal();
        let said = death_of(&executor, async {
            drop(spawn(async {
                let children = scope(async |s| {
                    s.spawn(explode::<()>());
                });
                assert!(AssertUnwindSafe(children).catch_unwind().await.is_err());
                pending::<()>().await;
            }));
            // A bystander that is ready at each turn.
            for _ in 0..10 {
                polls.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
            }
        });
        assert!(said.starts_with(PREFIX), "{said}");
        assert!(polls.load(Ordering::SeqCst) < 5, "{polls:?}");
    });
}

#[test]
fn another_executor_of_the_thread_goes_on() {
    let (mortal, other) = (mortal(), Executor::new().unwrap());
    let probe = Rc::new(Probe::default());
    drop(other.spawn(probe.task()));
    assert!(!other.tick(&mut ThreadDriver::new()));
    let (waker, theirs) = (probe.waker(), other.handle());
    let from_there = Rc::new(RefCell::new(None));
    let slot = from_there.clone();
    death_of(&mortal, async move {
        waker.wake();
        *slot.borrow_mut() = Some(theirs.spawn(async { 5 }));
        drop(spawn(explode::<()>()));
        pending::<()>().await;
    });
    assert!(!other.handle().is_closed() && mortal.handle().is_closed());
    while other.tick(&mut ThreadDriver::new()) {}
    assert_eq!(probe.polls.get(), 2);
    assert_eq!(from_there.take().unwrap().now_or_never().unwrap().unwrap(), 5);
}

#[test]
fn a_panic_of_a_task_of_another_executor_does_not_end_this_one() {
    let (mortal, gone) = (mortal(), Executor::new().unwrap());
    let handle = gone.handle();
    drop(gone);
    mortal.block_on(&mut ThreadDriver::new(), async move {
        let bystanders = spawn_bystanders();
        let bomb = OnDrop::new(|| panic!("expected: drop"));
        // It is dropped here, by a task of this executor, and has panicked.
        let refused = spawn(async move {
            let theirs = handle.spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            theirs.now_or_never()
        });
        assert!(refused.await.unwrap().unwrap().unwrap_err().is_panic());
        bystanders.await;
    });
}
