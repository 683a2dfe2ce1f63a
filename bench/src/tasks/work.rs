//! Tasks that are spawned, yield, and wake each other. Every function says how many nanoseconds an operation took.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::Peer;

/// Nanoseconds for each operation.
pub(super) fn each(elapsed: Duration, operations: usize) -> f64 {
    elapsed.as_nanos() as f64 / operations as f64
}

/// So many times: so many tasks are spawned, and then joined in that order. Spawn and join are one operation.
pub async fn spawn_join<P: Peer>(alive: usize, times: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        let spawn = |number| {
            P::spawn(async move {
                black_box(number);
            })
        };
        let handles: Vec<_> = (0..alive).map(spawn).collect();
        for handle in handles {
            handle.await;
        }
    }
    each(start.elapsed(), alive * times)
}

/// So many tasks yield so many times. A yield is an operation.
pub async fn yields<P: Peer>(tasks: usize, times: usize) -> f64 {
    let start = Instant::now();
    let spawn = |_| {
        P::spawn(async move {
            for _ in 0..times {
                P::yield_now().await;
            }
        })
    };
    for task in (0..tasks).map(spawn).collect::<Vec<_>>() {
        task.await;
    }
    each(start.elapsed(), tasks * times)
}

/// Two tasks hand a token to each other.
#[derive(Default)]
struct Table {
    turn: Cell<usize>,
    wakers: RefCell<[Option<Waker>; 2]>,
}

async fn player(table: Rc<Table>, me: usize, strokes: usize) {
    for _ in 0..strokes {
        poll_fn(|cx| {
            if table.turn.get() == me {
                table.turn.set(1 - me);
                if let Some(waker) = table.wakers.borrow_mut()[1 - me].take() {
                    waker.wake();
                }
                return Poll::Ready(());
            }
            table.wakers.borrow_mut()[me] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Two tasks, so many strokes together. A stroke is an operation: a waker is stored, and the other task woken.
pub async fn ping_pong<P: Peer>(strokes: usize) -> f64 {
    let start = Instant::now();
    let table = Rc::new(Table::default());
    let tasks = [0, 1].map(|me| P::spawn(player(table.clone(), me, strokes / 2)));
    for task in tasks {
        task.await;
    }
    each(start.elapsed(), strokes)
}

fn chain<P: Peer>(left: usize) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        if left > 1 {
            P::spawn(chain::<P>(left - 1)).await;
        }
    })
}

/// So many times: a task spawns a task and waits for it, which does the same, so many deep. A task is an operation.
pub async fn chains<P: Peer>(depth: usize, times: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        P::spawn(chain::<P>(depth)).await;
    }
    each(start.elapsed(), depth * times)
}

/// What tasks that are woken share.
#[derive(Default)]
struct Bells {
    wakers: RefCell<Vec<Waker>>,
    ran: Cell<usize>,
    /// Who waits until all have run.
    waits: RefCell<Option<Waker>>,
}

/// Waits to be polled so many times after the first, and counts that it was; the last of so many tells.
async fn woken(bells: Rc<Bells>, tasks: usize, times: usize) {
    let mut polls = 0;
    poll_fn(|cx| {
        if polls == 0 {
            bells.wakers.borrow_mut().push(cx.waker().clone());
        }
        polls += 1;
        bells.ran.set(bells.ran.get() + 1);
        if bells.ran.get() == tasks
            && let Some(waker) = bells.waits.take()
        {
            waker.wake();
        }
        if polls > times { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Bells {
    /// Waits until so many have run.
    async fn all(&self, tasks: usize) {
        poll_fn(|cx| {
            if self.ran.get() == tasks {
                self.ran.set(0);
                return Poll::Ready(());
            }
            *self.waits.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// So many tasks wait. One more wakes them all, and waits until they have run; so many times. A wake is an operation,
/// with the poll that it causes.
pub async fn wakes<P: Peer>(tasks: usize, times: usize) -> f64 {
    let bells = Rc::new(Bells::default());
    let handles: Vec<_> = (0..tasks).map(|_| P::spawn(woken(bells.clone(), tasks, times))).collect();
    bells.all(tasks).await;
    let wakers = bells.wakers.take();
    let start = Instant::now();
    for _ in 0..times {
        wakers.iter().for_each(Waker::wake_by_ref);
        bells.all(tasks).await;
    }
    let result = each(start.elapsed(), tasks * times);
    for handle in handles {
        handle.await;
    }
    result
}
