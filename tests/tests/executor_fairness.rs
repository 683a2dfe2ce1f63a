//! Nobody keeps the thread: a task that is always ready lets timers, other threads and the driver in.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use pollywog_executor::driver::{Driver, TaskId};
use pollywog_executor::time::{sleep, sleep_until, timeout};
use pollywog_executor::{Executor, budget, spawn, task::yield_now};
use pollywog_tests::executor::{bounded, run};

/// What a running program waits for: a timer, a task, an answer of another thread.
async fn everything_goes_on() {
    sleep(Duration::from_millis(1)).await;
    spawn(async { yield_now().await }).await.unwrap();
    let (ask, asked) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let other = thread::spawn(move || answer.send(futures::executor::block_on(asked).unwrap()).unwrap());
    ask.send(5).unwrap();
    assert_eq!(answered.await, Ok(5));
    other.join().unwrap();
}

/// A leaf that is always ready, and charged for.
fn leaf() -> impl Future<Output = ()> {
    poll_fn(|cx| budget::charge(cx, |_| Poll::Ready(())))
}

async fn always_ready_leaf() {
    loop {
        leaf().await;
    }
}

#[test]
fn always_ready_task() {
    bounded(|| {
        run(async {
            spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            everything_goes_on().await;
        });
    });
}

#[test]
fn a_task_that_yields_for_ever() {
    bounded(|| {
        run(async {
            spawn(async {
                loop {
                    yield_now().await;
                }
            });
            everything_goes_on().await;
        });
    });
}

#[test]
fn always_ready_leaf_in_a_task() {
    bounded(|| {
        run(async {
            spawn(always_ready_leaf());
            everything_goes_on().await;
        });
    });
}

#[test]
fn two_tasks_that_wake_each_other_for_ever() {
    bounded(|| {
        run(async {
            let wakers: Rc<[Cell<Option<Waker>>; 2]> = Rc::default();
            for own in 0..2 {
                let wakers = wakers.clone();
                spawn(poll_fn(move |cx| {
                    wakers[own].set(Some(cx.waker().clone()));
                    if let Some(other) = wakers[1 - own].take() {
                        other.wake();
                    }
                    Poll::<()>::Pending
                }));
            }
            everything_goes_on().await;
        });
    });
}

/// Counts its turns, and notes the most polls between two of them.
struct Turns {
    polls: Rc<Cell<u32>>,
    most: u32,
    count: u32,
}

impl Driver for Turns {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, _timeout: Option<Duration>, _ready: &mut Vec<TaskId>) {
        self.most = self.most.max(self.polls.take());
        self.count += 1;
    }
}

#[test]
fn the_driver_has_its_turn_after_so_many_polls() {
    const INTERVAL: u32 = 8;
    let polls = Rc::new(Cell::new(0));
    let mut driver = Turns { polls: polls.clone(), most: 0, count: 0 };
    let executor = Executor::builder().event_interval(INTERVAL).build().unwrap();
    for _ in 0..3 {
        let polls = polls.clone();
        executor.spawn(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
    }
    let mut left = 100;
    executor.block_on(
        &mut driver,
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            left -= 1;
            cx.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        }),
    );
    // Four that are always ready share each interval, so the root's hundredth poll is in the fiftieth.
    assert_eq!((driver.most, driver.count), (INTERVAL, 49));
}

#[test]
fn a_yield_gives_way_to_every_ready_task_and_one_turn_of_the_driver() {
    let polls = Rc::new(Cell::new(0));
    let mut driver = Turns { polls: polls.clone(), most: 0, count: 0 };
    Executor::new().unwrap().block_on(&mut driver, async {
        for round in 0..10 {
            let ran = Rc::new(Cell::new(0));
            for _ in 0..5 {
                let ran = ran.clone();
                spawn(async move { ran.set(ran.get() + 1) });
            }
            yield_now().await;
            assert_eq!((ran.get(), round), (5, round));
        }
    });
    assert_eq!(driver.count, 10);
}

#[test]
fn a_timer_that_is_due_goes_before_those_that_have_yielded() {
    run(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (timer, yielded) = (order.clone(), order.clone());
        let deadline = Instant::now() + Duration::from_millis(1);
        let waiting = spawn(async move {
            sleep_until(deadline).await;
            timer.borrow_mut().push("timer");
        });
        spawn(async move {
            while Instant::now() < deadline {}
            yield_now().await;
            yielded.borrow_mut().push("yield");
        })
        .await
        .unwrap();
        waiting.await.unwrap();
        assert_eq!(*order.borrow(), ["timer", "yield"]);
    });
}

#[test]
fn a_budget_bounds_a_poll() {
    const OPERATIONS: u32 = 1_000;
    const PER_POLL: u32 = 128;
    run(async {
        let (polls, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (counter, longest) = (polls.clone(), most.clone());
        let mut left = OPERATIONS;
        let task = spawn(poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            let mut done = 0;
            while left > 0 {
                // What is pending is not charged.
                assert!(budget::charge(cx, |_| Poll::<()>::Pending).is_pending());
                if budget::charge(cx, |_| Poll::Ready(())).is_pending() {
                    return Poll::Pending;
                }
                (left, done) = (left - 1, done + 1);
                longest.set(longest.get().max(done));
            }
            Poll::Ready(())
        }));
        task.await.unwrap();
        assert_eq!((polls.get(), most.get()), (OPERATIONS.div_ceil(PER_POLL), PER_POLL));
    });
}

#[test]
fn a_budget_is_of_the_task_and_not_of_its_neighbour() {
    run(async {
        let ready = || async {
            for _ in 0..128 {
                leaf().await;
            }
        };
        let polls = Rc::new(Cell::new(0));
        let tasks = [(); 3].map(|()| {
            let (polls, mut inner) = (polls.clone(), Box::pin(ready()));
            spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                inner.as_mut().poll(cx)
            }))
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(polls.get(), 3);
    });
}

#[test]
fn a_timeout_fires_when_its_future_used_the_budget_up() {
    bounded(|| {
        run(async {
            assert!(timeout(Duration::from_millis(1), always_ready_leaf()).await.is_err());
            assert!(timeout(Duration::ZERO, always_ready_leaf()).await.is_err());
        });
    });
}

#[test]
fn a_leaf_outside_of_an_executor_has_no_budget() {
    let mut polls = 0;
    let mut future = Box::pin(async {
        for _ in 0..1_000 {
            leaf().await;
        }
    });
    futures::executor::block_on(poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    }));
    assert_eq!(polls, 1);
}
