//! TCP streams against a model of their bytes, for as long as `POLLYWOG_FUZZ_SECONDS` says (3).
//!
//! A case that fails says its seed. With `POLLYWOG_FUZZ_SEED` that one runs, again and again: threads take turns as
//! they like, so a failure may need several runs.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_tests::fuzz::{Stats, case};
use pollywog_tests::net::descriptors;

/// Cases that failed once. They run first.
const ONCE_FAILED: &[u64] = &[];

/// A case waits for others and for timers more than it computes.
const WORKERS: usize = 16;

/// A case says itself when it hangs; this is for one that cannot.
const LIMIT: Duration = Duration::from_secs(60);

/// How much longer it may take on a busy machine until everything has happened once.
const GRACE: Duration = Duration::from_secs(60);

const PROGRESS: Duration = Duration::from_secs(5);

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

/// Says it at once, whatever the test harness keeps to itself: who waits for minutes, or aborts, has to be heard.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn replay(seed: u64) -> String {
    format!("replay it with\n    POLLYWOG_FUZZ_SEED={seed} cargo test -p pollywog-tests --test net_fuzz -- --nocapture")
}

#[test]
fn streams_keep_to_the_model() {
    let before = descriptors();
    let duration = Duration::from_secs(number("POLLYWOG_FUZZ_SECONDS").unwrap_or(3));
    let replayed = number("POLLYWOG_FUZZ_SEED");
    let fresh = RandomState::new().hash_one("seed");
    let began = Instant::now();
    let (drawn, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let running = [const { Mutex::new(None) }; WORKERS];
    let failures = Mutex::new(Vec::new());
    let total = Mutex::new(Stats::default());
    let next = || {
        let drawn = drawn.fetch_add(1, Ordering::Relaxed);
        let elapsed = began.elapsed();
        let is_incomplete = || replayed.is_none() && !total.lock().unwrap().missing().is_empty();
        let is_over =
            failed.load(Ordering::Relaxed) || elapsed >= duration && (elapsed >= duration + GRACE || !is_incomplete());
        match (replayed, ONCE_FAILED.get(drawn as usize)) {
            (Some(seed), _) => (!is_over || drawn == 0).then_some(seed),
            (None, Some(seed)) => Some(*seed),
            (None, None) => (!is_over).then_some(fresh.wrapping_add(drawn)),
        }
    };
    let work = |running: &Mutex<Option<(u64, Instant)>>| {
        while let Some(seed) = next() {
            *running.lock().unwrap() = Some((seed, Instant::now()));
            match case(seed) {
                Ok(stats) => total.lock().unwrap().add(&stats),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    let failure = format!("seed {seed}: {error}\n{}", replay(seed));
                    say(&failure);
                    failures.lock().unwrap().push(failure);
                }
            }
        }
        *running.lock().unwrap() = None;
    };
    thread::scope(|threads| {
        let workers: Vec<_> = running.iter().map(|running| threads.spawn(|| work(running))).collect();
        let mut last = began;
        while !workers.iter().all(|worker| worker.is_finished()) {
            thread::park_timeout(Duration::from_millis(20));
            for (seed, since) in running.iter().filter_map(|running| *running.lock().unwrap()) {
                if since.elapsed() > LIMIT {
                    say(&format!("seed {seed} hangs; {}", replay(seed)));
                    process::abort();
                }
            }
            if last.elapsed() >= PROGRESS {
                last = Instant::now();
                let total = total.lock().unwrap();
                let (cases, operations, bytes) = (total.cases(), total.done(), total.bytes());
                let seconds = began.elapsed().as_secs();
                say(&format!("{seconds} s: {cases} cases, {operations} operations, {bytes} bytes"));
            }
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let total = total.into_inner().unwrap();
    say(&format!("{} cases, {} operations, {} bytes\n{total}", total.cases(), total.done(), total.bytes()));
    assert_eq!(descriptors(), before, "every socket and every runtime is closed");
    if replayed.is_none() {
        assert_eq!(total.missing(), <Vec<String>>::new(), "never happened in {:?}", began.elapsed());
    }
}
