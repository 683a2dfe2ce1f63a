//! A server and everything that clients do to it, for as long as `POLLYWOG_SOAK_SECONDS` says (1).
//!
//! What the clients do is drawn from a seed, which is printed, and which `POLLYWOG_SOAK_SEED` gives again; threads take
//! turns as they like, so a failure may need several runs.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pollywog_net::cancel::CancelToken;
use pollywog_tests::executor::{OnDrop, silence_expected_panics};
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::memory::Counting;
use pollywog_tests::net::descriptors;
use pollywog_tests::soak::{Port, Tally, serve, visit_all};

#[global_allocator]
static COUNTING: Counting = Counting;

const DESCRIPTORS: u64 = 192;
const PROGRESS: Duration = Duration::from_secs(5);
/// How long after its end a run hangs: a visit says so before.
const GRACE: Duration = Duration::from_secs(120);

/// What has to have happened. In a short run, that much alone.
const ALWAYS: &[&str] = &["servers", "accepted", "whole", "cancelled", "timed out"];
const IN_A_MINUTE: &[&str] = &[
    "of bursts",
    "gone at once",
    "closed at once",
    "silent",
    "never read",
    "panicked",
    "failed",
    "reset",
    "times without a descriptor",
    "connects without a descriptor",
    "refused",
    "told",
    "aborted",
];

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

/// Says it at once, whatever the test harness keeps to itself.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Says how it goes, until `is_over`; ends the process where nothing else does.
fn watch(duration: Duration, tally: &Tally, stop: &CancelToken, is_over: impl Fn() -> bool) {
    let (began, mut said, tells) = (Instant::now(), Instant::now(), env::var_os("POLLYWOG_SOAK_SECONDS").is_some());
    while !is_over() {
        thread::park_timeout(Duration::from_millis(20));
        if began.elapsed() >= duration {
            stop.cancel();
        }
        if tells && said.elapsed() >= PROGRESS {
            said = Instant::now();
            say(&format!("{} s: {tally}", began.elapsed().as_secs()));
        }
        if began.elapsed() > duration + GRACE {
            say(&format!("it hangs: {tally}"));
            process::abort();
        }
    }
}

#[test]
fn a_server_survives_its_clients() {
    silence_expected_panics();
    let seconds = number("POLLYWOG_SOAK_SECONDS").unwrap_or(1);
    let seed = number("POLLYWOG_SOAK_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed"));
    say(&format!("POLLYWOG_SOAK_SEED={seed}"));
    limit_descriptors(DESCRIPTORS);
    let port = Port::new().unwrap();
    let before = descriptors();
    let (tally, leave, close) = (Arc::new(Tally::default()), CancelToken::new(), CancelToken::new());
    thread::scope(|scope| {
        // Who ends first, by a failure, ends the other.
        let ends = |token: &CancelToken| {
            let token = token.clone();
            OnDrop::new(move || token.cancel())
        };
        let (server_ends, clients_end) = (ends(&leave), ends(&close));
        let server = scope.spawn({
            let (tally, close, addr) = (&tally, &close, port.addr());
            move || {
                let _ends = server_ends;
                serve(addr, seed, tally, close);
            }
        });
        let clients = scope.spawn({
            let (tally, leave, addr) = (&tally, &leave, port.addr());
            move || {
                let _ends = clients_end;
                visit_all(addr, seed, tally, leave);
            }
        });
        watch(Duration::from_secs(seconds), &tally, &leave, || server.is_finished() && clients.is_finished());
    });
    say(&format!("{seconds} s: {tally}"));
    assert_eq!(descriptors(), before, "every socket and every runtime is closed");
    // Nobody is cut off but by a timeout, by a handler that was told to stop, or at the deadline of a shutdown.
    let ended = ["timed out", "told", "aborted"].map(|what| tally.get(what)).iter().sum::<u64>();
    assert!(tally.get("cut") <= ended, "{tally}");
    assert!(tally.get("panicked") <= tally.get("asked to panic"), "{tally}");
    assert!(tally.get("failed") <= tally.get("asked to fail"), "{tally}");
    let expected = if seconds >= 60 { [ALWAYS, IN_A_MINUTE].concat() } else { ALWAYS.to_vec() };
    let missing: Vec<_> = expected.into_iter().filter(|what| tally.get(what) == 0).collect();
    assert_eq!(missing, <Vec<&str>>::new(), "never happened: {tally}");
}
