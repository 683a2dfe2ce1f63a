//! What a timer costs, through `time::sleep`.
//!
//! `cargo bench -p pollywog-executor --bench timers`
//!
//! Nanoseconds; medians of interleaved rounds. The tables that a timer could stand in are compared by
//! `timer_structures`.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use pollywog_executor::time::{Duration, Instant, Sleep, sleep, sleep_until};
use pollywog_executor::{Metrics, spawn};

#[path = "support/loops.rs"]
mod loops;
#[path = "support/random.rs"]
mod random;
#[path = "support/rounds.rs"]
mod rounds;

use self::loops::{Loop, Reactor, Thread};
use self::random::Random;
use self::rounds::Measure;

/// How far away a timer is that does not fire: in the middle of the others, which do not fire either while this runs.
const LIMIT: Duration = Duration::from_secs(120);

fn main() {
    let scale = if rounds::is_smoke() { 1_000 } else { 1 };

    rounds::header("nanoseconds for each timer", &["alone", "among 100,000", "among 1,000,000"]);
    let among = [0, 100_000, 1_000_000].map(|others| others / scale);
    rounds::row(
        "sleep for two minutes: create, poll once, drop",
        &mut among.map(|others| create_poll_drop(others, 100_000 / scale)),
    );

    println!();
    rounds::header("nanoseconds of processor time for each task", &["on a bare thread", "on the reactor"]);
    let tasks = 100_000 / scale;
    rounds::row(
        "100,000 tasks that sleep once, until moments within a second",
        &mut [fire_within_a_second::<Thread>(tasks), fire_within_a_second::<Reactor>(tasks)],
    );
}

/// What a timeout costs that is not needed.
fn create_poll_drop(others: usize, timers: usize) -> Measure {
    let mut on = Thread::new();
    let mut random = Random::new(1);
    let mut others: Vec<Sleep> =
        (0..others).map(|_| sleep(LIMIT / 2 + Duration::from_millis(random.below(LIMIT.as_millis() as u64)))).collect();
    on.block_on(poll_fn(|cx| {
        assert!(others.iter_mut().all(|other| poll_once(other, cx).is_pending()));
        Poll::Ready(())
    }));
    Box::new(move || {
        let _alive = &others;
        on.block_on(poll_fn(|cx| {
            let start = Instant::now();
            for _ in 0..timers {
                assert!(poll_once(&mut sleep(LIMIT), cx).is_pending());
            }
            Poll::Ready(start.elapsed().as_nanos() as f64 / timers as f64)
        }))
    })
}

fn poll_once(sleep: &mut Sleep, cx: &mut Context<'_>) -> Poll<()> {
    Pin::new(sleep).poll(cx)
}

/// All that the loop does for a task which sleeps: spawn, set the timer, fire, wake, poll, join. What it does not count
/// is the time that the loop spends in the driver.
fn fire_within_a_second<L: Loop + 'static>(tasks: usize) -> Measure {
    let mut on = L::new();
    let mut random = Random::new(2);
    Box::new(move || {
        on.block_on(async {
            let before = Metrics::current();
            let start = Instant::now();
            let sleepers: Vec<_> = (0..tasks)
                .map(|_| spawn(sleep_until(start + Duration::from_nanos(random.below(1_000_000_000)))))
                .collect();
            for sleeper in sleepers {
                sleeper.await.expect("it does not panic");
            }
            (Metrics::current().busy - before.busy).as_nanos() as f64 / tasks as f64
        })
    })
}
