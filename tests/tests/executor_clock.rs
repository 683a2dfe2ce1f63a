//! The clock of an executor: it stands still, is moved, moves by itself where nothing else can happen, and is held.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::poll;
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::sim::SimDriver;
use pollywog_executor::task::{consume_budget, yield_now};
use pollywog_executor::time::{advance, hold, now, pause, resume, sleep, sleep_until, timeout};
use pollywog_executor::{Executor, Handle, JoinHandle, Metrics, spawn};
use pollywog_tests::executor::{self, bounded, panic_of, silence_expected_panics};
use pollywog_tests::net::Watchdog;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Keeps the thread busy.
fn work(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {}
}

/// Runs `future` on an executor of its own; one that hangs ends the process.
fn run<F: Future>(future: F) -> F::Output {
    let _watchdog = Watchdog::start();
    executor::run(future)
}

fn timers() -> usize {
    Metrics::current().timers
}

/// A thread's driver that tells a script of every look and every sleep, and lets it report tasks, before it begins.
struct Scripted<S> {
    thread: ThreadDriver,
    script: S,
}

impl<S: FnMut(Park, &mut Vec<TaskId>)> Scripted<S> {
    fn new(script: S) -> Self {
        Self { thread: ThreadDriver::new(), script }
    }
}

impl<S: FnMut(Park, &mut Vec<TaskId>)> Driver for Scripted<S> {
    fn unparker(&self) -> Waker {
        self.thread.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        (self.script)(park, ready);
        self.thread.park(park, ready);
    }
}

/// What `f` panics with, and whether that was blamed on this file.
fn blamed_panic_of<R>(f: impl FnOnce() -> R) -> (String, bool) {
    thread_local!(static FILE: RefCell<String> = const { RefCell::new(String::new()) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        silence_expected_panics(); // outermost is ours
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            FILE.set(info.location().map(|place| place.file().to_owned()).unwrap_or_default());
            before(info);
        }));
    });
    let text = panic_of(f);
    (text, FILE.take() == file!())
}

#[test]
fn every_misuse_panics_in_the_caller_and_changes_nothing() {
    const OUTSIDE: &str = "outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    let outside = |who| (format!("`time::{who}` {OUTSIDE}"), true);
    assert_eq!(blamed_panic_of(|| pause()), outside("pause"));
    assert_eq!(blamed_panic_of(|| resume()), outside("resume"));
    assert_eq!(blamed_panic_of(|| drop(advance(SECOND))), outside("advance"), "by the call, not when awaited");

    run(async {
        let not_paused = ("the clock is not paused".to_owned(), true);
        let nothing_to_move = ("the clock is not paused: call `time::pause` first".to_owned(), true);
        assert_eq!(blamed_panic_of(|| resume()), not_paused);
        assert_eq!(blamed_panic_of(|| drop(advance(SECOND))), nothing_to_move);
        pause();
        let moment = now();
        assert_eq!(blamed_panic_of(|| pause()), ("the clock stands still already".to_owned(), true));
        work(Duration::from_micros(10));
        assert_eq!(now(), moment);
        advance(SECOND).await;
        assert_eq!(now(), moment + SECOND);
        resume();
        assert_eq!(blamed_panic_of(|| resume()), not_paused);
        assert_eq!(blamed_panic_of(|| drop(advance(SECOND))), nothing_to_move);
    });
}

#[test]
fn now_is_the_machines_where_no_executor_runs_or_none_was_paused() {
    let is_the_machines = || {
        let before = Instant::now();
        let between = now();
        before <= between && between <= Instant::now()
    };
    assert!(is_the_machines());
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        assert!(is_the_machines());
        pause();
        advance(HOUR).await;
        assert!(now() > Instant::now() + HOUR / 2);
        assert!(thread::spawn(is_the_machines).join().unwrap(), "nothing runs on that thread");
        let other = thread::spawn(move || run(async move { is_the_machines() }));
        assert!(other.join().unwrap(), "each executor has its own clock");
    });
    assert!(is_the_machines(), "between two runs");
}

#[test]
fn a_paused_clock_stands_still_from_one_run_to_the_next() {
    let executor = Executor::new().unwrap();
    let moment = executor.block_on(&mut ThreadDriver::new(), async {
        pause();
        now()
    });
    work(Duration::from_micros(100));
    executor.block_on(&mut ThreadDriver::new(), async {
        assert_eq!(now(), moment);
        sleep(HOUR).await;
        assert_eq!(now(), moment + HOUR);
    });
}

#[test]
fn time_never_goes_back() {
    run(async {
        let executor_start = now();
        let mut last = executor_start;
        // Every word of seven letters, of which those that do not apply are left out.
        for word in 0..3_u32.pow(7) {
            let mut is_paused = false;
            for letter in (0..7).map(|place| word / 3_u32.pow(place) % 3) {
                match letter {
                    0 if is_paused => {
                        drop(advance(SECOND));
                        assert_eq!(now(), last + SECOND);
                    }
                    1 if is_paused => resume(),
                    2 if !is_paused => pause(),
                    _ => continue,
                }
                is_paused = letter != 1;
                assert!(now() >= last);
                last = now();
                if is_paused {
                    assert_eq!(now(), last);
                }
            }
            if is_paused {
                resume();
            }
        }
    });
}

#[test]
fn a_resumed_clock_goes_on_from_where_it_stood_at_the_machines_pace() {
    run(async {
        pause();
        let moment = now();
        advance(HOUR).await;
        let outer = Instant::now();
        resume();
        let start = now();
        assert!(start >= moment + HOUR);
        let inner = Instant::now();
        sleep(Duration::from_millis(2)).await;
        let inner = inner.elapsed();
        let passed = now() - start;
        assert!(inner <= passed && passed <= outer.elapsed(), "{inner:?} {passed:?}");
        assert!(inner >= Duration::from_millis(2), "it really slept");
        assert!(Metrics::current().parks > 0);
    });
}

#[test]
fn advancing_by_parts() {
    run(async {
        pause();
        let start = now();
        let task = spawn(sleep(60 * SECOND));
        for (part, is_finished) in [(59 * SECOND, false), (SECOND - NANO, false), (NANO, true), (NANO, true)] {
            advance(part).await;
            assert_eq!(task.is_finished(), is_finished);
        }
        assert_eq!(now(), start + 60 * SECOND + NANO);
        advance(Duration::ZERO).await;
        assert_eq!(now(), start + 60 * SECOND + NANO);
    });
}

#[test]
fn an_advance_runs_once_what_is_due_by_then() {
    run(async {
        pause();
        let woken = Rc::new(RefCell::new(Vec::new()));
        for second in [4, 2, 5, 1, 3, 6] {
            let woken = woken.clone();
            spawn(async move {
                sleep(second * SECOND).await;
                woken.borrow_mut().push(second);
            });
        }
        let beats = Rc::new(Cell::new(0));
        let counter = beats.clone();
        spawn(async move {
            loop {
                sleep(SECOND).await;
                counter.set(counter.get() + 1);
            }
        });
        advance(Duration::ZERO).await; // the tasks have set their timers
        advance(5 * SECOND).await;
        assert_eq!(*woken.borrow(), [1, 2, 3, 4, 5], "by deadline");
        assert_eq!(beats.get(), 1, "what waits anew waits from the new moment");
        advance(SECOND - NANO).await;
        assert_eq!((woken.borrow().len(), beats.get()), (5, 1));
        advance(NANO).await;
        assert_eq!((woken.borrow().len(), beats.get()), (6, 2));
    });
}

#[test]
fn an_advance_runs_what_the_woken_wake_in_turn() {
    for seed in (0..50).map(Some).chain([None]) {
        let builder = Executor::builder();
        let executor = seed.into_iter().fold(builder, |builder, seed| builder.seed(seed)).build().unwrap();
        executor.block_on(&mut SimDriver::new(), async {
            // Each waits for the one before, and the first for a timer.
            let (mut last, mut ends) = (None::<JoinHandle<()>>, Vec::new());
            for _ in 0..10 {
                let before = last.take();
                let (send, receive) = oneshot::channel();
                last = Some(spawn(async move {
                    match before {
                        Some(before) => before.await.unwrap(),
                        None => sleep(HOUR).await,
                    }
                    yield_now().await;
                    send.send(now()).unwrap();
                }));
                ends.push(receive);
            }
            let start = now();
            advance(Duration::ZERO).await;
            advance(HOUR - NANO).await;
            assert_eq!((ends[0].try_recv(), Metrics::current().alive), (Ok(None), 10));
            advance(NANO).await;
            for mut end in ends {
                assert_eq!(end.try_recv(), Ok(Some(start + HOUR)), "seed {seed:?}");
            }
            assert_eq!((now(), Metrics::current().alive), (start + HOUR, 0));
        });
    }
}

#[test]
fn an_advance_ends_though_a_task_is_always_ready() {
    bounded(|| {
        run(async {
            pause();
            let endless = spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            let (start, task) = (now(), spawn(sleep(HOUR)));
            advance(Duration::ZERO).await;
            advance(HOUR).await;
            assert!(task.is_finished());
            assert_eq!(now(), start + HOUR);
            endless.abort();
        });
    });
}

#[test]
fn an_advance_that_is_dropped_at_any_poll_has_moved_the_clock() {
    for polls in 0..=1 {
        run(async {
            pause();
            let (start, task) = (now(), spawn(sleep(HOUR)));
            yield_now().await;
            let mut moved = Box::pin(advance(HOUR));
            assert_eq!(now(), start + HOUR);
            for _ in 0..polls {
                assert!(poll!(&mut moved).is_pending());
            }
            drop(moved);
            assert_eq!(now(), start + HOUR);
            yield_now().await;
            assert!(task.is_finished());
            assert_eq!((now(), timers()), (start + HOUR, 0));
        });
    }
}

#[test]
fn an_advance_without_end_is_far() {
    run(async {
        pause();
        let start = now();
        let task = spawn(sleep(24 * 365 * HOUR));
        yield_now().await;
        for times in 1..=3 {
            advance(Duration::MAX).await;
            assert!(task.is_finished());
            assert!(now() >= start + times * 24 * 365 * HOUR);
        }
        let moment = now();
        sleep(SECOND).await;
        assert_eq!(now(), moment + SECOND);
    });
}

#[test]
fn an_advance_beyond_what_timers_can_tell_apart_is_refused() {
    run(async {
        pause();
        let start = now();
        let refused = ("the clock cannot be moved more than 500 years".to_owned(), true);
        for far in [Duration::from_millis(u64::MAX), Duration::from_secs(i64::MAX as u64 / 2), 501 * 365 * 24 * HOUR] {
            assert_eq!(blamed_panic_of(|| drop(advance(far))), refused);
            assert_eq!(now(), start, "it was not moved");
        }
        advance(499 * 365 * 24 * HOUR).await;
        let moment = now();
        each_sees_its_own_moment().await;
        assert!(now() > moment);
        resume();
        sleep(Duration::from_micros(1)).await;
        assert!(now() > moment);
    });
}

#[test]
fn a_timer_of_before_the_pause_is_due_at_its_moment() {
    run(async {
        let start = Instant::now();
        let mut waits = sleep(HOUR);
        assert!(poll!(&mut waits).is_pending());
        pause();
        let deadline = waits.deadline();
        assert!(now() < deadline);
        waits.await;
        assert_eq!(now(), deadline);
        assert!(start + HOUR <= deadline && deadline <= Instant::now() + HOUR);
        assert_eq!(Metrics::current().parks, 0);
    });
}

/// Deadlines that are close and far apart, in no order.
const MOMENTS: [u64; 12] = [
    1_000_000_007,
    1,
    3,
    2,
    999_999_999,
    1_000_000_000,
    86_400_000_000_001,
    999,
    1_000,
    1_001,
    5_000_000,
    86_400_000_000_000,
];

async fn each_sees_its_own_moment() {
    let start = now();
    let tasks = MOMENTS.map(|nanos| {
        spawn(async move {
            sleep(Duration::from_nanos(nanos)).await;
            assert_eq!((now() - start).as_nanos(), u128::from(nanos));
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((now() - start).as_nanos(), 86_400_000_000_001);
    assert_eq!((Metrics::current().parks, timers()), (0, 0));
}

#[test]
fn the_clock_moves_exactly_to_the_next_deadline() {
    run(async {
        pause();
        each_sees_its_own_moment().await;
    });
    Executor::new().unwrap().block_on(&mut SimDriver::new(), each_sees_its_own_moment());
    for seed in 0..20 {
        let executor = Executor::builder().seed(seed).build().unwrap();
        executor.block_on(&mut SimDriver::new(), each_sees_its_own_moment());
    }
    pollywog_net::run(async {
        pause();
        each_sees_its_own_moment().await;
    })
    .unwrap();
}

#[test]
fn three_hours_of_sleep_need_no_sleep() {
    const TASKS: u64 = 108;
    const LONG: Duration = Duration::from_secs(3 * 3600);
    let hours = || async {
        pause();
        let (start, sleeps) = (now(), Rc::new(Cell::new(0_u64)));
        let tasks: Vec<_> = (1..=TASKS)
            .map(|seconds| {
                let sleeps = sleeps.clone();
                spawn(async move {
                    while now() < start + LONG {
                        sleep_until(start + LONG.min(now() - start + Duration::from_secs(seconds))).await;
                        sleeps.set(sleeps.get() + 1);
                    }
                    now() - start
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), LONG);
        }
        let expected: u64 = (1..=TASKS).map(|seconds| LONG.as_secs().div_ceil(seconds)).sum();
        assert_eq!((sleeps.get(), now() - start), (expected, LONG));
        assert!(expected > 50_000);
        assert_eq!(Metrics::current().parks, 0);
    };
    bounded(move || {
        run(hours());
        pollywog_net::run(hours()).unwrap();
    });
}

#[test]
fn the_clock_stands_while_a_task_is_ready_or_gives_way() {
    type Busy = fn() -> Pin<Box<dyn Future<Output = ()>>>;
    let busy: [Busy; 3] = [
        || {
            let mut polls = 0;
            Box::pin(poll_fn(move |cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls == 1_000 { Poll::Ready(()) } else { Poll::Pending }
            }))
        },
        || {
            Box::pin(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            })
        },
        || {
            Box::pin(async {
                for _ in 0..10_000 {
                    consume_budget().await;
                }
                assert!(Metrics::current().forced_yields > 0);
            })
        },
    ];
    for busy in busy {
        run(async {
            pause();
            let start = now();
            let next = spawn(sleep(NANO));
            let task = spawn(async move {
                busy().await;
                now()
            });
            assert_eq!(task.await.unwrap(), start);
            next.await.unwrap();
            assert_eq!(now(), start + NANO);
        });
    }
}

#[test]
fn what_was_posted_comes_before_the_clock_moves() {
    run(async {
        pause();
        let start = now();
        for _ in 0..10 {
            let (send, receive) = oneshot::channel();
            let woken = spawn(async move {
                receive.await.unwrap();
                now()
            });
            yield_now().await; // it waits
            let handle = Handle::current();
            let spawned = thread::spawn(move || {
                send.send(()).unwrap();
                handle.spawn(async { now() })
            });
            let spawned = spawned.join().unwrap();
            // Nothing is ready but what stands in the mailbox.
            let moment = timeout(HOUR, async { (woken.await.unwrap(), spawned.await.unwrap()) }).await;
            assert_eq!(moment, Ok((start, start)));
        }
    });
}

#[test]
fn what_the_driver_brings_comes_before_the_clock_moves() {
    let waiting = Rc::new(Cell::new(None::<TaskId>));
    let events = Rc::new(Cell::new(10));
    let (task, left) = (waiting.clone(), events.clone());
    let mut driver = Scripted::new(move |park, ready: &mut Vec<TaskId>| {
        assert_eq!(park, Park::Look, "it never sleeps");
        if left.get() > 0
            && let Some(task) = task.take()
        {
            left.set(left.get() - 1);
            ready.push(task);
        }
    });
    Executor::new().unwrap().block_on(&mut driver, async {
        pause();
        let (start, next) = (now(), spawn(sleep(NANO)));
        for _ in 0..10 {
            let mut is_first = true;
            poll_fn(|cx| {
                waiting.set(TaskId::of(cx.waker()));
                if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            assert_eq!(now(), start);
        }
        next.await.unwrap();
        assert_eq!((now(), events.get()), (start + NANO, 0));
    });
}

#[test]
fn one_look_at_the_driver_for_each_move() {
    let looks = Rc::new(Cell::new(0));
    let counter = looks.clone();
    let mut driver = Scripted::new(move |park, _: &mut Vec<TaskId>| {
        assert_eq!(park, Park::Look);
        counter.set(counter.get() + 1);
    });
    Executor::new().unwrap().block_on(&mut driver, async {
        pause();
        for seconds in 1..=100 {
            sleep(seconds * SECOND).await;
        }
    });
    assert_eq!(looks.get(), 100);
}

#[test]
fn a_tick_moves_the_clock_too() {
    let executor = Executor::new().unwrap();
    let mut driver = ThreadDriver::new();
    executor.block_on(&mut driver, async { pause() });
    let start = executor.block_on(&mut driver, async { now() });
    let task = executor.spawn(async move {
        for _ in 0..3 {
            sleep(HOUR).await;
        }
        now() - start
    });
    let mut ticks = 0;
    while executor.has_tasks() {
        executor.tick(&mut driver);
        ticks += 1;
    }
    assert!(ticks <= 5, "{ticks}");
    assert_eq!(executor.block_on(&mut driver, task).unwrap(), 3 * HOUR);
    assert_eq!(executor.metrics().parks, 0);
}

#[test]
fn an_outer_loop_is_told_when_the_next_tick_has_something_to_do() {
    let executor = Executor::new().unwrap();
    let mut driver = ThreadDriver::new();

    let is_now = |deadline: Option<Instant>, before| deadline.is_some_and(|at| before <= at && at <= Instant::now());
    assert_eq!(executor.next_deadline(), None);
    executor.block_on(&mut driver, async {
        spawn(sleep(HOUR));
        yield_now().await;
        pause();
    });
    let before = Instant::now();
    assert!(is_now(executor.next_deadline(), before), "the next tick moves the clock");
    let held = executor.block_on(&mut driver, async { hold() });
    assert_eq!(executor.next_deadline(), None, "only who holds it can let it go");
    executor.block_on(&mut driver, async {
        drop(held);
        resume();
    });
    let deadline = executor.next_deadline().unwrap();
    assert!(before + HOUR / 2 < deadline && deadline <= Instant::now() + HOUR);
}
