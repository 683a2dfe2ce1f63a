//! What a task takes of the allocator, counted: allocations to spawn one, bytes while it is alive. And how often the
//! loop looks at its driver while two tasks play ping-pong.
//!
//! `cargo bench -p pollywog-executor --bench allocations`
//!
//! These are no measurements but counts, the same in each run, and the limits are asserted.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::task::yield_now;
use pollywog_executor::{Executor, spawn};

#[path = "support/counting.rs"]
mod counting;
#[path = "support/ping_pong.rs"]
mod ping_pong;

use self::counting::{Count, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A slot of 48 bytes, and one allocation: the future, where it was spawned, and what tells it from its result.
const MOST_BYTES: u64 = 136;

fn main() {
    let spawns = warm_spawns(10_000);
    println!("spawn, run and join, the tables grown: {spawns} allocations for each task");
    assert!(spawns <= 1.0);

    let roomy = bytes_alive(100_000);
    println!("a future of 72 bytes, 100,000 tasks alive: {roomy:.1} bytes for each task");
    let full = bytes_alive(FULL_TABLE);
    println!("a future of 72 bytes, {FULL_TABLE} tasks alive and no slot free: {full:.1} bytes for each task");
    // The executor's own memory is a fraction of a byte for each. A span of `trace` comes on top.
    assert!(cfg!(feature = "trace") || full as u64 <= MOST_BYTES);

    let looks = looks_of_ping_pong();
    println!("ping-pong of {STROKES} strokes, {INTERVAL} polls at most between two looks: {looks} looks at the driver");
    // Beside the strokes there are the first polls of the tasks, and their joins.
    assert!(looks <= STROKES as u32 / INTERVAL + 3);
}

/// Allocations for each of `tasks`, when as many were alive before.
fn warm_spawns(tasks: usize) -> f64 {
    let executor = Executor::new().expect("an executor");
    let mut handles = Vec::with_capacity(tasks);
    executor.block_on(&mut ThreadDriver::new(), async {
        let mut made = 0;
        for _round in ["cold", "warm"] {
            let before = Count::now();
            // Larger than its result, and alive over a wait.
            handles.extend((0..tasks as u64).map(|number| {
                spawn(async move {
                    let words = NineWords([number; 9]);
                    yield_now().await;
                    words.0[8]
                })
            }));
            for handle in handles.drain(..) {
                handle.await.expect("it does not panic");
            }
            made = before.since().allocations;
        }
        made as f64 / tasks as f64
    })
}

/// As many tasks as fill the table of slots to its capacity, with the future of `block_on` for one more.
const FULL_TABLE: usize = (1 << 17) - 1;

/// Bytes alive for each of `tasks`: the allocation of the task, and all tables of the executor.
///
/// The table of slots is a `Vec`, and doubles: 100,000 tasks have 131,072 slots, of which 31,072 wait for more tasks.
/// So what one task takes is seen where the table is full; just after it doubled there are two slots for each. The
/// queue holds four bytes for each task that was ever ready at once; here the tasks are spawned and run a few at a
/// time, as those of a server are.
fn bytes_alive(tasks: usize) -> f64 {
    assert_eq!(size_of::<NineWords>(), 72);
    let before = Count::now();
    let executor = Executor::new().expect("an executor");
    let bytes = executor.block_on(&mut ThreadDriver::new(), async {
        for number in 0..tasks {
            spawn(NineWords([0; 9]));
            if number % 100 == 0 {
                yield_now().await;
            }
        }
        yield_now().await;
        before.since().bytes
    });
    bytes as f64 / tasks as f64
}

const STROKES: usize = 10_000;
const INTERVAL: u32 = 128;

/// A driver that counts how often it is looked at.
struct Looked {
    driver: ThreadDriver,
    looks: u32,
}

impl Driver for Looked {
    fn unparker(&self) -> Waker {
        self.driver.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        self.looks += 1;
        self.driver.park(park, ready);
    }
}

fn looks_of_ping_pong() -> u32 {
    let executor = Executor::builder().event_interval(INTERVAL).build().expect("an executor");
    let mut driver = Looked { driver: ThreadDriver::new(), looks: 0 };
    executor.block_on(&mut driver, ping_pong::ping_pong(STROKES));
    driver.looks
}

/// A future that is never ready, of nine words. The compiler finds no unused value in it, so what a task adds to it is
/// as large as it gets.
struct NineWords([u64; 9]);

impl Future for NineWords {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
