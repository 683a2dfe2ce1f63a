//! Simulations: a number chooses the order, and time is virtual.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::mpsc::unbounded;
use futures::lock::Mutex;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::sim::SimDriver;
use pollywog_executor::task::{JoinSet, yield_now};
use pollywog_executor::time::{advance, now, pause, resume, sleep};
use pollywog_executor::{Executor, Metrics, scope, spawn};
use pollywog_net::{Runtime, TcpListener, TcpStream};
use pollywog_tests::executor::{bounded, panic_of};
use pollywog_tests::net::Watchdog;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Runs `future` in a simulation, its tasks in the order that `seed` chooses, or first in, first out.
fn simulate<F: Future>(seed: Option<u64>, future: F) -> F::Output {
    let _watchdog = Watchdog::start();
    let builder = Executor::builder();
    let builder = seed.into_iter().fold(builder, |builder, seed| builder.seed(seed));
    builder.build().unwrap().block_on(&mut SimDriver::new(), future)
}

/// Who did what, and when, in the order in which it was done.
#[derive(Clone)]
struct Trace {
    start: Instant,
    steps: Rc<RefCell<Vec<(Duration, String)>>>,
}

impl Trace {
    fn new() -> Self {
        Self { start: now(), steps: Rc::default() }
    }

    fn note(&self, what: impl Debug) {
        self.steps.borrow_mut().push((now() - self.start, format!("{what:?}")));
    }
}

/// A program with a bit of everything: tasks, timers of one moment and of several, yields, channels, a lock, a scope.
async fn program() -> Vec<(Duration, String)> {
    let trace = Trace::new();
    let (send, mut receive) = unbounded();
    let lock = Rc::new(Mutex::new(0));
    let mut workers = JoinSet::new();
    for worker in 0..4_u32 {
        let (trace, send, lock) = (trace.clone(), send.clone(), lock.clone());
        workers.spawn(async move {
            for step in 0..3 {
                trace.note(("works", worker, step));
                sleep((worker % 2 + step) * SECOND).await;
                let mut count = lock.lock().await;
                *count += 1;
                yield_now().await;
                trace.note(("has the lock", worker, *count));
                drop(count);
                send.unbounded_send((worker, step)).unwrap();
            }
            worker
        });
    }
    drop(send);
    let notes = trace.clone();
    let reader = spawn(async move {
        while let Some(message) = receive.next().await {
            notes.note(("reads", message));
        }
    });
    scope(async |s| {
        for child in ["older child", "younger child"] {
            let trace = trace.clone();
            s.spawn(async move {
                sleep(SECOND).await;
                trace.note(child);
            });
        }
    })
    .await;
    while let Some(worker) = workers.join_next().await {
        trace.note(("ends", worker.unwrap()));
    }
    reader.await.unwrap();
    trace.steps.take()
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let first: Vec<_> = (0..50).map(|seed| simulate(Some(seed), program())).collect();
    // Again, with other executors alive, on another thread, and in the other order.
    let _others = [(); 3].map(|()| Executor::new().unwrap());
    let again = thread::spawn(|| {
        let mut runs: Vec<_> = (0..50).rev().map(|seed| simulate(Some(seed), program())).collect();
        runs.reverse();
        runs
    });
    let again = again.join().unwrap();
    for (seed, (first, again)) in first.iter().zip(&again).enumerate() {
        assert_eq!(first, again, "seed {seed}");
    }
    let different: BTreeSet<_> = first.iter().collect();
    assert!(different.len() >= 49, "{} of 50", different.len());
    // The order differs, and nothing else.
    let sorted = |run: &Vec<(Duration, String)>| {
        let mut steps: Vec<_> = run.iter().map(|(_, what)| what.clone()).collect();
        steps.retain(|what| !what.contains("lock"));
        steps.sort();
        steps
    };
    assert!(first.iter().all(|run| sorted(run) == sorted(&first[0])));
}

#[test]
fn without_a_seed_the_order_is_that_of_waking() {
    assert_eq!(simulate(None, program()), simulate(None, program()));
    let order = simulate(None, order_of(5, 0));
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

/// In which order `count` tasks run that become ready at one moment.
async fn order_of(count: usize, seconds: u32) -> Vec<usize> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let order = order.clone();
            spawn(async move {
                if seconds > 0 {
                    sleep(seconds * SECOND).await;
                }
                order.borrow_mut().push(number);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    order.take()
}

#[test]
fn every_order_turns_up() {
    for seconds in [0, 1] {
        let orders = |count, seeds| {
            let orders: BTreeSet<_> = (0..seeds).map(|seed| simulate(Some(seed), order_of(count, seconds))).collect();
            orders.len()
        };
        assert_eq!(orders(3, 60), 6);
        assert_eq!(orders(4, 300), 24);
    }
}

#[test]
fn a_seeded_executor_looks_at_the_driver_after_each_task() {
    struct Looks {
        polls: Rc<Cell<u32>>,
        most: u32,
    }
    impl Driver for Looks {
        fn unparker(&self) -> Waker {
            Waker::noop().clone()
        }
        fn park(&mut self, _: Park, _: &mut Vec<TaskId>) {
            self.most = self.most.max(self.polls.take());
        }
    }
    let polls = Rc::new(Cell::new(0));
    let mut driver = Looks { polls: polls.clone(), most: 0 };
    let executor = Executor::builder().seed(1).build().unwrap();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let polls = polls.clone();
            executor.spawn(async move {
                for _ in 0..10 {
                    polls.set(polls.get() + 1);
                    poll_once().await;
                }
            })
        })
        .collect();
    executor.block_on(&mut driver, async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(driver.most, 1);
}

/// Pending once, and woken at once.
async fn poll_once() {
    let mut is_ready = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut is_ready, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn no_seed_starves_a_task() {
    bounded(|| {
        for seed in 0..20 {
            simulate(Some(seed), async {
                for _ in 0..3 {
                    spawn(poll_fn(|cx| {
                        cx.waker().wake_by_ref();
                        Poll::<()>::Pending
                    }));
                }
                for _ in 0..100 {
                    poll_once().await;
                    yield_now().await;
                }
            });
        }
    });
}

#[test]
fn time_is_virtual_while_a_simulation_runs() {
    let executor = Executor::new().unwrap();
    let machine = Instant::now();
    executor.block_on(&mut SimDriver::new(), async {
        let start = now();
        assert!(machine <= start && start <= Instant::now(), "it begins where the machine is");
        pause(); // as it is
        assert_eq!(now(), start);
        assert_eq!(panic_of(|| resume()), "a simulation has no other clock to go on with");
        sleep(HOUR).await;
        advance(HOUR).await;
        assert_eq!((now(), Metrics::current().parks), (start + 2 * HOUR, 0));
    });
    executor.block_on(&mut ThreadDriver::new(), async {
        assert!(now() <= Instant::now(), "with another driver it is the machine's again");
        assert_eq!(panic_of(|| resume()), "the clock is not paused");
        sleep(Duration::from_millis(1)).await;
        assert!(Metrics::current().parks > 0, "it really slept");
    });
}

#[test]
fn a_clock_that_was_paused_or_moved_before_a_simulation_is_as_it_was() {
    let executor = Executor::new().unwrap();
    let mut thread = ThreadDriver::new();
    let simulation = || executor.block_on(&mut SimDriver::new(), sleep(3 * HOUR));
    let paused = executor.block_on(&mut thread, async {
        pause();
        advance(HOUR).await;
        now()
    });
    simulation();
    let resumed = executor.block_on(&mut thread, async {
        assert_eq!(now(), paused);
        resume();
        now()
    });
    simulation();
    executor.block_on(&mut thread, async {
        assert!(now() >= resumed && now() < resumed + HOUR);
        assert_eq!(panic_of(|| resume()), "the clock is not paused");
    });
}

#[test]
fn time_does_not_go_back_from_one_simulation_to_the_next() {
    let executor = Executor::new().unwrap();
    let mut driver = SimDriver::new();
    let beats = Rc::new(Cell::new(0));
    let counter = beats.clone();
    executor.spawn(async move {
        let mut last = now();
        loop {
            sleep(SECOND).await;
            assert!(now() - last == SECOND);
            last = now();
            counter.set(counter.get() + 1);
        }
    });
    let mut last = Instant::now();
    for _ in 0..3 {
        last = executor.block_on(&mut driver, async {
            assert!(now() >= last);
            beats.set(0);
            sleep(HOUR).await;
            now()
        });
        assert!((3599..=3600).contains(&beats.get()), "{} beats in an hour", beats.get());
    }
}

#[test]
fn time_does_not_go_back_from_tick_to_tick() {
    let executor = Executor::new().unwrap();
    let mut driver = SimDriver::new();
    let task = executor.spawn(async {
        let start = now();
        let mut last = start;
        for _ in 0..5 {
            sleep(HOUR).await;
            assert!(now() >= last + HOUR);
            last = now();
            yield_now().await;
            assert!(now() >= last);
        }
        now() - start
    });
    while executor.has_tasks() {
        executor.tick(&mut driver);
    }
    assert!(executor.block_on(&mut driver, task).unwrap() >= 5 * HOUR);
    assert_eq!(executor.metrics().parks, 0);
}

#[test]
fn a_seeded_runtime_with_sockets_serves() {
    bounded(|| {
        for seed in 0..20 {
            let runtime = Runtime::builder().seed(seed).build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                spawn(async move {
                    loop {
                        let (mut stream, _) = listener.accept().await.unwrap();
                        spawn(async move {
                            let mut buffer = [0; 16];
                            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                                stream.write_all(&buffer[..count]).await.unwrap();
                            }
                        });
                    }
                });
                let clients: Vec<_> = (0..5_u8)
                    .map(|client| {
                        spawn(async move {
                            let mut stream = TcpStream::connect(address).await.unwrap();
                            for round in 0..10 {
                                let message = [client, round];
                                stream.write_all(&message).await.unwrap();
                                let mut answer = [0; 2];
                                stream.read_exact(&mut answer).await.unwrap();
                                assert_eq!(answer, message);
                            }
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
            });
        }
    });
}

#[test]
fn a_seeded_runtime_chooses_among_timers_and_yields() {
    let runs = |seed| {
        let runtime = Runtime::builder().seed(seed).build().unwrap();
        runtime.block_on(async {
            pause();
            let mut order = order_of(3, 1).await;
            order.extend(order_of(3, 0).await);
            order
        })
    };
    let orders: Vec<_> = (0..30).map(runs).collect();
    assert_eq!(orders, (0..30).map(runs).collect::<Vec<_>>());
    assert!(orders.iter().collect::<BTreeSet<_>>().len() > 10);
}

#[test]
fn simulations_on_several_threads_do_not_meet() {
    let expected = Arc::new(simulate(Some(7), program()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let expected = expected.clone();
            thread::spawn(move || (0..5).for_each(|_| assert_eq!(simulate(Some(7), program()), *expected)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
