//! TCP streams against a model of their bytes, for as long as `POLLYWOG_FUZZ_SECONDS` says (3).
//!
//! A case that fails says its seed. With `POLLYWOG_FUZZ_SEED` that one runs, again and again: threads take turns as
//! they like, so a failure may need several runs.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_tests::fuzz::{Stats, case};
use pollywog_tests::net::descriptors;

/// Cases that failed once, if only under a mutation. They run first.
const ONCE_FAILED: &[u64] = &[
    12366633928188144254,
    7574692704667187913,
    9232642701461402969,
    2616375315966716394,
    17782615791957559496,
    3218390380532187334,
    16525962397962427632,
];

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

struct Run {
    began: Instant,
    duration: Duration,
    /// The one seed, where it is given.
    replayed: Option<u64>,
    fresh: u64,
    drawn: AtomicU64,
    running: [Mutex<Option<(u64, Instant)>>; WORKERS],
    total: Mutex<Stats>,
    failure: Mutex<Option<String>>,
}

impl Run {
    fn next(&self) -> Option<u64> {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.began.elapsed();
        let is_complete = || self.replayed.is_some() || self.total.lock().unwrap().missing().is_empty();
        let goes_on = elapsed < self.duration || elapsed < self.duration + GRACE && !is_complete();
        match (self.replayed, ONCE_FAILED.get(drawn as usize)) {
            _ if self.failure.lock().unwrap().is_some() => None,
            (Some(seed), _) => (goes_on || drawn == 0).then_some(seed),
            (None, Some(seed)) => Some(*seed),
            (None, None) => goes_on.then(|| self.fresh.wrapping_add(drawn)),
        }
    }

    fn work(&self, worker: usize) {
        while let Some(seed) = self.next() {
            *self.running[worker].lock().unwrap() = Some((seed, Instant::now()));
            match case(seed) {
                Ok(stats) => self.total.lock().unwrap().add(&stats),
                Err(error) => {
                    let failure = format!("seed {seed}: {error}\n{}", replay(seed));
                    say(&failure);
                    self.failure.lock().unwrap().get_or_insert(failure);
                }
            }
        }
        *self.running[worker].lock().unwrap() = None;
    }

    fn abort_what_hangs(&self) {
        for (seed, since) in self.running.iter().filter_map(|running| *running.lock().unwrap()) {
            if since.elapsed() > LIMIT {
                say(&format!("seed {seed} hangs; {}", replay(seed)));
                process::abort();
            }
        }
    }
}

#[test]
fn streams_keep_to_the_model() {
    let before = descriptors();
    let run = Arc::new(Run {
        began: Instant::now(),
        duration: Duration::from_secs(number("POLLYWOG_FUZZ_SECONDS").unwrap_or(3)),
        replayed: number("POLLYWOG_FUZZ_SEED"),
        fresh: RandomState::new().hash_one("seed"),
        drawn: AtomicU64::new(0),
        running: [const { Mutex::new(None) }; WORKERS],
        total: Mutex::default(),
        failure: Mutex::default(),
    });
    let worker = |number| {
        thread::spawn({
            let run = run.clone();
            move || run.work(number)
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let mut said = run.began;
    while !workers.iter().all(|worker| worker.is_finished()) {
        thread::park_timeout(Duration::from_millis(20));
        // Other cases may hang for the same reason: they are not waited for.
        if let Some(failure) = run.failure.lock().unwrap().take() {
            panic!("{failure}");
        }
        run.abort_what_hangs();
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            let total = run.total.lock().unwrap();
            let (cases, operations, bytes) = (total.cases(), total.done(), total.bytes());
            say(&format!("{} s: {cases} cases, {operations} operations, {bytes} bytes", run.began.elapsed().as_secs()));
        }
    }
    for worker in workers {
        worker.join().expect("a case reports what is wrong, and does not panic");
    }
    let total = run.total.lock().unwrap().clone();
    say(&total.to_string());
    assert_eq!(run.failure.lock().unwrap().take(), None);
    assert_eq!(descriptors(), before, "every socket and every runtime is closed");
    if run.replayed.is_none() {
        assert_eq!(total.missing(), <Vec<String>>::new(), "never happened in {:?}", run.began.elapsed());
    }
}
