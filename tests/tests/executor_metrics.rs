//! Every counter of `Metrics`, against runs in which each step is known.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::task::{JoinSet, consume_budget, yield_now};
use pollywog_executor::time::{self, Sleep, sleep};
use pollywog_executor::{Executor, Handle, Metrics, spawn};
use pollywog_tests::executor::{Probe, panic_of, silence_expected_panics};

/// What happens in a sleep; it may report tasks ready.
type Step = Box<dyn FnOnce(&mut Vec<TaskId>)>;

/// A driver whose sleeps follow a script, and end at once. A look brings nothing.
#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    looks: u64,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), looks: 0 }
    }
}

impl Driver for Script {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        self.looks += 1;
        if park != Park::Look {
            self.steps.pop_front().expect("the script has a step for each sleep")(ready);
        }
    }
}

/// The counters, but for the two times.
fn counts(metrics: &Metrics) -> Metrics {
    let mut counts = *metrics;
    (counts.busy, counts.parked) = (Duration::ZERO, Duration::ZERO);
    counts
}

/// The counters where nothing has happened but for what `set` says.
fn expected(set: impl FnOnce(&mut Metrics)) -> Metrics {
    let mut metrics = Metrics::default();
    set(&mut metrics);
    metrics
}

#[test]
fn a_new_executor_has_counted_nothing() {
    let executor = Executor::new().unwrap();
    assert_eq!(executor.metrics(), Metrics::default());
    let other = Executor::new().unwrap();
    other.block_on(&mut ThreadDriver::new(), async { spawn(yield_now()).await.unwrap() });
    assert_eq!(executor.metrics(), Metrics::default(), "each counts for itself");
}

#[test]
fn a_whole_run() {
    let (probe, executor) = (Rc::new(Probe::default()), Executor::new().unwrap());
    let (first, second) = (probe.clone(), probe.clone());
    let mut driver = Script::new([
        Box::new(move |ready: &mut Vec<TaskId>| ready.extend(TaskId::of(&first.waker()))) as Step,
        Box::new(move |_: &mut Vec<TaskId>| {
            let waker = second.waker();
            second.done.set(true);
            thread::spawn(move || waker.wake()).join().unwrap();
        }),
    ]);
    executor.block_on(&mut driver, async {
        let waits = spawn(probe.task());
        assert_eq!(counts(&Metrics::current()), expected(|m| (m.alive, m.spawned, m.polls) = (1, 1, 1)));
        yield_now().await;
        // Both were polled once, the driver was looked at, and the yield woke this task.
        let so_far = expected(|m| {
            (m.alive, m.spawned, m.polls, m.turns, m.wakes_local) = (1, 1, 3, 1, 1);
        });
        assert_eq!(counts(&Metrics::current()), so_far);
        waits.await.unwrap();
        // The driver's report, the other thread's wake, and the wake of this task by the end of the other.
        let so_far = expected(|m| {
            (m.spawned, m.polls, m.turns, m.parks) = (1, 6, 3, 2);
            (m.wakes_local, m.wakes_remote) = (3, 1);
        });
        assert_eq!(counts(&Metrics::current()), so_far);
    });
    assert_eq!((driver.looks, executor.metrics().turns), (3, 3));
    // It goes on from there.
    executor.block_on(&mut driver, async {});
    assert_eq!((executor.metrics().polls, executor.metrics().spawned), (7, 1));
}

#[test]
fn tasks_from_their_spawn_to_their_end() {
    let executor = Executor::new().unwrap();
    let alive = || (Metrics::current().alive, Metrics::current().spawned);
    let handle = executor.spawn(pending::<()>());
    let outside = executor.metrics();
    assert_eq!((outside.alive, outside.spawned), (1, 1));
    executor.block_on(&mut ThreadDriver::new(), async {
        let mut set = JoinSet::new();
        set.spawn(async {});
        assert_eq!(alive(), (2, 2));
        drop(Handle::current().spawn(async {}));
        drop(spawn(async {}));
        assert_eq!(alive(), (4, 4));
        // From another thread: when the executor has read its mail.
        let far = Handle::current();
        let far = thread::spawn(move || far.spawn(pending::<()>())).join().unwrap();
        assert_eq!(alive(), (4, 4));
        yield_now().await;
        assert_eq!(alive(), (2, 5));
        far.abort();
        handle.abort();
        assert_eq!(alive(), (2, 5), "an abort is not the end");
        yield_now().await;
        yield_now().await;
        assert_eq!(alive(), (0, 5));
        // A result that waits for its handle is no task.
        assert!(set.try_join_next().is_some());
        // A task counts while it runs; the future of `block_on` does not.
        spawn(async move { assert_eq!(alive(), (1, 6)) }).await.unwrap();
    });
}

#[test]
fn a_panic_ends_a_task_too() {
    silence_expected_panics();
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        assert!(spawn(async { panic!("expected: poll") }).await.is_err());
        let metrics = Metrics::current();
        assert_eq!((metrics.alive, metrics.spawned, metrics.polls), (0, 1, 3));
    });
}

/// How far each of the two counters of wakes goes on in `f`.
fn wakes(f: impl FnOnce()) -> (u64, u64) {
    let before = Metrics::current();
    f();
    let after = Metrics::current();
    (after.wakes_local - before.wakes_local, after.wakes_remote - before.wakes_remote)
}

#[test]
fn wakes_that_queue_a_task() {
    let executor = Executor::new().unwrap();
    let total = |metrics: &Metrics| (metrics.wakes_local, metrics.wakes_remote);
    executor.block_on(&mut ThreadDriver::new(), async {
        let probe = Rc::new(Probe::default());
        let task = spawn(probe.task());
        yield_now().await;
        let waker = probe.waker();
        assert_eq!(wakes(|| waker.wake_by_ref()), (1, 0));
        assert_eq!(wakes(|| waker.wake_by_ref()), (0, 0), "it is queued");
        assert_eq!(wakes(|| task.abort()), (0, 0), "it is queued");
        yield_now().await;
        assert_eq!(wakes(|| waker.wake_by_ref()), (0, 0), "it has ended");
        assert!(task.await.is_err());

        let task = spawn(pending::<()>());
        yield_now().await;
        assert_eq!(wakes(|| task.abort()), (1, 0));
        assert_eq!(wakes(|| drop(spawn(pending::<()>()))), (0, 0), "a spawn is no wake");

        // A task that wakes itself in its poll.
        let before = total(&Metrics::current());
        let mut again = true;
        spawn(poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            if std::mem::take(&mut again) { Poll::Pending } else { Poll::Ready(()) }
        }))
        .await
        .unwrap();
        // Twice its own, of which the second queues it though it ends, and that of this task.
        assert_eq!(total(&Metrics::current()), (before.0 + 3, before.1));
    });
}

#[test]
fn wakes_by_other_threads() {
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        let probes = [(); 3].map(|()| Rc::new(Probe::default()));
        probes.iter().for_each(|probe| drop(spawn(probe.task())));
        yield_now().await;
        let [first, second, third] = probes.each_ref().map(|probe| probe.waker());
        let before = Metrics::current();
        first.wake_by_ref();
        let posted = thread::spawn(move || {
            first.wake(); // is queued already when the mail is read
            second.wake_by_ref();
            second.wake(); // stands in the mail already
            third.wake();
        });
        posted.join().unwrap();
        assert_eq!(Metrics::current().wakes_remote, before.wakes_remote, "the mail was not read yet");
        yield_now().await;
        let after = Metrics::current();
        // The yield is a wake of its own. The first was polled before the mail was read, so that it is queued again.
        assert_eq!((after.wakes_local - before.wakes_local, after.wakes_remote - before.wakes_remote), (2, 3));
        assert_eq!(probes.each_ref().map(|probe| probe.polls.get()), [3, 2, 2]);
    });
}

#[test]
fn timers_that_are_set() {
    let timers = || Metrics::current().timers;
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        let set = |timer: &mut Sleep| {
            assert!(Pin::new(timer).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        };
        time::pause();
        let hour = Duration::from_secs(3600);
        let (mut first, mut second) = (sleep(hour), sleep(hour));
        assert_eq!(timers(), 0, "not before the first poll");
        set(&mut first);
        set(&mut second);
        set(&mut second);
        assert_eq!(timers(), 2);
        second.reset(time::now() + hour);
        assert_eq!(timers(), 1);
        set(&mut second);
        assert_eq!(timers(), 2);
        drop(first);
        assert_eq!(timers(), 1);
        let due = spawn(sleep(hour / 2));
        yield_now().await;
        assert_eq!(timers(), 2);
        due.await.unwrap();
        assert_eq!(timers(), 1, "it has fired");
        std::mem::forget(second);
    });
    assert_eq!(executor.metrics().timers, 1);
}

#[test]
fn turns_and_sleeps() {
    let executor = Executor::builder().event_interval(10).build().unwrap();
    let probe = Rc::new(Probe::default());
    let steps = (0..3).map(|_| {
        let probe = probe.clone();
        Box::new(move |_: &mut Vec<TaskId>| {
            probe.done.set(probe.polls.get() == 3);
            probe.waker().wake();
        }) as Step
    });
    let mut driver = Script::new(steps);
    executor.block_on(&mut driver, poll_fn(|cx| probe.poll(cx)));
    let metrics = executor.metrics();
    assert_eq!((metrics.turns, metrics.parks, metrics.polls, driver.looks), (3, 3, 4, 3));
    // A hundred tasks in slices of ten, and the root; nobody sleeps.
    let tasks = [(); 100].map(|()| executor.spawn(async {}));
    executor.block_on(&mut driver, async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    let metrics = executor.metrics();
    assert_eq!((metrics.turns, metrics.parks, metrics.polls, driver.looks), (13, 3, 105, 13));
    // A tick is a turn.
    executor.tick(&mut driver);
    executor.tick(&mut driver);
    assert_eq!((executor.metrics().turns, executor.metrics().parks), (15, 3));
}

#[test]
fn tasks_that_had_to_give_way() {
    let executor = Executor::new().unwrap();
    let mut driver = Script::default();
    executor.block_on(&mut driver, async {
        for _ in 0..1_000 {
            consume_budget().await;
        }
        assert_eq!(Metrics::current().forced_yields, 7);
        yield_now().await;
        assert_eq!(Metrics::current().forced_yields, 7, "a yield of its own will is none");
    });
    let metrics = executor.metrics();
    assert_eq!((metrics.turns, metrics.polls, metrics.wakes_local), (8, 9, 8));
}

#[test]
fn a_task_that_is_cancelled_before_its_first_poll_is_not_polled() {
    let executor = Executor::new().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        let task = spawn(async {});
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(Metrics::current().polls, 2);
    });
}

/// Keeps the thread.
fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {}
}

#[test]
fn the_time_of_sleeps_and_of_work() {
    const SLEEP: Duration = Duration::from_millis(5);
    const WORK: Duration = Duration::from_millis(2);
    const ROUNDS: u32 = 3;
    let executor = Executor::new().unwrap();
    let probe = Rc::new(Probe::default());
    let steps = (0..ROUNDS).map(|_| {
        let probe = probe.clone();
        Box::new(move |_: &mut Vec<TaskId>| {
            thread::sleep(SLEEP);
            probe.done.set(probe.polls.get() == ROUNDS as usize);
            probe.waker().wake();
        }) as Step
    });
    let samples = RefCell::new(vec![(Instant::now(), executor.metrics())]);
    let sample = |metrics| samples.borrow_mut().push((Instant::now(), metrics));
    let rounds = Cell::new(0);
    executor.block_on(
        &mut Script::new(steps),
        poll_fn(|cx| {
            sample(Metrics::current());
            work(WORK);
            sample(Metrics::current());
            rounds.set(rounds.get() + 1);
            probe.poll(cx)
        }),
    );
    sample(executor.metrics());
    // Nothing runs: both stand still.
    work(WORK);
    assert_eq!(executor.metrics(), samples.borrow().last().unwrap().1);

    let samples = samples.into_inner();
    let (start, _) = samples[0];
    for pair in samples.windows(2) {
        let ([(_, before), (at, after)], elapsed) = ([pair[0], pair[1]], pair[1].0 - start);
        assert!(after.busy >= before.busy && after.parked >= before.parked, "neither goes back");
        assert!(after.busy + after.parked <= elapsed, "no moment counts twice: {after:?} of {:?}", at - start);
        let slept = after.parks - before.parks;
        assert!(after.parked - before.parked >= SLEEP * slept as u32);
        assert!(slept > 0 || after.parked == before.parked, "it grows in sleep alone");
    }
    // While it runs, the time that runs counts.
    for round in 0..=ROUNDS as usize {
        let [(_, before), (_, after)] = [samples[1 + 2 * round], samples[2 + 2 * round]];
        assert!(after.busy - before.busy >= WORK);
    }
    let (_, end) = samples.last().unwrap();
    assert_eq!((rounds.get(), end.parks), (ROUNDS + 1, u64::from(ROUNDS)));
    assert!(end.parked >= ROUNDS * SLEEP && end.busy >= (ROUNDS + 1) * WORK);
}

#[test]
fn the_current_metrics_are_those_of_the_executor_that_runs() {
    let expected =
        "`Metrics::current` outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread";
    assert_eq!(panic_of(Metrics::current), expected);
    let executor = Executor::new().unwrap();
    let inside = executor.block_on(&mut ThreadDriver::new(), async { Metrics::current() });
    assert_eq!(counts(&inside), counts(&executor.metrics()));
    assert!(executor.metrics().busy >= inside.busy);
}
