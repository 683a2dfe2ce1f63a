//! What a task costs: to spawn and join, to yield, to wake from here and from another thread.
//!
//! `cargo bench -p pollywog-executor --bench tasks`, with `-- yields` for what has 'yields' in its name.
//!
//! The column to read is `median`, and below it operations in a second. What other executors cost beside ours is the
//! matter of `bench/`.

use std::future::{Future, pending, poll_fn};
use std::hint::black_box;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use futures::channel::oneshot;
use pollywog_executor::spawn;
use pollywog_executor::task::yield_now;

#[path = "support/loops.rs"]
mod loops;
#[path = "support/ping_pong.rs"]
mod ping_pong;

use self::loops::{Loop, Reactor, Thread};

fn main() {
    // Half a second for each row: single samples here are as short as one burst of whatever else the machine does.
    divan::Divan::default().min_time(Duration::from_millis(500)).config_with_args().main();
}

/// A thousand tasks that do nothing are spawned and joined, while others wait.
#[divan::bench(args = [1_000, 1_000_000])]
fn spawn_and_join_among(bencher: Bencher<'_, '_>, others: usize) {
    const TASKS: usize = 1_000;
    let mut on = Thread::new();
    on.block_on(async {
        for _ in 0..others {
            spawn(pending::<()>());
        }
        yield_now().await;
    });
    bencher.counter(ItemsCount::new(TASKS)).bench_local(|| {
        on.block_on(async {
            let tasks: Vec<_> = (0..TASKS).map(|number| spawn(async move { black_box(number) })).collect();
            for task in tasks {
                black_box(task.await.expect("it does not panic"));
            }
        });
    });
}

/// A thousand tasks yield in turn. Each yield waits for a look at the driver, so this counts its looks too.
#[divan::bench(types = [Thread, Reactor])]
fn yields_of_a_thousand_tasks<L: Loop>(bencher: Bencher<'_, '_>) {
    const TASKS: usize = 1_000;
    const YIELDS: usize = 20;
    let mut on = L::new();
    bencher.counter(ItemsCount::new(TASKS * YIELDS)).bench_local(|| {
        on.block_on(async {
            let tasks = (0..TASKS).map(|_| {
                spawn(async {
                    for _ in 0..YIELDS {
                        yield_now().await;
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.expect("it does not panic");
            }
        });
    });
}

/// A stroke is one task waking the other.
#[divan::bench(types = [Thread, Reactor])]
fn ping_pong_strokes<L: Loop>(bencher: Bencher<'_, '_>) {
    const STROKES: usize = 10_000;
    let mut on = L::new();
    bencher.counter(ItemsCount::new(STROKES)).bench_local(|| on.block_on(ping_pong::ping_pong(STROKES)));
}

/// Each task spawns the next and is done.
#[divan::bench(args = [1_000, 1_000_000], max_time = 3)]
fn chain_of_spawns(bencher: Bencher<'_, '_>, length: usize) {
    fn link(left: usize, end: oneshot::Sender<()>) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            match left {
                0 => end.send(()).expect("the root waits"),
                _ => drop(spawn(link(left - 1, end))),
            }
        })
    }
    let mut on = Thread::new();
    bencher.counter(ItemsCount::new(length)).bench_local(|| {
        on.block_on(async {
            let (end, ended) = oneshot::channel();
            spawn(link(length - 1, end));
            ended.await.expect("the chain comes to its end");
        });
    });
}

/// Each task spawns the next and awaits it: all are alive at the bottom, and then end from the last to the first. A
/// million of them show that no stack grows with the chain.
#[divan::bench(args = [1_000, 1_000_000], max_time = 3)]
fn chain_of_joins(bencher: Bencher<'_, '_>, length: usize) {
    fn link(left: usize) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            if left > 0 {
                spawn(link(left - 1)).await.expect("it does not panic");
            }
        })
    }
    let mut on = Thread::new();
    bencher.counter(ItemsCount::new(length)).bench_local(|| on.block_on(link(length)));
}

/// A task wakes a thread, which wakes it back. Both sleep meanwhile: a trip is two switches of threads, and those are
/// what is seen. They take two microseconds where both threads share a core, as with `taskset -c 0`, and have taken
/// ninety where the system spread them; compare only what was run in the same way.
#[divan::bench(types = [Thread, Reactor])]
fn round_trip_to_a_thread<L: Loop>(bencher: Bencher<'_, '_>) {
    const TRIPS: usize = 100;
    let asked = Arc::new(Mutex::new(Ask::Nothing));
    let asked_by = asked.clone();
    let thread = thread::spawn(move || {
        loop {
            let ask = mem::take(&mut *asked_by.lock().expect("nobody panicked"));
            match ask {
                Ask::Nothing => thread::park(),
                Ask::Answer(waker) => waker.wake(),
                Ask::End => return,
            }
        }
    });
    let ask = |what| {
        *asked.lock().expect("nobody panicked") = what;
        thread.thread().unpark();
    };
    let mut on = L::new();
    bencher.counter(ItemsCount::new(TRIPS)).bench_local(|| {
        on.block_on(async {
            for _ in 0..TRIPS {
                let mut has_asked = false;
                poll_fn(|cx| {
                    if mem::replace(&mut has_asked, true) {
                        return Poll::Ready(());
                    }
                    ask(Ask::Answer(cx.waker().clone()));
                    Poll::Pending
                })
                .await;
            }
        });
    });
    ask(Ask::End);
    thread.join().expect("it does not panic");
}

/// What a task wants of the thread.
#[derive(Default)]
enum Ask {
    #[default]
    Nothing,
    Answer(Waker),
    End,
}
