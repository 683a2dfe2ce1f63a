//! Deadlines under the reactor, which has one timer of the kernel for all of them.

use std::time::{Duration, Instant};

use futures::FutureExt;
use pollywog_executor::Metrics;
use pollywog_net::task::yield_now;
use pollywog_net::time::{sleep, sleep_until, timeout};
use pollywog_net::{Runtime, spawn, spawn_blocking};
use pollywog_tests::net::{alone, descriptors, run};

const HOUR: Duration = Duration::from_secs(3600);

/// Waits for another thread, so that this one sleeps.
async fn wait() {
    spawn_blocking(|| ()).await.expect("nothing panics there");
}

#[test]
fn sleeps_end_one_after_the_other() {
    run(async {
        for millis in [3, 1, 2] {
            let (start, length) = (Instant::now(), Duration::from_millis(millis));
            sleep(length).await;
            assert!(start.elapsed() >= length);
        }
    });
}

/// The alarm rings while the thread is busy and only looks at the reactor: the sleeps after it end all the same.
#[test]
fn an_alarm_that_rings_while_nobody_sleeps_is_set_again() {
    run(async {
        for _ in 0..3 {
            let (start, waits) = (Instant::now(), spawn(sleep(Duration::from_millis(2))));
            wait().await;
            while start.elapsed() < Duration::from_millis(4) {
                yield_now().await;
            }
            waits.await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_deadline_that_is_nearer_than_the_one_that_is_slept_for_is_kept() {
    run(async {
        let far = spawn(sleep(HOUR));
        for micros in [2_000, 500, 1_000] {
            wait().await;
            sleep(Duration::from_micros(micros)).await;
        }
        assert!(!far.is_finished());
    });
}

/// The alarm rings for what has moved away: once, and not for what stands later.
#[test]
fn a_deadline_that_has_moved_away_wakes_once_and_the_one_after_it_is_kept() {
    run(async {
        for _ in 0..3 {
            // Whether it is in time does not matter: the alarm was set for it.
            let _ = timeout(Duration::from_millis(2), wait()).await;
            let (before, start) = (Metrics::current(), Instant::now());
            sleep(Duration::from_millis(20)).await;
            assert!(start.elapsed() >= Duration::from_millis(20));
            let parks = Metrics::current().parks - before.parks;
            assert!(parks <= 3, "{parks} sleeps for one");
        }
    });
}

/// Each on its own would be five hundred sleeps.
#[test]
fn deadlines_that_are_close_together_share_a_wake() {
    run(async {
        let (start, parks) = (Instant::now(), Metrics::current().parks);
        let moments = (0..500).map(|number| start + Duration::from_micros(2_000 + 20 * number));
        let tasks: Vec<_> =
            moments.map(|moment| spawn(sleep_until(moment).map(move |()| Instant::now() >= moment))).collect();
        for task in tasks {
            assert!(task.await.unwrap(), "it is early");
        }
        let parks = Metrics::current().parks - parks;
        assert!(parks <= 50, "{parks} sleeps in 12 ms");
    });
}

#[test]
fn the_deadline_of_a_runtime_is_not_that_of_the_next() {
    for _ in 0..2 {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            drop(spawn(sleep(HOUR)));
            sleep(Duration::from_millis(1)).await;
        });
        runtime.block_on(sleep(Duration::from_millis(1)));
    }
}

#[test]
fn a_runtime_takes_four_descriptors_and_gives_them_back() {
    alone("a_runtime_takes_four_descriptors_and_gives_them_back", || {
        drop(Runtime::new().unwrap());
        let before = descriptors();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(sleep(Duration::from_millis(1)));
        assert_eq!(descriptors(), before + 4);
        drop(runtime);
        assert_eq!(descriptors(), before);
    });
}
