//! Tasks that another thread wakes. That thread has a core of its own where there is one.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::Peer;
use super::work::each;

/// How long an executor is left alone, so that it sleeps when it is woken.
const ASLEEP: Duration = Duration::from_micros(50);

/// Gives this thread the first core that the process may use, or the second. The first call in a process has to come
/// before any other thread.
pub fn pin(second: bool) {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    let cores = CORES.get_or_init(|| {
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).take(2).collect()
    });
    if let [first, last] = cores[..] {
        let mut set = CpuSet::new();
        set.set(if second { last } else { first });
        // Where it is refused the kernel chooses, for every executor alike.
        let _ = sched_setaffinity(None, &set);
    }
}

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn wait(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.rung.swap(false, SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// So many times: another thread wakes the only task of an executor that sleeps. The median of the nanoseconds from
/// the call of `wake` until the task runs.
pub async fn latency(times: usize) -> f64 {
    let bell = Arc::new(Bell::default());
    let rung_at = Arc::new(Mutex::new(Instant::now()));
    let (ask, asked) = mpsc::channel();
    let ringer = thread::spawn({
        let (bell, rung_at) = (bell.clone(), rung_at.clone());
        move || {
            pin(true);
            for () in asked {
                thread::sleep(ASLEEP);
                *rung_at.lock().expect("nobody panics") = Instant::now();
                bell.rung.store(true, SeqCst);
                bell.waker.wake();
            }
        }
    });
    let mut samples = Vec::with_capacity(times);
    for _ in 0..times {
        ask.send(()).expect("the thread listens");
        bell.wait().await;
        let now = Instant::now();
        samples.push(now - *rung_at.lock().expect("nobody panics"));
    }
    drop(ask);
    ringer.join().expect("nobody panics");
    samples.sort();
    each(samples[times / 2], 1)
}

/// So many times: another thread wakes so many tasks that wait, one after the other. Nanoseconds for each, until all
/// have run.
pub async fn batch<P: Peer>(tasks: usize, times: usize) -> f64 {
    let wakers = Rc::new(Cell::new(Vec::with_capacity(tasks)));
    let (round, ran) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let done = Rc::new(Bell::default());
    let handles: Vec<_> = (0..tasks)
        .map(|_| P::spawn(woken(wakers.clone(), round.clone(), ran.clone(), done.clone(), tasks, times)))
        .collect();
    done.wait().await;
    let wakers: Vec<Waker> = wakers.take();
    let (ask, asked) = mpsc::channel();
    let ringer = thread::spawn(move || {
        pin(true);
        for () in asked {
            wakers.iter().for_each(Waker::wake_by_ref);
        }
    });
    let start = Instant::now();
    for number in 1..=times {
        round.set(number);
        ran.set(0);
        ask.send(()).expect("the thread listens");
        done.wait().await;
    }
    let result = each(start.elapsed(), tasks * times);
    drop(ask);
    ringer.join().expect("nobody panics");
    for handle in handles {
        handle.await;
    }
    result
}

/// Runs once in each round; the last to run rings.
async fn woken(
    wakers: Rc<Cell<Vec<Waker>>>,
    round: Rc<Cell<usize>>,
    ran: Rc<Cell<usize>>,
    done: Rc<Bell>,
    tasks: usize,
    times: usize,
) {
    let mut seen = None;
    poll_fn(|cx| {
        if seen.is_none() {
            let mut all = wakers.take();
            all.push(cx.waker().clone());
            wakers.set(all);
        }
        if seen != Some(round.get()) {
            seen = Some(round.get());
            ran.set(ran.get() + 1);
            if ran.get() == tasks {
                done.rung.store(true, SeqCst);
                done.waker.wake();
            }
        }
        if round.get() == times { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
