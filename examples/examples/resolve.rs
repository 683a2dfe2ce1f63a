//! Looks names up, all at once.
//!
//! ```text
//! cargo run --release --example resolve -- localhost rust-lang.org crates.io 127.0.0.1
//! cargo run --release --example resolve -- --limit 1 localhost nobody.invalid
//! ```
//!
//! What to look at: the system's resolver blocks whoever calls it. `lookup_host` calls it on threads of a pool, so all
//! names together take as long as the slowest, and the one thread of the program turns meanwhile: it moves the line that
//! shows the progress, on a terminal, and keeps the limit. `timeout` knows nothing of names: it drops the future, and
//! with it the look-up, if that has not begun. One that has begun goes on, and nobody waits for it.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use pollywog_examples::say;
use pollywog_net::{JoinSet, lookup_host, spawn, time};

/// The line of a name: its addresses, the one to try first first.
async fn look_up(name: String, limit: Duration) -> io::Result<String> {
    match time::timeout(limit, lookup_host((name.as_str(), 0))).await {
        Ok(found) => {
            let addresses: Vec<_> = found?.map(|addr| addr.ip().to_string()).collect();
            Ok(format!("{name}: {}", addresses.join(", ")))
        }
        Err(_) => Err(io::Error::other(format!("no answer for '{name}' within {limit:?}"))),
    }
}

async fn resolve(options: Options) -> io::Result<()> {
    let (count, limit) = (options.names.len(), Duration::from_secs(options.limit));
    let mut looking = JoinSet::new();
    for name in options.names {
        looking.spawn(look_up(name, limit));
    }
    let done = Rc::new(Cell::new(0));
    let progress = spawn(show_progress(done.clone(), count));
    let mut failures = Vec::new();
    while let Some(result) = looking.join_next().await {
        match result? {
            Ok(line) => {
                clear_progress();
                say(line);
            }
            Err(error) => failures.push(error.to_string()),
        }
        done.set(done.get() + 1);
    }
    progress.abort();
    clear_progress();
    // One line, however many they are.
    if failures.is_empty() { Ok(()) } else { Err(io::Error::other(failures.join("; "))) }
}

/// One line that changes, where there is a terminal.
async fn show_progress(done: Rc<Cell<usize>>, count: usize) {
    let (start, mut tick) = (Instant::now(), time::interval(Duration::from_millis(100)));
    while io::stderr().is_terminal() {
        tick.tick().await;
        let line = format!("{} of {count} names, {:.1} s", done.get(), start.elapsed().as_secs_f64());
        let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
    }
}

fn clear_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}

/// Looks names up, all at once.
#[derive(Parser)]
#[command(name = "resolve", after_help = "Try it: `resolve localhost rust-lang.org crates.io`.")]
struct Options {
    /// Names, or addresses, which stay as they are
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// How long a name may take
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
}

fn main() -> ExitCode {
    pollywog_examples::main(resolve)
}
