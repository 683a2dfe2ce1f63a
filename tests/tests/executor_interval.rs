//! Intervals: each tick at its moment, and what becomes of those that nobody asked for in time.

use std::cell::{Cell, RefCell};
use std::panic;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::poll;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::sim::SimDriver;
use pollywog_executor::task::yield_now;
use pollywog_executor::time::{Interval, MissedTickBehavior, advance, interval, interval_at, now, pause, sleep};
use pollywog_executor::{Executor, Metrics, spawn};
use pollywog_tests::executor::{Counter, bounded, panic_of, poll_with, run, silence_expected_panics};
use pollywog_tests::net::Watchdog;

const NANO: Duration = Duration::from_nanos(1);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What is this late, or less, was not missed.
const TOLERATED: Duration = Duration::from_millis(5);

const BEHAVIORS: [MissedTickBehavior; 3] =
    [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip];

/// Runs `future` under a clock that stands still until it is moved; one that hangs ends the process.
fn run_paused<F: Future>(future: F) -> F::Output {
    let _watchdog = Watchdog::start();
    run(async {
        pause();
        future.await
    })
}

fn with(mut ticks: Interval, behavior: MissedTickBehavior) -> Interval {
    ticks.set_missed_tick_behavior(behavior);
    ticks
}

/// One tick: the moment it was planned for, and that at which it came.
type Tick = (Duration, Duration);

/// What the documentation of [`MissedTickBehavior`] says, in times since the start: the interval is asked for a tick,
/// then `work` is done, and so on.
fn model(behavior: MissedTickBehavior, first: Duration, period: Duration, work: &[Duration]) -> Vec<Tick> {
    let (mut time, mut planned) = (Duration::ZERO, first);
    let mut ticks = Vec::new();
    for work in work {
        time = time.max(planned);
        ticks.push((planned, time));
        let is_missed = time - planned > TOLERATED;
        match behavior {
            MissedTickBehavior::Delay if is_missed => planned = time + period,
            MissedTickBehavior::Skip if is_missed => {
                while planned <= time {
                    planned += period;
                }
            }
            _ => planned += period,
        }
        time += *work;
    }
    ticks
}

async fn ticks_of(mut ticks: Interval, start: Instant, work: &[Duration]) -> Vec<Tick> {
    let mut seen = Vec::new();
    for work in work {
        let planned = ticks.tick().await;
        seen.push((planned - start, now() - start));
        advance(*work).await;
    }
    seen
}

#[test]
fn ticks_come_as_the_model_says_however_late_they_are_asked_for() {
    bounded(|| {
        run_paused(async {
            for period in [MILLI, TOLERATED, 7 * MILLI + NANO, SECOND, HOUR] {
                let work = [
                    Duration::ZERO,
                    period - NANO,
                    period,
                    period + NANO,
                    period + TOLERATED,
                    period + TOLERATED + NANO,
                    2 * period,
                    5 * period / 2,
                    7 * period + TOLERATED + NANO,
                ];
                let words = (0..work.len().pow(3)).map(|word| {
                    let letter = |place| work[word / work.len().pow(place) % work.len()];
                    [letter(0), letter(1), letter(2), Duration::ZERO, Duration::ZERO]
                });
                for (work, behavior) in words.flat_map(|work| BEHAVIORS.map(|behavior| (work, behavior))) {
                    let start = now();
                    let seen = ticks_of(with(interval(period), behavior), start, &work).await;
                    let expected = model(behavior, Duration::ZERO, period, &work);
                    assert_eq!(seen, expected, "{behavior:?} of {period:?} with {work:?}");
                }
            }
        });
    });
}

#[test]
fn ticks_that_were_missed_come_as_their_behavior_is_described() {
    let seconds = |behavior| {
        run_paused(async move {
            let start = now();
            let mut ticks = with(interval(SECOND), behavior);
            let mut seen = Vec::new();
            for work in [0, 3_500, 0, 0, 0, 0] {
                let planned = ticks.tick().await - start;
                seen.push((planned.as_millis(), (now() - start).as_millis()));
                advance(work * MILLI).await;
            }
            seen
        })
    };
    // It works for three and a half seconds after the second tick; when each is planned, and when it comes:
    let second = [(0, 0), (1_000, 1_000)];
    let rest = |behavior| {
        let seen = seconds(behavior);
        assert_eq!(seen[..2], second);
        seen[2..].to_vec()
    };
    assert_eq!(rest(MissedTickBehavior::Burst), [(2_000, 4_500), (3_000, 4_500), (4_000, 4_500), (5_000, 5_000)]);
    assert_eq!(rest(MissedTickBehavior::Delay), [(2_000, 4_500), (5_500, 5_500), (6_500, 6_500), (7_500, 7_500)]);
    assert_eq!(rest(MissedTickBehavior::Skip), [(2_000, 4_500), (5_000, 5_000), (6_000, 6_000), (7_000, 7_000)]);
}

#[test]
fn the_first_tick_comes_at_once() {
    run_paused(async {
        let start = now();
        let mut ticks = interval(HOUR);
        assert_eq!((ticks.period(), ticks.missed_tick_behavior()), (HOUR, MissedTickBehavior::Burst));
        assert_eq!(poll!(pin!(ticks.tick())), Poll::Ready(start));
        for hours in 1..=3 {
            assert_eq!(ticks.tick().await, start + hours * HOUR);
            assert_eq!(now(), start + hours * HOUR);
        }
        assert_eq!(Metrics::current().parks, 0);
    });
}

#[test]
fn the_first_tick_of_one_that_was_made_outside_comes_at_once() {
    let _watchdog = Watchdog::start();
    let executor = Executor::new().unwrap();
    let mut driver = ThreadDriver::new();
    executor.block_on(&mut driver, async {
        pause();
        advance(3 * HOUR).await;
    });
    for behavior in BEHAVIORS {
        let mut ticks = with(interval(HOUR), behavior);
        executor.block_on(&mut driver, async {
            let start = now();
            for hours in 0..3 {
                assert_eq!(ticks.tick().await, start + hours * HOUR);
                assert_eq!(now(), start + hours * HOUR);
            }
        });
    }
}

#[test]
fn the_first_tick_can_be_planned_for_later() {
    run_paused(async {
        let start = now();
        let mut ticks = interval_at(start + 90 * SECOND, HOUR);
        assert!(poll!(pin!(ticks.tick())).is_pending());
        assert_eq!(ticks.tick().await, start + 90 * SECOND);
        assert_eq!(now(), start + 90 * SECOND);
        assert_eq!(ticks.tick().await, start + 90 * SECOND + HOUR);
    });
}

#[test]
fn a_first_tick_in_the_past_has_been_missed() {
    run_paused(async {
        advance(HOUR).await;
        for late in [NANO, TOLERATED, TOLERATED + NANO, SECOND, 3 * SECOND, 7 * SECOND / 2] {
            for behavior in BEHAVIORS {
                let start = now() - late;
                let work = [Duration::ZERO; 6];
                let seen = ticks_of(with(interval_at(start, SECOND), behavior), start, &work).await;
                assert_eq!(seen[0], (Duration::ZERO, late), "the first is planned for the past, and comes at once");
                assert_eq!(seen, model_late(behavior, late, SECOND, work.len()), "{behavior:?}, late by {late:?}");
            }
        }
    });
}

/// [`model`] for an interval that was planned to begin `late` ago.
fn model_late(behavior: MissedTickBehavior, late: Duration, period: Duration, count: usize) -> Vec<Tick> {
    // As if a first tick, a period before, had been followed by that much work.
    let mut work = vec![Duration::ZERO; count + 1];
    work[0] = period + late;
    let ticks = model(behavior, Duration::ZERO, period, &work);
    ticks[1..].iter().map(|(planned, at)| (*planned - period, *at - period)).collect()
}

#[test]
fn what_is_done_about_missed_ticks_can_be_changed_on_the_way() {
    run_paused(async {
        let start = now();
        let mut ticks = interval(SECOND);
        ticks.tick().await;
        advance(10 * SECOND + SECOND / 2).await;
        assert_eq!(ticks.tick().await, start + SECOND);
        assert_eq!(ticks.tick().await, start + 2 * SECOND, "burst");
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Skip);
        assert_eq!(ticks.tick().await, start + 3 * SECOND, "the next was planned already");
        assert_eq!(ticks.tick().await, start + 11 * SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        advance(3 * SECOND / 2).await;
        assert_eq!(ticks.tick().await, start + 12 * SECOND);
        assert_eq!(ticks.tick().await, start + 13 * SECOND + SECOND / 2);
        assert_eq!(now(), start + 13 * SECOND + SECOND / 2);
    });
}

#[test]
fn a_reset_has_the_next_tick_a_period_from_then() {
    run_paused(async {
        let start = now();
        for polls in 0..=1 {
            let mut ticks = interval(HOUR);
            let base = ticks.tick().await;
            advance(HOUR / 2).await;
            for _ in 0..polls {
                assert!(poll!(pin!(ticks.tick())).is_pending());
            }
            ticks.reset();
            assert_eq!(Metrics::current().timers, 0, "the timer of before is gone");
            for hours in 1..=2 {
                assert_eq!(ticks.tick().await, base + HOUR / 2 + hours * HOUR);
                assert_eq!(now(), base + HOUR / 2 + hours * HOUR);
            }
            // Also when ticks were missed: their backlog is gone.
            advance(10 * HOUR).await;
            let moment = now();
            ticks.reset();
            assert_eq!(ticks.tick().await, moment + HOUR);
        }
        // And before the first, which then does not come at once.
        let mut ticks = interval(HOUR);
        ticks.reset();
        let moment = now();
        assert_eq!(ticks.tick().await, moment + HOUR);
        assert!(now() > start);
    });
}

#[test]
fn an_immediate_reset_has_the_next_tick_at_once_and_the_others_from_there() {
    run_paused(async {
        for polls in 0..=1 {
            let mut ticks = interval_at(now() + HOUR, HOUR);
            advance(HOUR / 3).await;
            for _ in 0..polls {
                assert!(poll!(pin!(ticks.tick())).is_pending());
            }
            let moment = now();
            ticks.reset_immediately();
            assert_eq!(poll!(pin!(ticks.tick())), Poll::Ready(moment));
            assert_eq!(ticks.tick().await, moment + HOUR);
            assert_eq!(now(), moment + HOUR);
        }
    });
}

#[test]
fn a_reset_to_a_moment_has_the_next_tick_there_and_the_others_from_there() {
    run_paused(async {
        let resets: [fn(&mut Interval, Duration); 2] =
            [Interval::reset_after, |ticks, duration| ticks.reset_at(now() + duration)];
        for reset in resets {
            for polls in 0..=1 {
                let mut ticks = interval_at(now() + HOUR, HOUR);
                advance(HOUR / 3).await;
                for _ in 0..polls {
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                }
                let moment = now();
                reset(&mut ticks, HOUR / 5);
                for hours in 0..=1 {
                    assert_eq!(ticks.tick().await, moment + HOUR / 5 + hours * HOUR);
                    assert_eq!(now(), moment + HOUR / 5 + hours * HOUR);
                }
                reset(&mut ticks, Duration::ZERO);
                assert_eq!(poll!(pin!(ticks.tick())), Poll::Ready(now()));
            }
        }
        // A moment that has passed is that of the tick, and the others keep to it.
        let (mut ticks, start) = (interval(HOUR), now());
        advance(HOUR / 2).await;
        ticks.reset_at(start);
        assert_eq!(poll!(pin!(ticks.tick())), Poll::Ready(start));
        assert_eq!(ticks.tick().await, start + HOUR);
        ticks.reset_after(Duration::MAX);
        advance(1_000 * HOUR).await;
        assert!(poll!(pin!(ticks.tick())).is_pending(), "it is far, and nothing overflows");
    });
}

/// What `f` panics with, and at which line of this file.
fn panic_and_line_of<R>(f: impl FnOnce() -> R) -> (String, u32) {
    thread_local!(static LINE: Cell<u32> = const { Cell::new(0) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        silence_expected_panics(); // outermost is ours
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LINE.set(info.location().filter(|place| place.file() == file!()).map_or(0, |place| place.line()));
            before(info);
        }));
    });
    (panic_of(f), LINE.take())
}

#[test]
fn a_period_of_zero_panics_at_the_callers_line() {
    let zero = |line| ("an interval of zero would tick for ever".to_owned(), line);
    assert_eq!(panic_and_line_of(|| interval(Duration::ZERO)), zero(line!()));
    assert_eq!(panic_and_line_of(|| interval_at(Instant::now(), Duration::ZERO)), zero(line!()));
    run(async {
        assert_eq!(panic_and_line_of(|| interval(Duration::ZERO)), zero(line!()));
    });
    let mut ticks = interval(HOUR);
    let message = panic_of(|| {
        let mut tick = pin!(ticks.tick());
        tick.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    });
    assert!(message.starts_with("a `Sleep` was polled outside a Pollywog executor"), "{message}");
}

#[test]
fn a_tick_that_is_dropped_at_every_poll_loses_nothing() {
    run_paused(async {
        for (behavior, polls) in BEHAVIORS.into_iter().flat_map(|behavior| [0, 1, 2, 5].map(|polls| (behavior, polls)))
        {
            let start = now();
            let mut ticks = with(interval(HOUR), behavior);
            assert_eq!(ticks.tick().await, start);
            for hours in 1..=4 {
                // Never polled, or polled at several moments before it is due, and dropped each time.
                drop(ticks.tick());
                for _ in 0..polls {
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                    advance(HOUR / 6).await;
                }
                assert_eq!(Metrics::current().timers, usize::from(polls > 0), "at most one timer is set");
                advance(start + hours * HOUR - now()).await;
                // Due, and not asked for: it waits.
                drop(ticks.tick());
                assert_eq!(poll!(pin!(ticks.tick())), Poll::Ready(start + hours * HOUR));
            }
            drop(ticks);
            assert_eq!(Metrics::current().timers, 0);
        }
    });
}

#[test]
fn a_tick_that_loses_against_another_future_loses_nothing() {
    run_paused(async {
        let start = now();
        let mut ticks = interval(10 * SECOND);
        let (mut seen, mut others) = (Vec::new(), 0);
        while seen.len() < 6 {
            let other = pin!(sleep(3 * SECOND));
            let tick = pin!(ticks.tick());
            match futures::future::select(other, tick).await {
                futures::future::Either::Left(_) => others += 1,
                futures::future::Either::Right((planned, _)) => {
                    seen.push((planned - start).as_secs());
                    assert_eq!(planned, now());
                }
            }
        }
        assert_eq!((seen, others), (vec![0, 10, 20, 30, 40, 50], 15));
    });
}

#[test]
fn the_latest_waker_is_woken_by_a_tick() {
    run_paused(async {
        let (first, second) = (Counter::new(), Counter::new());
        let mut ticks = interval_at(now() + HOUR, HOUR);
        assert!(poll_with(&mut pin!(ticks.tick()), first.clone()).is_pending());
        assert!(poll_with(&mut pin!(ticks.tick()), second.clone()).is_pending());
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 2));
        sleep(HOUR).await;
        yield_now().await;
        assert_eq!((first.count(), second.count()), (0, 1));
    });
}

#[test]
fn huge_periods_do_not_panic() {
    bounded(|| {
        run_paused(async {
            let year = 365 * 24 * HOUR;
            let huge = [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64)];
            for period in huge.into_iter().chain([Duration::from_millis(u64::MAX), 1_000 * year]) {
                for behavior in BEHAVIORS {
                    let start = now();
                    let mut ticks = with(interval(period), behavior);
                    assert_eq!(ticks.tick().await, start);
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                    advance(HOUR).await;
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                    ticks.reset();
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                    ticks.reset_immediately();
                    assert_eq!(ticks.tick().await, start + HOUR);
                    // Late by an hour.
                    let mut ticks = with(interval_at(start, period), behavior);
                    assert_eq!(ticks.tick().await, start);
                    assert!(poll!(pin!(ticks.tick())).is_pending());
                    // Far away, too.
                    let far = start.checked_add(Duration::from_millis(u64::MAX)).unwrap();
                    assert!(poll!(pin!(with(interval_at(far, period), behavior).tick())).is_pending());
                }
            }
            assert_eq!(Metrics::current().timers, 0);
        });
    });
}

#[test]
fn ticks_that_catch_up_let_others_in() {
    bounded(|| {
        run_paused(async {
            advance(HOUR).await;
            let count = Rc::new(Cell::new(0_u32));
            let counter = count.clone();
            let mut ticks = interval_at(now() - HOUR, Duration::from_micros(1));
            let endless = spawn(async move {
                loop {
                    ticks.tick().await;
                    counter.set(counter.get() + 1);
                }
            });
            let (mut before, mut turns) = (0, 0);
            while turns < 10 {
                yield_now().await;
                let ticked = count.get() - before;
                assert!(0 < ticked && ticked <= 128, "{ticked} in one poll");
                (before, turns) = (count.get(), turns + 1);
            }
            endless.abort();
        });
    });
}

#[test]
fn several_intervals_keep_their_own_plans() {
    Executor::new().unwrap().block_on(&mut SimDriver::new(), async {
        let (start, seen) = (now(), Rc::new(RefCell::new(Vec::new())));
        let tasks = [(7, "seven"), (3, "three"), (5, "five")].map(|(seconds, name)| {
            let seen = seen.clone();
            spawn(async move {
                let mut ticks = interval(seconds * SECOND);
                while ticks.tick().await < start + 15 * SECOND {
                    seen.borrow_mut().push(((now() - start).as_secs(), name));
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let mut expected: Vec<_> = [(3, "three"), (5, "five"), (7, "seven")]
            .into_iter()
            .flat_map(|(step, name)| (0..15).step_by(step).map(move |second| (second, name)))
            .collect();
        let seen = &mut *seen.borrow_mut();
        assert!(seen.is_sorted_by_key(|(second, _)| *second));
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(*seen, expected);
    });
}

#[test]
fn without_a_paused_clock_no_tick_is_early() {
    bounded(|| {
        Executor::new().unwrap().block_on(&mut ThreadDriver::new(), async {
            let mut ticks = interval(MILLI);
            let start = ticks.tick().await;
            for count in 1..=5 {
                assert_eq!(ticks.tick().await, start + count * MILLI);
                assert!(Instant::now() >= start + count * MILLI);
            }
        });
    });
}
