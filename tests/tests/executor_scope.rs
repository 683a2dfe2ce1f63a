//! Scopes: who is polled, who is dropped, in which order, and what is left behind.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::{self, sleep, timeout};
use pollywog_executor::{
    Executor, Metrics, Scope, ScopedJoinHandle, UnhandledPanic, scope, spawn, task::JoinSet, task::consume_budget,
    task::yield_now, try_scope,
};
use pollywog_tests::executor::{
    Counter, OnDrop, Probe, bounded, in_a_child, panic_of, poll_with, run, silence_expected_panics, text,
};

/// What happened, in this order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    /// Notes `name` when it is dropped.
    fn guard(&self, name: &'static str) -> OnDrop<impl FnOnce() + use<>> {
        let log = self.clone();
        OnDrop::new(move || log.note(name))
    }

    /// As [`guard`](Self::guard), and panics then.
    fn bomb(&self, name: &'static str) -> OnDrop<impl FnOnce() + use<>> {
        let log = self.clone();
        OnDrop::new(move || {
            log.note(name);
            panic!("expected: the drop of {name}");
        })
    }

    /// Pends for ever.
    fn pend(&self, name: &'static str) -> impl Future<Output = ()> + use<> {
        pend_with(self.guard(name))
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Pends for ever, with `guard` inside.
async fn pend_with<T>(guard: T) {
    let _guard = guard;
    pending().await
}

/// A wake of a child is two away from its poll: that of its stand-in, then that of the scope.
async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

async fn after(turns: usize) -> usize {
    for _ in 0..turns {
        yield_now().await;
    }
    turns
}

/// Polls `future` so many times, once each turn, or to its end.
async fn poll_times<F: Future>(times: usize, mut future: Pin<&mut F>) -> Option<F::Output> {
    for turn in 0..times {
        if turn > 0 {
            yield_now().await;
        }
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
    }
    None
}

/// Polls `future` to its end or its panic, and gives the message.
async fn outcome<F: Future>(future: F) -> Result<F::Output, String> {
    silence_expected_panics();
    let mut future = Box::pin(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(text(&*payload).expect("the payload is a text").to_owned())),
    })
    .await
}

#[test]
fn children_borrow_from_around_the_scope_and_it_waits_for_all_of_them() {
    run(async {
        let (words, sum) = (vec!["a".to_owned(), "bc".to_owned(), "def".to_owned()], Cell::new(0));
        let lengths = scope(async |s| {
            let lengths: Vec<_> = words.iter().map(|word| s.spawn(async move { word.len() })).collect();
            for turns in [3, 1, 2] {
                let sum = &sum;
                s.spawn(async move {
                    let turns = after(turns).await;
                    sum.set(sum.get() + turns);
                });
            }
            let mut all = Vec::new();
            for length in lengths {
                all.push(length.await.unwrap());
            }
            assert!(sum.get() < 6, "the body does not wait for the others");
            all
        });
        assert_eq!(lengths.await, [1, 2, 3]);
        assert_eq!((sum.get(), words.len()), (6, 3));
    });
}

#[test]
fn a_child_first_runs_after_the_poll_that_started_it_and_in_the_order_of_the_starts() {
    run(async {
        let log = &Log::default();
        scope(async |s| {
            for name in ["first", "second", "third"] {
                s.spawn(async move { log.note(name) });
            }
            log.note("body");
            yield_now().await;
        })
        .await;
        assert_eq!(log.take(), ["body", "first", "second", "third"]);
    });
}

#[test]
fn children_start_children_through_a_clone() {
    /// Each starts two of the next size down.
    fn tree<'env>(s: &Scope<'env>, leaves: &'env Cell<usize>, height: usize) {
        let theirs = s.clone();
        s.spawn(async move {
            yield_now().await;
            match height {
                0 => leaves.set(leaves.get() + 1),
                _ => (0..2).for_each(|_| tree(&theirs, leaves, height - 1)),
            }
        });
    }
    bounded(|| {
        run(async {
            let leaves = Cell::new(0);
            scope(async |s| tree(&s, &leaves, 7)).await;
            assert_eq!(leaves.get(), 128);
            settle().await;
            assert_eq!(Metrics::current().alive, 0);
        });
    });
}

#[test]
fn scopes_are_nested_and_each_waits_for_its_own() {
    run(async {
        let (log, outer) = (&Log::default(), Cell::new(1));
        let sum = scope(async |s| {
            let inner = s.spawn(async {
                let inner = Cell::new(0);
                scope(async |t| {
                    for turns in 1..=3 {
                        let (inner, outer) = (&inner, &outer);
                        t.spawn(async move {
                            let turns = after(turns).await;
                            inner.set(inner.get() + turns * outer.get());
                            log.note("inner child");
                        });
                    }
                })
                .await;
                log.note("inner scope");
                inner.get()
            });
            s.spawn(async {
                after(20).await;
                log.note("outer child");
            });
            inner.await.unwrap()
        });
        assert_eq!(sum.await, 6);
        assert_eq!(log.take(), ["inner child", "inner child", "inner child", "inner scope", "outer child"]);
    });
}

#[test]
fn what_fails_in_an_inner_scope_fails_the_child_that_runs_it_if_that_says_so() {
    run(async {
        let handled = try_scope(async |s| {
            let inner = s.spawn(async {
                try_scope(async |t| {
                    t.try_spawn(async { Err::<(), _>("inner") });
                    pending::<Result<(), _>>().await
                })
                .await
            });
            Ok::<_, &str>(inner.await.unwrap())
        });
        assert_eq!(handled.await, Ok(Err("inner")));

        let panicked = outcome(scope(async |s| {
            s.spawn(scope(async |t| {
                t.spawn(async { panic!("expected: inner") });
            }));
            pending::<()>().await;
        }));
        assert_eq!(panicked.await, Err("expected: inner".to_owned()));
        settle().await;
        assert_eq!(Metrics::current().alive, 0);
    });
}

#[test]
fn the_first_failure_drops_the_body_and_then_the_others_before_the_scope_is_over() {
    run(async {
        for panics in [false, true] {
            let log = &Log::default();
            let failed = outcome(try_scope(async |s| {
                let _body = log.guard("body");
                s.spawn(log.pend("first"));
                s.try_spawn(async move {
                    let _guard = log.guard("the one that fails");
                    after(2).await;
                    match panics {
                        true => panic!("expected: a panic"),
                        false => Err::<(), _>("an error"),
                    }
                });
                s.spawn(log.pend("second"));
                let guard = log.guard("third");
                s.try_spawn(async move {
                    let _guard = guard;
                    after(3).await;
                    log.note("it was polled after the scope had failed");
                    Err::<(), _>("a later error")
                });
                pending::<Result<(), _>>().await
            }));
            let failed = failed.await;
            let expected = if panics { Err("expected: a panic".to_owned()) } else { Ok(Err("an error")) };
            assert_eq!(failed, expected);
            assert_eq!(log.take(), ["the one that fails", "body", "first", "second", "third"]);
            settle().await;
            assert_eq!((Metrics::current().alive, log.take().len()), (0, 0));
        }
    });
}

#[test]
fn what_was_woken_with_the_one_that_failed_is_not_polled_any_more() {
    run(async {
        let (go, polled) = (&Cell::new(false), &RefCell::new(Vec::new()));
        let failed = try_scope(async |s| {
            for number in 0..3 {
                s.try_spawn(poll_fn(move |cx| {
                    cx.waker().wake_by_ref();
                    if !go.get() {
                        return Poll::Pending;
                    }
                    polled.borrow_mut().push(number);
                    Poll::Ready(Err::<(), _>(number))
                }));
            }
            settle().await;
            go.set(true);
            pending::<Result<(), _>>().await
        });
        let failed = failed.await.unwrap_err();
        assert_eq!(polled.take(), [failed]);
    });
}

#[test]
fn a_body_that_fails_drops_the_children() {
    run(async {
        for panics in [false, true] {
            let log = &Log::default();
            let failed = outcome(try_scope(async |s| {
                let _body = log.guard("body");
                s.spawn(log.pend("first"));
                s.spawn(log.pend("second"));
                settle().await;
                match panics {
                    true => panic!("expected: a panic"),
                    false => Err::<(), _>("an error"),
                }
            }));
            let expected = if panics { Err("expected: a panic".to_owned()) } else { Ok(Err("an error")) };
            assert_eq!(failed.await, expected);
            assert_eq!(log.take(), ["body", "first", "second"]);
            settle().await;
            assert_eq!(Metrics::current().alive, 0);
        }
    });
}

#[test]
fn what_the_body_gave_is_dropped_when_a_child_fails_after_it() {
    run(async {
        for panics in [false, true] {
            let log = &Log::default();
            let failed = outcome(try_scope(async |s| {
                s.try_spawn(async {
                    settle().await;
                    match panics {
                        true => panic!("expected: a panic"),
                        false => Err::<(), _>("an error"),
                    }
                });
                s.spawn(log.pend("sibling"));
                Ok(log.guard("output"))
            }));
            let expected = if panics { Err("expected: a panic".to_owned()) } else { Ok(Some("an error")) };
            assert_eq!(failed.await.map(Result::err), expected);
            assert_eq!(log.take(), ["sibling", "output"]);
        }
    });
}

#[test]
fn one_child_is_aborted_and_the_others_go_on() {
    run(async {
        let log = &Log::default();
        let over = scope(async |s| {
            let aborted = s.spawn(log.pend("aborted"));
            let other = s.spawn(after(9));
            settle().await;
            assert!(!aborted.is_finished());
            aborted.abort();
            aborted.abort();
            assert_eq!(log.take(), [""; 0], "it is not dropped inside the call");
            let id = aborted.id();
            let error = aborted.await.unwrap_err();
            assert_eq!((error.to_string(), error.is_cancelled()), (format!("task {id} was cancelled"), true));
            assert_eq!(log.take(), ["aborted"]);
            other.await.unwrap()
        });
        assert_eq!(over.await, 9);
        settle().await;
        assert_eq!(Metrics::current().alive, 0);
    });
}

#[test]
fn what_is_aborted_before_its_first_poll_is_never_polled_and_what_had_ended_keeps_its_value() {
    run(async {
        let probe = Rc::new(Probe::default());
        scope(async |s| {
            let (never, ended) = (s.spawn(probe.task()), s.spawn(ready(5)));
            never.abort();
            settle().await;
            assert!(never.is_finished() && ended.is_finished());
            ended.abort();
            settle().await;
            assert!(never.await.unwrap_err().is_cancelled());
            assert_eq!(ended.await.unwrap(), 5);
        })
        .await;
        assert_eq!((probe.polls.get(), Rc::strong_count(&probe)), (0, 1));
    });
}

#[test]
fn a_child_that_aborts_itself_ends_after_the_poll() {
    run(async {
        let (own, polls) = (Rc::new(RefCell::new(None::<ScopedJoinHandle<()>>)), Cell::new(0));
        scope(async |s| {
            let (inner, counter) = (own.clone(), &polls);
            let handle = s.spawn(poll_fn(move |_| {
                counter.set(counter.get() + 1);
                inner.borrow().as_ref().unwrap().abort();
                Poll::<()>::Pending
            }));
            own.replace(Some(handle));
        })
        .await;
        assert_eq!((polls.get(), Rc::strong_count(&own)), (1, 1));
        assert!(own.take().unwrap().await.unwrap_err().is_cancelled());
    });
}

#[test]
fn abort_all_drops_every_child_and_the_body_goes_on() {
    run(async {
        let log = &Log::default();
        let over = scope(async |s| {
            let ended = s.spawn(ready(5));
            let tasks = ["first", "second", "third"].map(|name| s.spawn(log.pend(name)));
            settle().await;
            s.abort_all();
            let later = s.spawn(ready(6));
            for task in tasks {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            assert_eq!(log.take(), ["first", "second", "third"]);
            (ended.await.unwrap(), later.await.unwrap())
        });
        assert_eq!(over.await, (5, 6));
    });
}

#[test]
fn a_handle_polled_by_reference_loses_nothing_when_that_is_dropped_at_any_poll() {
    const TURNS: usize = 4;
    for dropped_at in 0..=TURNS {
        run(async {
            scope(async |s| {
                let mut child = s.spawn(after(TURNS));
                for _ in 0..dropped_at {
                    assert!(poll_with(&mut &mut child, Counter::new()).is_pending());
                    yield_now().await;
                }
                assert_eq!((&mut child).await.unwrap(), TURNS);
            })
            .await;
        });
    }
}

#[test]
fn only_the_last_waker_of_a_handle_is_woken_and_it_gives_its_result_once() {
    run(async {
        let (first, last) = (Counter::new(), Counter::new());
        let mut child = scope(async |s| {
            let mut child = s.spawn(after(1));
            for waker in [&first, &first, &last, &last] {
                assert!(poll_with(&mut child, waker.clone()).is_pending());
            }
            assert_eq!((Arc::strong_count(&first), Arc::strong_count(&last)), (1, 2));
            [child]
        })
        .await;
        let child = &mut child[0];
        assert_eq!((first.count(), last.count()), (0, 1));
        assert_eq!(format!("{child:?}"), format!("ScopedJoinHandle {{ id: Id({}), .. }}", child.id()));
        assert_eq!((&mut *child).await.unwrap(), 1, "a handle outlives its scope with the value");
        assert!(child.is_finished());
        child.abort();
        let message = panic_of(|| poll_with(child, last.clone()));
        assert_eq!(message, "a ScopedJoinHandle is not polled after it has given its result");
    });
}

#[test]
fn siblings_await_each_other() {
    run(async {
        let sum = scope(async |s| {
            let first = s.spawn(after(3));
            let second = s.spawn(async move { first.await.unwrap() + 1 });
            let third = s.spawn(async move { second.await.unwrap() + 1 });
            third.await.unwrap()
        });
        assert_eq!(sum.await, 5);
    });
}

/// A scope with a body and four children that end at different times, each of which wakes it.
async fn family(log: &Log, wakers: &RefCell<Vec<Waker>>) -> usize {
    scope(async |s| {
        let _body = log.guard("body");
        for (name, turns) in [("1", 2), ("2", 8), ("3", 1), ("4", 5)] {
            let guard = log.guard(name);
            s.spawn(async move {
                let _guard = guard;
                poll_fn(|cx| {
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::Ready(())
                })
                .await;
                after(turns).await;
            });
        }
        after(4).await
    })
    .await
}

#[test]
fn dropped_at_any_poll_it_drops_the_body_and_then_the_children_in_the_order_of_their_start() {
    let all = ["body", "1", "2", "3", "4"];
    let mut times = 0;
    let mut seen = Vec::new();
    loop {
        let is_over = run(async {
            let (log, wakers) = (&Log::default(), RefCell::default());
            let mut future = Box::pin(family(log, &wakers));
            let output = poll_times(times, future.as_mut()).await;
            let before = log.take();
            drop(future);
            let dropped = log.take();
            match output {
                Some(output) => assert_eq!((output, &dropped[..]), (4, &[][..])),
                None if times == 0 => assert_eq!((before.len(), dropped.len()), (0, 0), "nothing had begun"),
                None => {
                    let rest: Vec<_> = all.into_iter().filter(|name| !before.contains(&(*name).to_owned())).collect();
                    assert_eq!(dropped, rest, "after {times} polls");
                }
            }
            seen.push(dropped.len());
            for waker in wakers.take() {
                waker.wake(); // comes too late
            }
            settle().await;
            assert_eq!((Metrics::current().alive, log.take().len()), (0, 0));
            output.is_some()
        });
        if is_over {
            break;
        }
        times += 1;
    }
    assert!((1..=5).all(|left| seen.contains(&left)), "it was dropped with {seen:?} left");
}

#[test]
fn a_timeout_around_a_scope_is_its_deadline() {
    bounded(|| {
        run(async {
            time::pause();
            let log = &Log::default();
            let late = timeout(
                Duration::from_secs(60),
                scope(async |s| {
                    let _body = log.guard("body");
                    s.spawn(log.pend("first"));
                    s.spawn(async {
                        sleep(Duration::from_secs(59)).await;
                        log.note("second is in time");
                        let _guard = log.guard("second");
                        sleep(Duration::from_secs(2)).await;
                        log.note("and here it is not");
                    });
                    pending::<()>().await;
                }),
            );
            let start = time::now();
            assert!(late.await.is_err());
            assert_eq!(time::now() - start, Duration::from_secs(60));
            assert_eq!(log.take(), ["second is in time", "body", "first", "second"]);
            settle().await;
            assert_eq!((Metrics::current().alive, Metrics::current().timers), (0, 0));
            let in_time = timeout(Duration::from_secs(60), scope(async |s| s.spawn(after(5)).await.unwrap()));
            assert_eq!(in_time.await, Ok(5));
        });
    });
}

#[test]
fn a_scope_that_is_forgotten_does_no_harm() {
    /// Keeps it in sight of leak checkers, which need not complain of this one.
    static FORGOTTEN: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

    let executor = Executor::new().unwrap();
    let probes = [(); 2].map(|()| Rc::new(Probe::default()));
    let theirs = probes.clone();
    executor.block_on(&mut ThreadDriver::new(), async {
        let mut forgotten = Box::pin(scope(async move |s| {
            theirs.iter().for_each(|probe| drop(s.spawn(probe.task())));
            pending::<()>().await;
        }));
        assert!(poll_times(3, forgotten.as_mut()).await.is_none());
        FORGOTTEN.store(Box::into_raw(Box::new(forgotten)).cast(), Ordering::Relaxed);
        let polls: usize = probes.iter().map(|probe| probe.polls.get()).sum();
        assert!(polls > 0, "it had begun");
        let waker = probes.iter().find(|probe| probe.polls.get() > 0).unwrap().waker();
        for _ in 0..3 {
            waker.wake_by_ref();
            let elsewhere = waker.clone();
            thread::spawn(move || elsewhere.wake()).join().unwrap();
            settle().await;
        }
        assert_eq!(probes.iter().map(|probe| probe.polls.get()).sum::<usize>(), polls, "nobody polls it any more");
        assert_eq!(spawn(ready(7)).await.unwrap(), 7);
        assert_eq!(scope(async |s| s.spawn(ready(8)).await.unwrap()).await, 8);
    });
    drop(executor);
    assert_eq!(probes.map(|probe| Rc::strong_count(&probe)), [3, 3], "what is forgotten is not dropped either");
}

#[test]
fn what_is_started_with_a_clone_that_was_left_is_dropped_at_once() {
    run(async {
        let log = &Log::default();
        let left = scope(async |s: Scope<'static>| {
            s.spawn(ready(()));
            s.clone()
        })
        .await;
        let late = left.spawn(log.pend("dropped"));
        assert_eq!(log.take(), ["dropped"]);
        assert!(late.is_finished());
        late.abort();
        assert!(late.await.unwrap_err().is_cancelled());
        assert!(left.try_spawn(ready(Ok(1))).await.unwrap_err().is_cancelled());
        left.abort_all();
        assert_eq!(format!("{left:?}"), "Scope { children: 0, .. }");
        settle().await;
        assert_eq!(Metrics::current().alive, 0);
        // A drop that panics is nobody's to hear of.
        silence_expected_panics();
        let bomb = OnDrop::new(|| panic!("expected: drop"));
        assert!(left.spawn(async move { drop(bomb) }).await.unwrap_err().is_cancelled());
    });
}

#[test]
fn what_a_destructor_starts_while_the_scope_ends_is_dropped_at_once() {
    run(async {
        let log = &Log::default();
        let started = Rc::new(RefCell::new(Vec::new()));
        for fails in [false, true] {
            let failed = try_scope(async |s: Scope<'static, &str>| {
                let (clone, theirs, list) = (s.clone(), log.clone(), started.clone());
                let guard = OnDrop::new(move || {
                    theirs.note("first");
                    list.borrow_mut().push(clone.spawn(theirs.pend("started too late")));
                    clone.abort_all();
                });
                s.spawn(pend_with(guard));
                s.spawn(log.pend("second"));
                settle().await;
                if fails { Err("an error") } else { pending().await }
            });
            let mut failed = Box::pin(failed);
            assert_eq!(poll_times(9, failed.as_mut()).await, fails.then_some(Err::<(), _>("an error")));
            drop(failed);
            assert_eq!(log.take(), ["first", "started too late", "second"]);
            for child in started.take() {
                assert!(child.await.unwrap_err().is_cancelled());
            }
            settle().await;
            assert_eq!(Metrics::current().alive, 0);
        }
    });
}

#[test]
fn a_child_whose_drop_panics_fails_the_scope_unless_that_has_failed_or_is_dropped() {
    run(async {
        let log = &Log::default();
        // At its normal end, and when it is aborted.
        for aborts in [false, true] {
            let failed = outcome(scope(async |s| {
                let bomb = log.bomb("bomb");
                let child = s.spawn(async move {
                    let _bomb = bomb;
                    after(2).await
                });
                s.spawn(log.pend("sibling"));
                if aborts {
                    child.abort();
                }
                pending::<()>().await
            }));
            assert_eq!(failed.await, Err("expected: the drop of bomb".to_owned()));
            assert_eq!(log.take(), ["bomb", "sibling"]);
        }
        // When another has failed: the first failure counts, and everybody is dropped.
        let failed = outcome(try_scope(async |s| {
            for bomb in [log.bomb("first"), log.bomb("second")] {
                s.spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await
                });
            }
            s.try_spawn(async { Err::<(), _>("an error") });
            s.spawn(log.pend("sibling"));
            pending::<Result<(), _>>().await
        }));
        assert_eq!(failed.await, Ok(Err("an error")));
        assert_eq!(log.take(), ["first", "second", "sibling"]);
        // When the scope is dropped.
        let mut dropped = Box::pin(scope(async |s| {
            for bomb in [log.bomb("first"), log.bomb("second")] {
                s.spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await
                });
            }
            s.spawn(log.pend("sibling"));
            pending::<()>().await
        }));
        assert!(poll_times(2, dropped.as_mut()).await.is_none());
        drop(dropped);
        assert_eq!(log.take(), ["first", "second", "sibling"]);
        settle().await;
        assert_eq!(Metrics::current().alive, 0);
    });
}

#[test]
fn a_wake_polls_the_child_that_it_is_for_and_no_other() {
    run(async {
        let probes: Vec<_> = (0..40).map(|_| Rc::new(Probe::default())).collect();
        let polls = || probes.iter().map(|probe| probe.polls.get()).collect::<Vec<_>>();
        scope(async |s| {
            probes.iter().for_each(|probe| drop(s.spawn(probe.task())));
            settle().await;
            let mut expected = vec![1; 40];
            assert_eq!(polls(), expected);
            for woken in [7, 0, 39, 7] {
                probes[woken].waker().wake();
                settle().await;
                expected[woken] += 1;
                assert_eq!(polls(), expected);
            }
            let waker = probes[20].waker();
            thread::spawn(move || (0..3).for_each(|_| waker.wake_by_ref())).join().unwrap();
            settle().await;
            settle().await;
            expected[20] += 1;
            assert_eq!(polls(), expected, "three wakes from another thread, one poll");
            // A waker is the child's own.
            assert!(!probes[0].waker().will_wake(&probes[1].waker()));
            assert!(probes[0].waker().will_wake(&probes[0].waker()));
            probes[5].done.set(true);
            let old = probes[5].waker();
            old.wake_by_ref();
            settle().await;
            expected[5] += 1;
            old.wake_by_ref();
            thread::spawn(move || old.wake()).join().unwrap();
            settle().await;
            settle().await;
            assert_eq!(polls(), expected, "who has ended is not polled");
            s.abort_all();
        })
        .await;
    });
}

#[test]
fn wakes_of_many_children_do_not_pile_up() {
    const CHILDREN: usize = 200;
    const ROUNDS: usize = 50;
    bounded(|| {
        run(async {
            let probes: Vec<_> = (0..CHILDREN).map(|_| Rc::new(Probe::default())).collect();
            scope(async |s| {
                probes.iter().for_each(|probe| drop(s.spawn(probe.task())));
                while probes.iter().any(|probe| probe.polls.get() == 0) {
                    yield_now().await;
                }
                for _ in 0..ROUNDS {
                    probes.iter().for_each(|probe| probe.waker().wake());
                    yield_now().await;
                }
                // A child waits for each of the others once at most.
                let before: Vec<_> = probes.iter().map(|probe| probe.polls.get()).collect();
                for _ in 0..10 * CHILDREN {
                    yield_now().await;
                }
                for (probe, before) in probes.iter().zip(before) {
                    assert!(probe.polls.get() - before <= 2, "{} polls were left over", probe.polls.get() - before);
                }
                s.abort_all();
            })
            .await;
        });
    });
}

#[test]
fn a_wake_from_another_thread_reaches_the_child_of_a_parked_executor() {
    bounded(|| {
        run(async {
            let got = scope(async |s| {
                let (send, receive) = futures::channel::oneshot::channel();
                let bystander = s.spawn(pending::<()>());
                let child = s.spawn(async move {
                    let got = receive.await.unwrap();
                    bystander.abort();
                    got
                });
                settle().await;
                let thread = thread::spawn(move || send.send(5).unwrap());
                let got = child.await.unwrap();
                thread.join().unwrap();
                got
            });
            assert_eq!(got.await, 5);
        });
    });
}

#[test]
fn ten_thousand_children_that_are_always_ready_let_others_in() {
    const CHILDREN: usize = 10_000;
    /// What one turn of the loop runs at most.
    const TURN: usize = 128;
    bounded(|| {
        run(async {
            let (polls, stop) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(false)));
            let (counter, end) = (polls.clone(), stop.clone());
            let crowd = spawn(scope(async move |s: Scope<'static>| {
                for _ in 0..CHILDREN {
                    let (counter, end) = (counter.clone(), end.clone());
                    s.spawn(poll_fn(move |cx| {
                        counter.set(counter.get() + 1);
                        cx.waker().wake_by_ref();
                        if end.get() { Poll::Ready(()) } else { Poll::Pending }
                    }));
                }
            }));
            while polls.get() < 2 * CHILDREN {
                let before = polls.get();
                yield_now().await;
                assert!(polls.get() - before <= TURN, "{} polls before another task", polls.get() - before);
            }
            let before = polls.get();
            sleep(Duration::ZERO).await;
            assert!(polls.get() - before <= 2 * TURN, "{} polls before a timer", polls.get() - before);
            sleep(Duration::from_millis(1)).await;
            stop.set(true);
            crowd.await.unwrap();
            settle().await;
            assert_eq!(Metrics::current().alive, 0);
        });
    });
}

#[test]
fn a_child_that_always_uses_its_budget_up_does_not_starve_those_after_it() {
    bounded(|| {
        run(async {
            let steps = Rc::new(Cell::new(0));
            let theirs = steps.clone();
            let crowd = spawn(scope(async move |s: Scope<'static>| {
                let busy = s.spawn(async {
                    loop {
                        consume_budget().await;
                    }
                });
                let other = s.spawn(async move {
                    for _ in 0..1_000 {
                        consume_budget().await;
                        theirs.set(theirs.get() + 1);
                    }
                });
                other.await.unwrap();
                busy.abort();
            }));
            crowd.await.unwrap();
            assert_eq!(steps.get(), 1_000);
        });
    });
}

const ELSEWHERE: &str = "a scope was used on another executor than before, where its children cannot be woken";

#[test]
fn polled_on_another_executor_it_panics_and_drops_what_it_has() {
    let [first, second] = [(); 2].map(|()| Executor::new().unwrap());
    let log = &Log::default();
    let begin = || {
        let mut begun = Box::pin(scope(async |s| {
            let _body = log.guard("body");
            s.spawn(log.pend("child"));
            pending::<()>().await
        }));
        first.block_on(&mut ThreadDriver::new(), async { assert!(poll_times(2, begun.as_mut()).await.is_none()) });
        begun
    };
    let mut begun = begin();
    let message = panic_of(|| second.block_on(&mut ThreadDriver::new(), begun.as_mut()));
    assert_eq!((message, log.take()), (ELSEWHERE.to_owned(), vec!["body".to_owned(), "child".to_owned()]));
    let mut begun = begin();
    let message = panic_of(|| poll_with(&mut begun, Counter::new()));
    let expected =
        "a scope was used outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    assert_eq!((&message[..], log.take().len()), (expected, 2));
    // Dropping it is allowed anywhere.
    drop(begin());
    assert_eq!(log.take(), ["body", "child"]);
    first.block_on(&mut ThreadDriver::new(), settle());
    assert_eq!(first.metrics().alive, 0);
    let mut fresh = Box::pin(scope(async |_| ()));
    let message = panic_of(|| poll_with(&mut fresh, Counter::new()));
    assert_eq!(
        message,
        "`scope` outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread"
    );
}

#[test]
fn polled_on_the_next_executor_with_the_same_number_it_panics() {
    in_a_child("polled_on_the_next_executor_with_the_same_number_it_panics", || {
        let first = Executor::new().unwrap();
        let number = first.id();
        let mut begun = Box::pin(scope(async |s| {
            s.spawn(after(9));
        }));
        first.block_on(&mut ThreadDriver::new(), async { assert!(poll_times(2, begun.as_mut()).await.is_none()) });
        drop(first);
        let second = Executor::new().unwrap();
        assert_eq!(second.id(), number, "the number is used again");
        assert_eq!(panic_of(|| second.block_on(&mut ThreadDriver::new(), begun)), ELSEWHERE);
    });
}

#[test]
fn a_clone_used_while_another_executor_runs_panics_and_the_scope_goes_on() {
    let [first, second] = [(); 2].map(|()| Executor::new().unwrap());
    let clone = Rc::new(RefCell::new(None));
    let theirs = clone.clone();
    let task = first.spawn(scope(async move |s: Scope<'static>| {
        theirs.replace(Some(s.clone()));
        s.spawn(after(6)).await.unwrap()
    }));
    first.block_on(&mut ThreadDriver::new(), settle());
    let clone = clone.take().unwrap();
    second.block_on(&mut ThreadDriver::new(), async { assert_eq!(panic_of(|| clone.spawn(ready(()))), ELSEWHERE) });
    let expected =
        "a scope was used outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    assert_eq!(panic_of(|| clone.spawn(ready(()))), expected);
    assert_eq!(first.block_on(&mut ThreadDriver::new(), task).unwrap(), 6);
}

#[test]
fn it_runs_under_other_makers_of_wakers() {
    bounded(|| {
        run(async {
            // `FuturesUnordered` gives each scope a waker of its own make.
            let mut scopes = FuturesUnordered::new();
            for turns in [3, 1, 2] {
                scopes.push(scope(async move |s| s.spawn(after(4 * turns)).await.unwrap()));
            }
            let mut ended = Vec::new();
            while let Some(turns) = scopes.next().await {
                ended.push(turns);
            }
            assert_eq!(ended, [4, 8, 12]);
            let (first, second) = futures::join!(
                scope(async |s| s.spawn(after(5)).await.unwrap()),
                scope(async |s| s.spawn(after(6)).await.unwrap())
            );
            assert_eq!((first, second), (5, 6));
            let mut set = JoinSet::new();
            set.spawn(scope(async |s| s.spawn(after(7)).await.unwrap()));
            assert_eq!(set.join_next().await.unwrap().unwrap(), 7);
            settle().await;
            assert_eq!(Metrics::current().alive, 0);
        });
    });
}

#[test]
fn the_latest_waker_of_the_scope_is_the_one_that_is_woken() {
    run(async {
        let probe = Rc::new(Probe::default());
        let mut waiting = Box::pin(scope(async |s| s.spawn(probe.task()).await.unwrap()));
        let (first, last) = (Counter::new(), Counter::new());
        assert!(poll_with(&mut waiting, first.clone()).is_pending());
        settle().await;
        assert_eq!((first.count(), probe.polls.get()), (1, 0), "it has to be polled for the child to be");
        for waker in [&first, &last] {
            assert!(poll_with(&mut waiting, waker.clone()).is_pending());
        }
        let (first_before, last_before) = (first.count(), last.count());
        probe.done.set(true);
        probe.waker().wake();
        settle().await;
        assert_eq!((first.count(), last.count()), (first_before, last_before + 1));
        assert!(poll_with(&mut waiting, last.clone()).is_pending(), "the body is told of the end");
        assert!(poll_with(&mut waiting, last.clone()).is_ready());
    });
}

#[test]
fn a_scope_goes_with_its_task_and_with_its_executor() {
    let log = &Log::default();
    let task = |log: &Log| {
        let log = log.clone();
        async move {
            scope(async |s| {
                let _body = log.guard("body");
                s.spawn(log.pend("first"));
                s.spawn(log.pend("second"));
                pending::<()>().await
            })
            .await
        }
    };
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        let aborted = spawn(task(log));
        settle().await;
        assert_eq!(Metrics::current().alive, 3, "a task and two stand-ins");
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["body", "first", "second"]);
        settle().await;
        assert_eq!(Metrics::current().alive, 0);
        spawn(task(log));
        settle().await;
    });
    drop(executor);
    assert_eq!(log.take(), ["body", "first", "second"]);
    assert_eq!(Rc::strong_count(&log.0), 1, "nothing is left");
}

#[test]
fn a_child_that_panics_shuts_the_executor_down_where_its_settings_ask_for_it() {
    silence_expected_panics();
    let executor = Executor::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    let message = panic_of(|| {
        executor.block_on(&mut ThreadDriver::new(), async {
            spawn(async {
                let _ = outcome(scope(async |s| {
                    s.spawn(async { panic!("expected: a child") });
                }))
                .await;
            });
            pending::<()>().await;
        });
    });
    assert!(message.contains("expected: a child"), "{message}");
    assert!(executor.handle().is_closed());
}

#[test]
fn numbers_are_those_of_tasks() {
    run(async {
        let mut ids = Vec::new();
        ids.push(spawn(ready(())).id());
        scope(async |s| {
            ids.push(s.spawn(ready(())).id());
            ids.push(s.spawn(ready(())).id());
        })
        .await;
        ids.push(spawn(ready(())).id());
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    });
}
