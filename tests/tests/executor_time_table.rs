//! The table of timers, seen from outside: who is woken when, in which order, and by nobody else's doing.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::task::yield_now;
use pollywog_executor::time::{Sleep, advance, now, pause, sleep, sleep_until};
use pollywog_executor::{Executor, Metrics, spawn};
use pollywog_tests::executor::{self, Counter, bounded, in_a_child, poll_with};
use pollywog_tests::net::{Random, Watchdog, pair};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Runs `future` on an executor of its own; one that hangs ends the process.
fn run<F: Future>(future: F) -> F::Output {
    let _watchdog = Watchdog::start();
    executor::run(future)
}

fn timers() -> usize {
    Metrics::current().timers
}

#[test]
fn timers_of_one_moment_fire_in_the_order_in_which_they_were_set() {
    run(async {
        pause();
        for count in [2, 5, 1_000] {
            let (deadline, order) = (now() + HOUR, Rc::new(RefCell::new(Vec::new())));
            let mut tasks = Vec::new();
            for number in 0..count {
                let order = order.clone();
                tasks.push(spawn(async move {
                    let mut waits = sleep_until(deadline);
                    if number % 3 == 0 {
                        // Set anew after all the others, it comes after them.
                        assert!(poll_with(&mut waits, Counter::new()).is_pending());
                        yield_now().await;
                        waits.reset(deadline);
                    }
                    waits.await;
                    assert_eq!(now(), deadline);
                    order.borrow_mut().push(number);
                }));
                // And some between them are taken out again.
                assert!(poll_with(&mut sleep_until(deadline), Counter::new()).is_pending());
            }
            for task in tasks {
                task.await.unwrap();
            }
            let (later, first): (Vec<_>, Vec<_>) = (0..count).partition(|number| number % 3 == 0);
            assert_eq!(*order.borrow(), [first, later].concat());
            assert_eq!(timers(), 0);
        }
    });
}

#[test]
fn a_timer_wakes_its_task_once_and_not_before_its_moment() {
    const SHORT: [Duration; 4] =
        [Duration::from_nanos(1), Duration::from_micros(100), Duration::from_millis(1), Duration::from_micros(1_001)];
    let waits = || async {
        for duration in SHORT {
            let (start, mut polls) = (Instant::now(), 0);
            let mut waits = sleep(duration);
            poll_fn(|cx| {
                polls += 1;
                Pin::new(&mut waits).poll(cx)
            })
            .await;
            assert!(start.elapsed() >= duration);
            assert!(polls <= 2, "{polls} polls: one to set it, one when it fired");
        }
    };
    run(waits());
    pollywog_net::run(waits()).unwrap();
}

/// Sets a timer whose waker is counted.
fn set(deadline: Instant) -> (Sleep, Arc<Counter>) {
    let (mut timer, waker) = (sleep_until(deadline), Counter::new());
    assert!(poll_with(&mut timer, waker.clone()).is_pending());
    (timer, waker)
}

#[test]
fn one_that_has_fired_takes_no_other_out() {
    type End = fn(Sleep);
    let ends: [End; 4] = [
        drop,
        |mut fired| fired.reset(now() + HOUR),
        |mut fired| assert!(poll_with(&mut fired, Counter::new()).is_ready()),
        |fired| thread::spawn(move || drop(fired)).join().unwrap(),
    ];
    for end in ends {
        run(async {
            pause();
            let fired: Vec<_> = (0..5).map(|_| set(now() + SECOND)).collect();
            advance(SECOND).await;
            assert!(fired.iter().all(|(_, waker)| waker.count() == 1));
            assert_eq!(timers(), 0);
            // They get the places of the first, in the other order and in the same.
            let others: Vec<_> = (0..10).map(|_| set(now() + SECOND)).collect();
            for (timer, waker) in fired {
                end(timer);
                assert_eq!(Arc::strong_count(&waker), 1);
            }
            yield_now().await; // what was posted is read
            assert_eq!(timers(), 10);
            advance(SECOND).await;
            assert!(others.iter().all(|(_, waker)| waker.count() == 1));
        });
    }
}

#[test]
fn one_of_an_executor_that_is_gone_takes_none_of_the_next_out() {
    in_a_child("one_of_an_executor_that_is_gone_takes_none_of_the_next_out", || {
        let deadline = Instant::now() + HOUR;
        // All that these executors do is the same, so that what is told apart is told apart by their numbers alone.
        let begin = || {
            let executor = Executor::new().unwrap();
            let timers = executor.block_on(&mut ThreadDriver::new(), async {
                pause();
                let timers: Vec<_> = (0..4).map(|_| set(deadline)).collect();
                yield_now().await;
                timers
            });
            (executor, timers)
        };
        let (first, stale) = begin();
        let id = first.id();
        drop(first);
        assert!(stale.iter().all(|(_, waker)| Arc::strong_count(waker) == 1), "their wakers went with it");
        let (second, timers) = begin();
        assert_eq!(second.id(), id);
        let mut stale = stale.into_iter().map(|(timer, _)| timer);
        let mut next = || stale.next().unwrap();
        // Outside, on another thread, inside, and by a poll inside.
        drop(next());
        let elsewhere = next();
        thread::spawn(move || drop(elsewhere)).join().unwrap();
        second.block_on(&mut ThreadDriver::new(), async {
            drop(next());
            let (mut moved, waker) = (next(), Counter::new());
            assert!(poll_with(&mut moved, waker.clone()).is_pending());
            yield_now().await;
            assert_eq!(Metrics::current().timers, 5);
            sleep_until(deadline).await;
            yield_now().await;
            assert_eq!((now(), waker.count()), (deadline, 1));
            assert!(timers.iter().all(|(_, waker)| waker.count() == 1));
        });
    });
}

#[test]
fn whatever_is_set_moved_and_dropped_each_wakes_at_its_own_moment() {
    run(async {
        pause();
        let mut random = Random::new(1);
        let start = now();
        let moment = |random: &mut Random| now() + Duration::from_nanos(1 + random.below(2_000) as u64);
        let mut held: Vec<(Sleep, Arc<Counter>)> = Vec::new();
        for _ in 0..5_000 {
            match random.below(6) {
                0..=2 => held.push(set(moment(&mut random))),
                3 if !held.is_empty() => {
                    let index = random.below(held.len());
                    let (timer, waker) = held.swap_remove(index);
                    drop(timer);
                    assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 1));
                }
                4 if !held.is_empty() => {
                    let index = random.below(held.len());
                    let (timer, waker) = &mut held[index];
                    timer.reset(moment(&mut random));
                    assert!(poll_with(timer, waker.clone()).is_pending());
                }
                _ => advance(Duration::from_nanos(random.below(200) as u64)).await,
            }
            held.retain(|(timer, waker)| {
                assert_eq!(
                    waker.count(),
                    usize::from(timer.is_elapsed()),
                    "it is woken once, when its moment has come"
                );
                waker.count() == 0
            });
            assert_eq!(timers(), held.len());
        }
        assert!(now() > start + Duration::from_micros(50) && held.len() > 10);
    });
}

#[test]
fn sleeps_that_are_due_at_once_let_others_in() {
    bounded(|| {
        run(async {
            let count = Rc::new(Cell::new(0_u32));
            let counter = count.clone();
            let endless = spawn(async move {
                loop {
                    sleep(Duration::ZERO).await;
                    counter.set(counter.get() + 1);
                }
            });
            let mut before = 0;
            for _ in 0..10 {
                yield_now().await;
                let slept = count.get() - before;
                assert!(0 < slept && slept <= 128, "{slept} in one poll");
                before = count.get();
            }
            endless.abort();
        });
    });
}

#[test]
fn sockets_are_served_between_a_hundred_thousand_timers_of_one_instant() {
    const COUNT: usize = 100_000;
    const PASSES: usize = 6;
    const EVENT_INTERVAL: u64 = 128;
    bounded(|| {
        pollywog_net::run(async {
            pause();
            let (deadline, fired, left) = (now() + HOUR, Rc::new(Cell::new(0)), Rc::new(Cell::new(COUNT)));
            for _ in 0..COUNT {
                let (fired, left) = (fired.clone(), left.clone());
                spawn(async move {
                    sleep_until(deadline).await;
                    fired.set(fired.get() + 1);
                    for _ in 0..PASSES {
                        yield_now().await;
                    }
                    left.set(left.get() - 1);
                });
            }
            yield_now().await;
            assert_eq!(timers(), COUNT);

            let (mut server, mut client) = pair().await;
            spawn(async move {
                let mut byte = [0];
                while let Ok(1) = server.read(&mut byte).await {
                    server.write_all(&byte).await.unwrap();
                }
            });
            let turns = Metrics::current().turns;
            let moved = advance(HOUR);
            let (mut answers, mut byte) = (0_usize, [0]);
            while left.get() > 0 {
                client.write_all(&[1]).await.unwrap();
                client.read_exact(&mut byte).await.unwrap();
                answers += usize::from(fired.get() > 0 && left.get() > 0);
            }
            moved.await;
            assert_eq!((fired.get(), now()), (COUNT, deadline));
            // A task that was woken waits for those that were ready before, so in two passes for both ends.
            assert!(answers >= PASSES / 3, "{answers} answers while the timers fired");
            let turns = Metrics::current().turns - turns;
            let polls = (COUNT * (1 + PASSES)) as u64;
            assert!(turns >= polls / EVENT_INTERVAL, "{turns} looks at the sockets");
        })
        .unwrap();
    });
}

#[test]
fn a_task_that_is_aborted_takes_its_timers_along() {
    run(async {
        pause();
        let tasks: Vec<_> = (1..=100).map(|seconds| spawn(sleep(seconds * SECOND))).collect();
        yield_now().await;
        assert_eq!(timers(), 100);
        tasks.iter().step_by(2).for_each(|task| task.abort());
        yield_now().await;
        assert_eq!(timers(), 50);
        let start = now();
        for (seconds, task) in (1..=100).zip(tasks) {
            assert_eq!(task.await.is_ok(), seconds % 2 == 0);
        }
        assert_eq!((now(), timers()), (start + 100 * SECOND, 0));
        assert_eq!(poll_with(&mut sleep(Duration::ZERO), Counter::new()), Poll::Ready(()));
    });
}
