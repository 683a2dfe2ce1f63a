//! The time of a turn: read once, and not older than the turn.

use std::time::{Duration, Instant};

use pollywog_executor::Executor;
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::task::yield_now;
use pollywog_executor::time::{advance, coarse_now, now, pause, resume};
use pollywog_tests::executor::run;

const WORK: Duration = Duration::from_millis(3);

fn work() -> Instant {
    let start = Instant::now();
    while start.elapsed() < WORK {}
    Instant::now()
}

#[test]
fn a_turn_has_one_time_and_the_next_another() {
    run(async {
        let first = coarse_now();
        let end = work();
        assert_eq!(coarse_now(), first);
        yield_now().await;
        let second = coarse_now();
        assert!(second >= end, "older than its turn by {:?}", end - second);
        assert!(second <= now());
    });
}

#[test]
fn the_time_of_a_run_is_not_that_of_the_run_before() {
    let (executor, mut driver) = (Executor::new().unwrap(), ThreadDriver::new());
    executor.block_on(&mut driver, async { coarse_now() });
    let end = work();
    let second = executor.block_on(&mut driver, async { coarse_now() });
    assert!(second >= end, "older than its run by {:?}", end - second);
}

#[test]
fn a_paused_clock_has_no_other_time() {
    run(async {
        coarse_now();
        pause();
        let start = now();
        assert_eq!(coarse_now(), start);
        // The clock is moved by the call, within the turn.
        drop(advance(Duration::from_secs(60)));
        assert_eq!(coarse_now(), start + Duration::from_secs(60));
        resume();
        assert!(coarse_now() >= start + Duration::from_secs(60), "it went back");
    });
}

#[test]
fn where_no_executor_runs_it_is_the_machines() {
    let before = Instant::now();
    let between = coarse_now();
    assert!((before..=Instant::now()).contains(&between));
}
