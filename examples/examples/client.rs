//! Asks an echo server, as fast as it answers or at a rate, and says how long the answers took.
//!
//! ```text
//! cargo run --release --example echo
//! cargo run --release --example client                          # ask, wait for the answer, ask again
//! cargo run --release --example client -- --connections 8000
//! cargo run --release --example client -- --rate 20000          # ask 20,000 times a second, whatever it answers
//! cargo run --release --example client -- --connections 201 --hot 1 --rate 2000
//! ```
//!
//! What to look at: each connection is a task that writes a line, reads it back whole, compares the bytes, and starts
//! again. So there are as many requests under way as connections, and the latency includes the wait behind all others.
//! With a rate it counts from the instant at which a request was due: stop the server for a second (`kill -STOP`, and
//! `-CONT`), and p99 tells, where without a rate fifty requests of a million are slow. The rest is in `src/load.rs`.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use pollywog_examples::load::{Connections, Load, Report};
use pollywog_examples::{address, at_least_one, need_descriptors, say, seconds, warn};
use pollywog_net::{spawn, time};
use serde_json::json;

async fn run(options: Options) -> io::Result<()> {
    let load = options.load()?;
    need_descriptors(options.connections)?;
    let connections = Connections::open(load).await?;
    if options.wait {
        warn(format_args!("connected: {}", options.connections));
        io::stdin().read_line(&mut String::new())?;
    }
    let progress = (!options.json).then(|| spawn(show_progress(connections.answered())));
    let result = connections.ask().await;
    if let Some(progress) = progress {
        progress.abort();
        end_progress();
    }
    let report = result?;
    if options.json {
        say(json(&options, &report));
    } else {
        show_summary(&options, &report);
    }
    if options.wait {
        io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}

/// Once a second, how many requests it took. A terminal shows one line that changes.
async fn show_progress(answered: impl Fn() -> u64) {
    let (start, mut before) = (Instant::now(), 0);
    loop {
        time::sleep(Duration::from_secs(1)).await;
        let now = answered();
        let line = format!("{:3.0} s {:9} requests/s", start.elapsed().as_secs_f64(), now - before);
        let end = if io::stderr().is_terminal() { "\r" } else { "\n" };
        let _ = write!(io::stderr().lock(), "{line}{end}");
        before = now;
    }
}

/// Clears the line that changes.
fn end_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\x1b[K");
    }
}

fn json(options: &Options, report: &Report) -> serde_json::Value {
    json!({
        "connections": options.connections,
        "size": options.size,
        "rate": options.rate,
        "seconds": report.elapsed.as_secs_f64(),
        "classes": report.classes.iter().map(|class| class.json()).collect::<Vec<_>>(),
    })
}

fn show_summary(options: &Options, report: &Report) {
    let Options { addr, connections, size, .. } = options;
    let seconds = report.elapsed.as_secs_f64();
    say(format_args!(
        "{connections} connections to {addr}, {size} bytes a line, {seconds:.2} s; every answer was right"
    ));
    for class in &report.classes {
        if report.classes.len() > 1 {
            say(format_args!("{}: {}", class.name, class.connections));
        }
        say(format_args!("requests    {:12}", class.requests()));
        say(format_args!("requests/s  {:12.0}", class.requests() as f64 / seconds));
        for (name, count) in [("errors", class.errors), ("unanswered", class.unanswered)] {
            if count > 0 {
                say(format_args!("{name:<11} {count:12}"));
            }
        }
        for (name, nanoseconds) in class.latencies() {
            say(format_args!("{name:<11} {:12.1} µs", nanoseconds as f64 / 1_000.0));
        }
    }
}

/// Asks an echo server, as fast as it answers or at a rate, and says how long the answers took.
#[derive(Parser)]
#[command(name = "client", after_help = "Try it: start `echo` in another terminal, then `client`.")]
struct Options {
    /// The server to ask
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,

    /// How many connections there are
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    connections: usize,

    /// Bytes of a line, with its end
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = at_least_one)]
    size: usize,

    /// How long to ask; parts of a second are allowed
    #[arg(long, value_name = "S", default_value = "5", value_parser = duration)]
    seconds: Duration,

    /// Requests to send at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// Requests that are due in a second, on all connections together: latency counts from when each was due
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,

    /// How many of the connections ask; the others are held
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    active: Option<usize>,

    /// How many of the connections send without a pause, beside the others that ask at the rate
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "rate", conflicts_with = "active")]
    hot: Option<usize>,

    /// A connection for each request
    #[arg(long, conflicts_with_all = ["active", "hot"])]
    reconnect: bool,

    /// Ask nothing, and hold the connections
    #[arg(long, conflicts_with_all = ["requests", "rate", "active", "hot", "reconnect"])]
    idle: bool,

    /// Say the result as one object of JSON, times in nanoseconds
    #[arg(long)]
    json: bool,

    /// Once connected say so, and wait for a line on standard input; after the result wait for another before closing
    #[arg(long)]
    wait: bool,
}

impl Options {
    fn load(&self) -> io::Result<Load> {
        let Self { connections, size, seconds, requests, rate, reconnect, .. } = *self;
        let (active, hot) = (self.active.unwrap_or(connections), self.hot.unwrap_or(0));
        if active > connections {
            return Err(io::Error::other(format!("{active} of {connections} connections cannot ask")));
        }
        if hot >= connections {
            return Err(io::Error::other(format!(
                "with {hot} hot connections of {connections} no other is left to ask"
            )));
        }
        let asking = if self.idle { 0 } else { active };
        let (addr, duration) = (self.addr.clone(), seconds);
        Ok(Load { addr, connections, asking, hot, size, duration, requests, rate, reconnect })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let allowed = Duration::from_millis(1)..=Duration::from_secs(86_400);
    seconds(text)
        .ok()
        .filter(|duration| allowed.contains(duration))
        .ok_or("seconds from 0.001 to 86400 are needed".to_owned())
}

fn main() -> ExitCode {
    pollywog_examples::main(run)
}
