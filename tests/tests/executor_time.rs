//! Timers: never early, whatever the deadline, the waker, or the executor that they come to.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::{Sleep, coarse_now, now, pause, sleep, sleep_until, timeout, timeout_at};
use pollywog_executor::{Executor, Metrics, spawn, task::yield_now};
use pollywog_tests::executor::{Counter, OnDrop, bounded, panic_of, poll_with, run};

const SHORT: Duration = Duration::from_millis(2);

/// Keeps the thread busy.
fn work(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {}
}

#[test]
fn sleep_after_work() {
    run(async {
        yield_now().await;
        coarse_now(); // the turn has read the clock
        work(Duration::from_millis(20));
        let start = Instant::now();
        sleep(Duration::from_millis(15)).await;
        assert!(start.elapsed() >= Duration::from_millis(15), "early: {:?}", start.elapsed());
    });
}

#[test]
fn a_sleep_counts_from_its_call() {
    run(async {
        let start = Instant::now();
        let mut waits = sleep(SHORT);
        assert!(waits.deadline() >= start + SHORT);
        work(2 * SHORT);
        assert!(waits.is_elapsed());
        assert!(poll_with(&mut waits, Counter::new()).is_ready(), "due before the first poll");
    });
}

#[test]
fn what_is_due_is_ready_at_the_first_poll() {
    run(async {
        let now = Instant::now();
        for mut due in [sleep(Duration::ZERO), sleep_until(now), sleep_until(now - Duration::from_millis(1))] {
            let waker = Counter::new();
            assert!(due.is_elapsed());
            assert!(poll_with(&mut due, waker.clone()).is_ready());
            assert!(poll_with(&mut due, waker.clone()).is_ready(), "and stays so");
            assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 1));
        }
    });
}

#[test]
fn a_deadline_beyond_the_clock_is_far_and_no_panic() {
    bounded(|| {
        let far = [Duration::MAX, Duration::from_millis(u64::MAX), Duration::from_secs(i64::MAX as u64)];
        let farther = far.into_iter().chain([Duration::from_secs(u64::MAX), Duration::new(u64::MAX, 999_999_999)]);
        for duration in farther {
            run(async {
                let mut waits = sleep(duration);
                assert!(waits.deadline() > Instant::now() + Duration::from_secs(86_400 * 365));
                assert!(poll_with(&mut waits, Counter::new()).is_pending());
                // With it in the table the loop sleeps and wakes.
                sleep(Duration::from_millis(1)).await;
                assert!(poll_with(&mut waits, Counter::new()).is_pending());
                waits.reset(Instant::now());
                waits.await;
                assert_eq!(timeout(duration, async { 5 }).await, Ok(5));
            });
        }
    });
}

/// The last moment that the machine's clock can name, or the first, as `step` goes.
fn end_of_time(step: impl Fn(Instant, Duration) -> Option<Instant>) -> Instant {
    let steps = (0..64).rev().map(|bit| Duration::from_secs(1 << bit));
    steps.chain([Duration::from_nanos(999_999_999)]).fold(Instant::now(), |at, by| step(at, by).unwrap_or(at))
}

#[test]
fn the_ends_of_time_are_deadlines_like_others() {
    let last = end_of_time(|at, by| at.checked_add(by));
    let first = end_of_time(|at, by| at.checked_sub(by));
    bounded(move || {
        for is_paused in [false, true] {
            run(async {
                if is_paused {
                    pause();
                }
                for mut due in [sleep_until(first), sleep_until(now())] {
                    assert!(due.is_elapsed() && poll_with(&mut due, Counter::new()).is_ready());
                }
                assert!(timeout_at(first, pending::<()>()).await.is_err());

                let far = [last, last - SHORT, now() + Duration::from_millis(u64::MAX)].map(sleep_until);
                let far = far.map(|mut waits| {
                    let waker = Counter::new();
                    assert!(!waits.is_elapsed() && poll_with(&mut waits, waker.clone()).is_pending());
                    (waits, waker)
                });
                assert_eq!(timeout_at(last, async { 5 }).await, Ok(5));
                // They delay none that is nearer, and none of them fires.
                let start = now();
                sleep(SHORT).await;
                assert!(now() >= start + SHORT);
                for (mut waits, waker) in far {
                    assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 2));
                    waits.reset(now() + SHORT);
                    waits.reset(last);
                    assert!(poll_with(&mut waits, waker.clone()).is_pending());
                    waits.reset(first);
                    assert_eq!(Arc::strong_count(&waker), 1);
                    assert!(poll_with(&mut waits, waker).is_ready());
                }
                assert_eq!(Metrics::current().timers, 0);
            });
        }
    });
}

#[test]
fn a_sleep_that_is_not_due_leaves_the_thread_to_others() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let (send, receive) = futures::channel::oneshot::channel();
        executor.spawn(sleep(Duration::MAX));
        let other = thread::spawn(move || send.send(()).unwrap());
        executor.block_on(&mut ThreadDriver::new(), receive).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_hundred_thousand_timers_at_one_instant_all_fire() {
    const COUNT: usize = 100_000;
    bounded(|| {
        run(async {
            let deadline = Instant::now() + Duration::from_millis(50);
            let (polls, fired) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            for _ in 0..COUNT {
                let (polls, fired, mut waits) = (polls.clone(), fired.clone(), sleep_until(deadline));
                spawn(poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    let result = Pin::new(&mut waits).poll(cx);
                    if result.is_ready() {
                        assert!(Instant::now() >= deadline);
                        fired.set(fired.get() + 1);
                    }
                    result
                }));
            }
            while fired.get() < COUNT {
                sleep_until(deadline).await;
                yield_now().await;
            }
            assert!(polls.get() <= 2 * COUNT, "at most one poll to set each and one to see it fire");
        });
    });
}

/// A waker of another make that does something to a `Sleep` from inside of the wake that it causes.
struct Acts {
    wakes: AtomicUsize,
    held: Mutex<Option<Sleep>>,
    act: fn(&mut Option<Sleep>),
}

impl Acts {
    fn new(act: fn(&mut Option<Sleep>)) -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), held: Mutex::new(None), act })
    }

    /// Sets the timer with this waker, and keeps it.
    fn hold(self: &Arc<Self>, mut timer: Sleep) {
        assert!(poll_with(&mut timer, self.clone()).is_pending());
        *self.held.lock().unwrap() = Some(timer);
    }
}

impl Wake for Acts {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        (self.act)(&mut self.held.lock().unwrap());
    }
}

#[test]
fn reset_or_drop_inside_the_wake_that_it_causes() {
    let dropped: fn(&mut Option<Sleep>) = |held| drop(held.take());
    let moved_far: fn(&mut Option<Sleep>) = |held| held.as_mut().unwrap().reset(now() + Duration::from_secs(60));
    let moved_back: fn(&mut Option<Sleep>) = |held| held.as_mut().unwrap().reset(now());
    let polled: fn(&mut Option<Sleep>) = |held| {
        let waker = Waker::noop();
        assert!(Pin::new(held.as_mut().unwrap()).poll(&mut Context::from_waker(waker)).is_ready());
    };
    for act in [dropped, moved_far, moved_back, polled] {
        run(async {
            pause();
            let deadline = now() + SHORT;
            // Several of one moment: each is in the batch in which the others act.
            let acting = [(); 3].map(|()| Acts::new(act));
            for waker in &acting {
                waker.hold(sleep_until(deadline));
            }
            sleep_until(deadline).await;
            yield_now().await;
            for waker in &acting {
                assert_eq!(waker.wakes.load(Ordering::SeqCst), 1);
                drop(waker.held.lock().unwrap().take());
                assert_eq!(Arc::strong_count(waker), 1, "no timer is left");
            }
            sleep(SHORT).await;
            assert!(acting.iter().all(|waker| waker.wakes.load(Ordering::SeqCst) == 1));
        });
    }
}

#[test]
fn a_timer_that_is_taken_out_does_not_wake() {
    run(async {
        pause();
        let waker = Counter::new();
        let mut dropped = sleep(SHORT);
        let mut moved = sleep(SHORT);
        let mut kept = sleep(SHORT);
        for timer in [&mut dropped, &mut moved, &mut kept] {
            assert!(poll_with(timer, waker.clone()).is_pending());
        }
        drop(dropped);
        moved.reset(now() + Duration::from_secs(60));
        assert_eq!(Arc::strong_count(&waker), 2);
        kept.await; // with the task's waker in place of the first
        assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 1));
    });
}

#[test]
fn a_sleep_that_moves_to_another_executor_leaves_the_first() {
    bounded(|| {
        let hour = Duration::from_secs(3600);
        let deadline = Instant::now() + hour;
        let (first, second) = (Executor::new().unwrap(), Executor::new().unwrap());
        for executor in [&first, &second] {
            executor.block_on(&mut ThreadDriver::new(), async { pause() });
        }
        let (here, there) = (Counter::new(), Counter::new());
        let mut moving = sleep_until(deadline);
        first.block_on(&mut ThreadDriver::new(), async {
            assert!(poll_with(&mut moving, here.clone()).is_pending());
        });
        second.block_on(&mut ThreadDriver::new(), async {
            assert!(poll_with(&mut moving, there.clone()).is_pending());
        });
        first.block_on(&mut ThreadDriver::new(), yield_now());
        assert_eq!(Arc::strong_count(&here), 1, "its timer is taken out at the first");
        for executor in [&first, &second] {
            executor.block_on(&mut ThreadDriver::new(), async {
                sleep_until(deadline).await;
                yield_now().await; // a turn in which every timer that is due fires
            });
        }
        assert_eq!((here.count(), there.count()), (0, 1));

        // The same across threads, and dropped where it was never polled.
        let deadline = deadline + hour;
        let mut moving = sleep_until(deadline);
        first.block_on(&mut ThreadDriver::new(), async {
            assert!(poll_with(&mut moving, here.clone()).is_pending());
            let waker = there.clone();
            let moving = thread::spawn(move || {
                run(async {
                    assert!(poll_with(&mut moving, waker).is_pending());
                });
                moving
            })
            .join()
            .unwrap();
            yield_now().await;
            assert_eq!((Arc::strong_count(&here), Arc::strong_count(&there)), (1, 1));
            thread::spawn(move || drop(moving)).join().unwrap();
            sleep_until(deadline).await;
        });
        assert_eq!((here.count(), there.count()), (0, 1));
    });
}

#[test]
fn a_sleep_needs_no_executor_before_its_first_poll() {
    let mut waits = sleep(SHORT);
    let message = panic_of(|| poll_with(&mut waits, Counter::new()));
    assert!(message.starts_with("a `Sleep` was polled outside a Pollywog executor"), "{message}");
    run(waits);
}

#[test]
fn a_timeout_cancels_by_dropping() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let flag = dropped.clone();
        let guard = OnDrop::new(move || flag.set(true));
        let start = Instant::now();
        let result = timeout(SHORT, async move {
            let _guard = guard;
            pending::<()>().await;
        })
        .await;
        assert!(start.elapsed() >= SHORT);
        assert!(dropped.get());
        let elapsed = result.unwrap_err();
        assert_eq!(elapsed.to_string(), "the time limit has passed");
        assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);

        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1), "who is ready has it");
        assert!(timeout_at(Instant::now(), pending::<()>()).await.is_err());
        let task = spawn(timeout(Duration::from_secs(60), pending::<()>()));
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_timer_follows_its_sleep_to_another_task() {
    run(async {
        pause();
        let (first, second) = (Counter::new(), Counter::new());
        let mut waits = sleep(SHORT);
        let deadline = waits.deadline();
        assert!(poll_with(&mut waits, first.clone()).is_pending());
        assert!(poll_with(&mut waits, second.clone()).is_pending());
        sleep_until(deadline).await;
        yield_now().await;
        assert_eq!((first.count(), second.count()), (0, 1), "the last waker is the one that counts");
        assert_eq!(poll_with(&mut waits, first), Poll::Ready(()));
    });
}
