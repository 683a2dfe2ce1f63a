//! Nobody keeps the thread: a task that is always ready lets timers, other threads and the driver in.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::{mpsc, oneshot};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use pollywog_executor::driver::{Driver, Park, TaskId};
use pollywog_executor::task::{JoinSet, consume_budget, unconstrained, yield_now};
use pollywog_executor::time::{self, sleep, sleep_until, timeout};
use pollywog_executor::{Executor, Metrics, budget, scope, spawn};
use pollywog_tests::executor::{Probe, bounded, run, silence_expected_panics};

/// What one poll of a task may do.
const PER_POLL: usize = 128;

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
fn a_task_that_sleeps_for_no_time() {
    bounded(|| {
        run(async {
            spawn(async {
                loop {
                    sleep(Duration::ZERO).await;
                }
            });
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

    fn park(&mut self, _park: Park, _ready: &mut Vec<TaskId>) {
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
    const OPERATIONS: usize = 1_000;
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
    bounded(|| {
        run(async {
            let ready = || async {
                for _ in 0..PER_POLL {
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
    bounded(|| {
        // Not even where one has just used its own up.
        run(poll_fn(|cx| Poll::Ready(drain(cx))));
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
    });
}

/// A channel of another make with so many messages in it.
fn filled(count: usize) -> mpsc::UnboundedReceiver<usize> {
    let (send, receive) = mpsc::unbounded();
    (0..count).for_each(|message| send.unbounded_send(message).unwrap());
    receive
}

/// Reports a task ready at its first look, as a reactor does with an event.
struct Event(Rc<Probe>);

impl Driver for Event {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, _park: Park, ready: &mut Vec<TaskId>) {
        ready.extend(TaskId::of(&self.0.waker()));
    }
}

/// Receives `count` messages in one task, with or without a charge; how many were left when an event of the driver and a
/// timer had their turn, and how often the driver was looked at meanwhile.
fn left_when_others_had_their_turn(count: usize, is_charged: bool) -> (Option<usize>, Option<usize>, u64) {
    let probe = Rc::new(Probe::default());
    Executor::new().unwrap().block_on(&mut Event(probe.clone()), async {
        let left = Rc::new(Cell::new(count));
        let (at_event, at_timer) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let (event, timer) = (at_event.clone(), at_timer.clone());
        let (seen_by_event, seen_by_timer) = (left.clone(), left.clone());
        drop(spawn(poll_fn(move |cx| {
            if probe.polls.get() == 1 {
                event.set(Some(seen_by_event.get()));
            }
            probe.poll(cx)
        })));
        time::pause();
        drop(spawn(async move {
            sleep(Duration::from_secs(1)).await;
            timer.set(Some(seen_by_timer.get()));
        }));
        let task = spawn(async move {
            // The timer is due before the first message, so it fires at the next look.
            drop(time::advance(Duration::from_secs(1)));
            let before = Metrics::current().turns;
            let mut receiver = filled(count);
            while left.get() > 0 {
                match is_charged {
                    true => budget::coop(receiver.next()).await.unwrap(),
                    false => receiver.next().await.unwrap(),
                };
                left.set(left.get() - 1);
            }
            (at_event.get(), at_timer.get(), Metrics::current().turns - before)
        });
        task.await.unwrap()
    })
}

#[test]
fn a_channel_that_is_always_ready_lets_events_and_timers_in_where_it_is_charged() {
    const MESSAGES: usize = 10 * PER_POLL;
    let left = MESSAGES - PER_POLL;
    assert_eq!(left_when_others_had_their_turn(MESSAGES, true), (Some(left), Some(left), 9));
    // And not without: the whole of it is one poll.
    assert_eq!(left_when_others_had_their_turn(MESSAGES, false), (None, None, 0));
}

#[test]
fn a_charged_channel_that_is_empty_wakes_its_receiver() {
    bounded(|| {
        run(async {
            let (send, mut receive) = mpsc::unbounded();
            let task = spawn(async move { budget::coop(receive.next()).await });
            yield_now().await;
            let other = thread::spawn(move || send.unbounded_send(5).unwrap());
            assert_eq!(task.await.unwrap(), Some(5));
            other.join().unwrap();
        });
    });
}

#[test]
fn a_computation_that_consumes_its_budget_gives_way() {
    run(async {
        let steps = Rc::new(Cell::new(0));
        let theirs = steps.clone();
        let before = Metrics::current();
        let task = spawn(async move {
            for _ in 0..1_000 {
                consume_budget().await;
                theirs.set(theirs.get() + 1);
            }
        });
        for turn in 1..1_000 / PER_POLL {
            yield_now().await;
            assert_eq!(steps.get(), turn * PER_POLL);
        }
        task.await.unwrap();
        assert_eq!(Metrics::current().forced_yields - before.forced_yields, 7);
    });
}

/// Uses the budget of this poll up; how much there was.
fn drain(cx: &mut Context<'_>) -> usize {
    (0..1_000).find(|_| budget::charge(cx, |_| Poll::Ready(())).is_pending()).expect("there is a budget")
}

/// Uses so much of the budget.
fn spend(cx: &mut Context<'_>, units: usize) -> Poll<()> {
    assert!((0..units).all(|_| budget::charge(cx, |_| Poll::Ready(())).is_ready()));
    Poll::Ready(())
}

fn once<F: Future>(cx: &mut Context<'_>, future: F) -> Poll<F::Output> {
    pin!(future).poll(cx)
}

/// Runs `test` in one poll of a task.
fn in_a_poll(test: impl FnOnce(&mut Context<'_>) + 'static) {
    let mut test = Some(test);
    let once = poll_fn(move |cx| {
        test.take().expect("one poll")(cx);
        Poll::Ready(())
    });
    run(async { spawn(once).await.unwrap() });
}

#[test]
fn what_is_unconstrained_leaves_the_budget_as_it_was() {
    in_a_poll(|cx| {
        assert!(spend(cx, 100).is_ready());
        assert!(once(cx, unconstrained(poll_fn(|cx| spend(cx, 1_000)))).is_ready());
        // One that waits gives it back, too.
        assert!(once(cx, unconstrained(std::future::pending::<()>())).is_pending());
        assert_eq!(drain(cx), PER_POLL - 100);
        // Also where nothing is left.
        assert!(once(cx, unconstrained(poll_fn(|cx| spend(cx, 1_000)))).is_ready());
        assert_eq!(drain(cx), 0);
    });
}

#[test]
fn what_is_unconstrained_and_panics_leaves_the_budget_as_it_was() {
    silence_expected_panics();
    in_a_poll(|cx| {
        assert!(spend(cx, 28).is_ready());
        let work = unconstrained(poll_fn(|cx| -> Poll<()> {
            assert!(spend(cx, 1_000).is_ready());
            panic!("expected: unconstrained");
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| once(cx, work))).is_err());
        assert_eq!(drain(cx), PER_POLL - 28);
    });
}

#[test]
fn what_is_unconstrained_can_be_nested() {
    in_a_poll(|cx| {
        assert!(spend(cx, 1).is_ready());
        let inner = || unconstrained(poll_fn(|cx| spend(cx, 300)));
        let outer = unconstrained(poll_fn(|cx| {
            assert!(once(cx, inner()).is_ready());
            // Still without a budget.
            spend(cx, 300)
        }));
        assert!(once(cx, outer).is_ready());
        assert_eq!(drain(cx), PER_POLL - 1);
    });
}

#[test]
fn an_unconstrained_task_is_one_poll() {
    run(async {
        let before = Metrics::current();
        unconstrained(async {
            for _ in 0..1_000 {
                consume_budget().await;
            }
        })
        .await;
        let after = Metrics::current();
        assert_eq!((after.polls - before.polls, after.forced_yields), (0, 0));
    });
}

#[test]
fn the_children_of_a_scope_that_is_unconstrained_have_no_budget() {
    run(async {
        unconstrained(scope(async |s| {
            s.spawn(async {
                for _ in 0..1_000 {
                    consume_budget().await;
                }
            });
        }))
        .await;
        assert_eq!(Metrics::current().forced_yields, 0);
    });
}

/// How many further polls `future` takes, where nothing else runs.
async fn further_polls(future: impl Future<Output = ()>) -> u64 {
    let before = Metrics::current().polls;
    future.await;
    Metrics::current().polls - before
}

#[test]
fn join_handles_are_charged() {
    run(async {
        let mut handles = Vec::new();
        handles.resize_with(3 * PER_POLL, || spawn(async {}));
        yield_now().await;
        let polls = further_polls(async {
            for handle in handles {
                handle.await.expect("a handle that was refused has lost nothing");
            }
        });
        assert_eq!(polls.await, 2);
    });
}

#[test]
fn a_set_of_tasks_is_charged() {
    run(async {
        let mut set = JoinSet::new();
        for number in 0..3 * PER_POLL {
            set.spawn(async move { number });
        }
        yield_now().await;
        let mut results = Vec::new();
        let polls = further_polls(async {
            while let Some(result) = set.join_next().await {
                results.push(result.unwrap());
            }
        });
        assert_eq!(polls.await, 3, "each result, and the end");
        assert!(results.into_iter().eq(0..3 * PER_POLL), "none is lost where it has to give way");
    });
}

#[test]
fn a_timeout_whose_time_is_over_fires_in_the_poll_in_which_its_future_has_used_the_budget_up() {
    bounded(|| {
        run(async {
            let (operations, polls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (theirs, counter) = (operations.clone(), polls.clone());
            let mut limited = Box::pin(timeout(Duration::ZERO, async move {
                loop {
                    leaf().await;
                    theirs.set(theirs.get() + 1);
                }
            }));
            let task = spawn(poll_fn(move |cx| {
                counter.set(counter.get() + 1);
                limited.as_mut().poll(cx)
            }));
            assert!(task.await.unwrap().is_err());
            assert_eq!((operations.get(), polls.get()), (PER_POLL, 1));
        });
    });
}

/// A part of a joined future: counts its operations, and notes the most of all parts together in one poll.
struct Parts {
    operations: [Cell<usize>; 2],
    in_this_poll: Cell<usize>,
    most: Cell<usize>,
    polls: Cell<usize>,
    order: RefCell<Vec<usize>>,
}

impl Parts {
    fn new() -> Rc<Self> {
        let (zero, order) = (|| Cell::new(0), RefCell::default());
        Rc::new(Self { operations: [zero(), zero()], in_this_poll: zero(), most: zero(), polls: zero(), order })
    }

    fn operate(&self, part: usize) {
        self.operations[part].set(self.operations[part].get() + 1);
        self.in_this_poll.set(self.in_this_poll.get() + 1);
        self.most.set(self.most.get().max(self.in_this_poll.get()));
        let mut order = self.order.borrow_mut();
        if order.last() != Some(&part) {
            order.push(part);
        }
    }

    async fn part(self: Rc<Self>, part: usize, operations: usize) {
        for _ in 0..operations {
            leaf().await;
            self.operate(part);
        }
    }

    /// Runs `future` as a task, and counts its polls.
    async fn run<T: 'static>(self: Rc<Self>, future: impl Future<Output = T> + 'static) -> T {
        let mut future = Box::pin(future);
        let task = spawn(poll_fn(move |cx| {
            self.in_this_poll.set(0);
            self.polls.set(self.polls.get() + 1);
            future.as_mut().poll(cx)
        }));
        task.await.unwrap()
    }
}

/// One poll of a joined future polls all its parts, within one budget. The parts of `join!` come in their order: what
/// the first takes is not there for the second, which first gets anything when the first waits or is done.
#[test]
fn the_parts_of_a_join_share_one_budget_and_the_first_goes_first() {
    run(async {
        let parts = Parts::new();
        let (first, second) = (parts.clone().part(0, 1_000), parts.clone().part(1, 1_000));
        parts.clone().run(async { futures::join!(first, second) }).await;
        assert_eq!((parts.polls.get(), parts.most.get()), (2_000_usize.div_ceil(PER_POLL), PER_POLL));
        assert_eq!(*parts.order.borrow(), [0, 1], "the second waits for the first");

        // A first part that gives way between its operations leaves the rest to the second.
        let parts = Parts::new();
        let (polite, second) = (parts.clone(), parts.clone().part(1, 1_000));
        let first = async move {
            for _ in 0..10 {
                polite.clone().part(0, 28).await;
                yield_now().await;
            }
        };
        parts.clone().run(async { futures::join!(first, second) }).await;
        assert_eq!((parts.polls.get(), parts.most.get()), (11, PER_POLL));
        assert_eq!(parts.order.borrow().len(), 20, "they take turns");
    });
}

/// `select!` begins with a part at random, so that each gets something; what was refused for lack of budget is still
/// there. One poll of the task is bounded by the one budget of both.
#[test]
fn the_parts_of_a_select_share_one_budget_and_lose_nothing() {
    const MESSAGES: usize = 1_000;
    run(async {
        let parts = Parts::new();
        let theirs = parts.clone();
        let all = async move {
            let (mut first, mut second) = (filled(MESSAGES), filled(MESSAGES));
            let mut expected = [0, 0];
            while expected != [MESSAGES; 2] {
                let (part, message) = futures::select! {
                    message = budget::coop(first.next()).fuse() => (0, message),
                    message = budget::coop(second.next()).fuse() => (1, message),
                };
                // A channel that has ended is ready as well.
                if let Some(message) = message {
                    assert_eq!(message, expected[part]);
                    expected[part] += 1;
                    theirs.operate(part);
                }
            }
        };
        parts.clone().run(all).await;
        assert!((parts.most.get() == PER_POLL) && parts.polls.get() >= 2 * MESSAGES / PER_POLL);
        let switches = parts.order.borrow().len();
        assert!(switches > 100, "both had their turns: {switches} switches");
    });
}

/// `select_biased!` prefers the first that is ready: as with `join!`, nothing is left for the second.
#[test]
fn a_biased_select_lets_the_driver_in_though_not_its_second_part() {
    let mut driver = Turns { polls: Rc::default(), most: 0, count: 0 };
    Executor::new().unwrap().block_on(&mut driver, async {
        let (mut first, mut second) = (filled(4 * PER_POLL + 1), filled(1));
        for _ in 0..4 * PER_POLL + 1 {
            futures::select_biased! {
                message = budget::coop(first.next()).fuse() => assert!(message.is_some()),
                _ = budget::coop(second.next()).fuse() => panic!("the first is ready"),
            }
        }
    });
    assert_eq!(driver.count, 4);
}

/// Its parts have wakers of its making, and what is refused is woken through them.
#[test]
fn an_unordered_set_of_futures_goes_on_where_its_parts_were_refused() {
    bounded(|| {
        run(async {
            let parts = Parts::new();
            let all: FuturesUnordered<_> = (0..2).map(|part| parts.clone().part(part, 1_000)).collect();
            let ended = parts.clone().run(all.count()).await;
            assert_eq!((ended, parts.most.get()), (2, PER_POLL));
            assert_eq!(parts.operations.each_ref().map(Cell::get), [1_000; 2]);
        });
    });
}
