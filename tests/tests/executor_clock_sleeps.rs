//! Sleeps and timeouts under a clock that stands still, is ahead of the machine's, or is another than before.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures::{FutureExt, poll};
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::sim::SimDriver;
use pollywog_executor::time::{advance, now, pause, resume, sleep, sleep_until, timeout, timeout_at};
use pollywog_executor::{Executor, Metrics};
use pollywog_tests::executor::{self, Counter, OnDrop, poll_with};
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

#[test]
fn timeouts_are_exact() {
    run(async {
        pause();
        let start = now();
        assert_eq!(timeout(HOUR, sleep(HOUR - NANO)).await, Ok(()));
        assert_eq!(now(), start + HOUR - NANO);
        assert_eq!(timeout(HOUR, sleep(HOUR)).await, Ok(()), "the future is asked first");
        assert!(timeout(HOUR, sleep(HOUR + NANO)).await.is_err());
        assert_eq!(now(), start + 3 * HOUR - NANO);
        assert!(timeout_at(start + 4 * HOUR, pending::<()>()).await.is_err());
        assert_eq!((now(), timers()), (start + 4 * HOUR, 0));
        assert!(timeout_at(start, pending::<()>()).await.is_err(), "it is over already");
        assert_eq!(now(), start + 4 * HOUR);
    });
}

#[test]
fn a_sleep_goes_by_the_paused_clock() {
    run(async {
        pause();
        let start = now();
        let mut waits = pin!(sleep(HOUR));
        assert_eq!((waits.deadline(), waits.is_elapsed()), (start + HOUR, false));
        advance(HOUR - NANO).await;
        assert!(!waits.is_elapsed());
        assert!(poll!(&mut waits).is_pending());
        waits.as_mut().reset(now() + HOUR);
        assert_eq!((waits.deadline(), timers()), (start + 2 * HOUR - NANO, 0));
        advance(NANO).await;
        assert!(poll!(&mut waits).is_pending(), "the first deadline means nothing any more");
        advance(HOUR - 2 * NANO).await;
        assert!(!waits.is_elapsed());
        waits.as_mut().await;
        assert!(waits.is_elapsed());
        assert_eq!((now(), timers()), (start + 2 * HOUR - NANO, 0));
        waits.as_mut().reset(start);
        assert!(waits.is_elapsed());
        assert!(poll!(&mut waits).is_ready());
        // Set, and then moved before the moment that comes first.
        waits.as_mut().reset(now() + HOUR);
        assert!(poll!(&mut waits).is_pending());
        waits.as_mut().reset(now() + SECOND);
        let moment = now();
        waits.await;
        assert_eq!(now(), moment + SECOND);
    });
}

#[test]
fn a_sleep_that_is_dropped_at_any_poll_leaves_no_timer() {
    run(async {
        pause();
        for polls in 0..4 {
            let (start, waker) = (now(), Counter::new());
            let mut waits = sleep(HOUR);
            for _ in 0..polls.min(3) {
                assert!(poll_with(&mut waits, waker.clone()).is_pending());
            }
            if polls == 3 {
                advance(HOUR).await;
                assert!(poll_with(&mut waits, waker.clone()).is_ready());
            }
            drop(waits);
            assert_eq!((timers(), Arc::strong_count(&waker)), (0, 1));
            sleep_until(start + 2 * HOUR).await;
            assert_eq!(waker.count(), usize::from(polls == 3));
        }
    });
}

#[test]
fn a_timeout_that_is_dropped_at_any_poll_drops_its_future_then() {
    run(async {
        pause();
        for polls in 0..5_usize {
            let (steps, dropped) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let (counter, flag) = (steps.clone(), dropped.clone());
            let guard = OnDrop::new(move || flag.set(true));
            let mut limited = Box::pin(timeout(HOUR, async move {
                let _guard = guard;
                for _ in 0..3 {
                    sleep(SECOND).await;
                    counter.set(counter.get() + 1);
                }
            }));
            for poll in 0..polls {
                assert_eq!(poll!(&mut limited).is_ready(), poll == 3);
                assert_eq!((steps.get(), dropped.get()), (poll, poll == 3));
                advance(SECOND).await;
            }
            drop(limited);
            assert!(dropped.get());
            assert_eq!((timers(), steps.get()), (0, polls.saturating_sub(1).min(3)));
        }
    });
}

#[test]
fn a_sleep_that_moves_goes_by_the_clock_where_it_is_polled() {
    let _watchdog = Watchdog::start();
    let (ahead, behind) = (Executor::new().unwrap(), Executor::new().unwrap());
    let mut drivers = (ThreadDriver::new(), ThreadDriver::new());
    let (start, mut waits, mut elapsed) = ahead.block_on(&mut drivers.0, async {
        pause();
        advance(HOUR).await;
        let mut waits = sleep(60 * SECOND);
        assert!(poll_with(&mut waits, Counter::new()).is_pending());
        assert_eq!(timers(), 1);
        (now(), waits, sleep_until(now()))
    });
    assert_eq!(waits.deadline(), start + 60 * SECOND);

    // There it is an hour off, and the clock has to come all the way.
    let deadline = waits.deadline();
    let mut other = behind.block_on(&mut drivers.1, async {
        pause();
        assert!(now() < start);
        assert!(!waits.is_elapsed() && !elapsed.is_elapsed());
        assert!(poll!(&mut waits).is_pending() && poll!(&mut elapsed).is_pending());
        assert_eq!(timers(), 2);
        let other = sleep(60 * SECOND);
        elapsed.await;
        assert_eq!(now(), start);
        waits.await;
        assert_eq!((now(), timers()), (deadline, 0));
        Some(other)
    });
    // One that was made there is over here.
    ahead.block_on(&mut drivers.0, async {
        assert_eq!((now(), timers()), (start, 0), "the timer is taken out where it was set");
        let other = other.as_mut().unwrap();
        assert!(other.is_elapsed() && poll!(other).is_ready());
    });
}

#[test]
fn a_sleep_that_was_made_outside_counts_from_its_call() {
    let _watchdog = Watchdog::start();
    let executor = Executor::new().unwrap();
    let mut driver = ThreadDriver::new();
    executor.block_on(&mut driver, async {
        pause();
        advance(3 * HOUR).await;
    });
    type Waits = Pin<Box<dyn Future<Output = ()>>>;
    let makers: [fn() -> Waits; 2] =
        [|| Box::pin(sleep(HOUR)), || Box::pin(timeout(HOUR, pending::<()>()).map(|result| assert!(result.is_err())))];
    for maker in makers {
        let made = Instant::now();
        let waits = maker();
        let (before, start) = (Instant::now(), executor.block_on(&mut driver, async { now() }));
        let end = executor.block_on(&mut driver, async {
            waits.await;
            now()
        });
        let after = Instant::now();
        // What has passed of the hour before the first poll has passed on the machine's clock.
        let passed = end - start;
        assert!(passed <= HOUR && passed >= HOUR - (after - made), "{passed:?}");
        assert!(before >= made);
    }
    // Resumed, far ahead.
    executor.block_on(&mut driver, async { resume() });
    let start = Instant::now();
    executor.block_on(&mut driver, sleep(Duration::from_millis(2)));
    assert!(start.elapsed() >= Duration::from_millis(2));
    // A moment is a moment, on whatever clock.
    executor.block_on(&mut driver, sleep_until(Instant::now() + HOUR));
    assert!(start.elapsed() < HOUR);
}

/// Notes how long it may sleep. Each sleep ends at once, with the wake of who waits.
struct Naps<'a> {
    parks: Vec<Park>,
    waits: &'a RefCell<Option<Waker>>,
}

impl Driver for Naps<'_> {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, park: Park, _ready: &mut Vec<TaskId>) {
        self.parks.push(park);
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}

/// How long the driver may sleep while a sleep until `deadline` is polled four times.
fn parks(executor: &Executor, deadline: Instant) -> Vec<Park> {
    let waits = RefCell::new(None);
    let mut driver = Naps { parks: Vec::new(), waits: &waits };
    executor.block_on(&mut driver, async {
        let (mut sleep, mut polls) = (pin!(sleep_until(deadline)), 0);
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            waits.replace(Some(cx.waker().clone()));
            polls += 1;
            if polls == 4 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    driver.parks
}

#[test]
fn each_sleep_of_the_driver_has_the_same_deadline_while_no_nearer_one_is_set() {
    let (executor, deadline) = (Executor::new().unwrap(), Instant::now() + HOUR);
    assert_eq!(parks(&executor, deadline), [Park::Until(deadline); 3]);
    // On a clock that is ahead of the machine's.
    let moment = executor.block_on(&mut ThreadDriver::new(), async {
        pause();
        advance(3 * HOUR).await;
        resume();
        now() + HOUR
    });
    let found = parks(&executor, moment);
    let Park::Until(at) = found[0] else { panic!("{found:?}") };
    assert_eq!(found, [Park::Until(at); 3]);
    assert!(at > deadline && at <= Instant::now() + HOUR, "an hour of the machine's from then");
}

#[test]
fn sleeps_that_were_made_outside_fire_in_the_order_of_making() {
    let _watchdog = Watchdog::start();
    let executor = Executor::new().unwrap();
    let (mut first, mut second) = (sleep(HOUR), sleep(HOUR));
    assert!(first.deadline() <= second.deadline());
    executor.block_on(&mut SimDriver::new(), async {
        assert!(poll!(&mut first).is_pending());
        work(Duration::from_millis(1)); // what the machine is busy with changes nothing
        assert!(poll!(&mut second).is_pending());
        assert!(first.deadline() <= second.deadline());
    });
}

#[test]
fn a_sleep_that_was_made_outside_for_ever_never_comes() {
    let _watchdog = Watchdog::start();
    let executor = Executor::new().unwrap();
    let mut waits = sleep(Duration::from_secs(i64::MAX as u64 - 1_000_000));
    executor.block_on(&mut ThreadDriver::new(), async {
        pause();
        advance(24 * 365 * HOUR).await;
        assert!(poll!(&mut waits).is_pending());
        assert!(!waits.is_elapsed());
    });
}
