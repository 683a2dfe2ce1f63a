//! Sends back what it gets, on every core.
//!
//! ```text
//! cargo run --release --example multicore
//! cargo run --release --example client     # 50 connections ask for five seconds
//! cargo run --release --example multicore -- --cores 2 --pin
//! ```
//!
//! What to look at: `echo` is that of the example `echo`, and still one of many tasks on one thread; there are only more
//! such threads, which share nothing. Each has a listener of its own on the one port, and the kernel chooses among them:
//! the counters say how evenly. Fifty connections are few for that. `top -H` shows the threads by their names, and
//! `strace -f` that a message costs what it costs on one core. The client is one thread, and may be busy before they are.

use std::fmt;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_examples::{address, explain, interrupted, listening_on, prepare, say, until_interrupted};
use pollywog_net::TcpStream;
use pollywog_net::per_core::PerCore;
use pollywog_net::time::{Duration, interval};

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// How many connections each core has accepted.
#[derive(PartialEq)]
struct Accepted(Vec<u64>);

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepted {} connections:", self.0.iter().sum::<u64>())?;
        self.0.iter().try_for_each(|count| write!(f, " {count}"))
    }
}

/// Says now and then what has been accepted, if there is news.
async fn report(cores: &PerCore, every: Duration) -> io::Result<()> {
    let mut interval = interval(every);
    let mut said = Accepted(vec![0; cores.handles().len()]);
    loop {
        interval.tick().await;
        let accepted = Accepted(cores.accepted());
        if accepted != said {
            say(&accepted);
            said = accepted;
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    prepare();
    let mut builder = PerCore::builder().pin(options.pin);
    if let Some(count) = options.cores {
        builder = builder.cores(count);
    }
    let cores = builder.build()?;
    // An error ends its connection and nothing else.
    let serving = cores.serve(&options.addr, |stream, _| echo(stream)).await;
    let addr = serving.map_err(|error| explain(format_args!("cannot listen on {}", options.addr), &error))?;
    listening_on(addr);
    until_interrupted(interrupted, report(&cores, Duration::from_secs(options.every))).await?;
    say(Accepted(cores.accepted()));
    cores.shutdown().await
}

/// Sends back what it gets, on every core, until Ctrl-C.
#[derive(Parser)]
#[command(name = "multicore", after_help = "Try it: `nc 127.0.0.1 7007`, and type a line.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,

    /// How many threads [default: one for each processor]
    #[arg(long, value_name = "NUMBER")]
    cores: Option<usize>,

    /// Keep each thread on a processor of its own
    #[arg(long)]
    pin: bool,

    /// Say what each core has accepted, as often as that
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
