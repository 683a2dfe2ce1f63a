//! Asks an echo server as fast as it answers, and says how fast that was.
//!
//! ```text
//! cargo run --release --example echo
//! cargo run --release --example client
//! cargo run --release --example client -- --connections 8000
//! ```
//!
//! What to look at: each connection is a task that writes a line, reads it back whole, compares the bytes, and starts
//! again. So there are as many requests under way as connections, and the latency includes the wait behind all others.
//! Connecting goes in batches, since no listener's queue holds thousands.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, TryStreamExt, future, stream};
use hdrhistogram::Histogram;
use pollywog_examples::{address, explain, need_descriptors, say};
use pollywog_net::{TcpStream, spawn, time};

/// How many connections are opened at once.
const BATCH: usize = 128;
/// How long a server may take to accept, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection: writes a line, reads it back, compares, and again.
async fn ask(mut stream: TcpStream, number: usize, load: Load) -> io::Result<()> {
    let mut line = vec![b'.'; load.size];
    let mut answer = line.clone();
    let mut request = 0_u64;
    while Instant::now() < load.until {
        request += 1;
        // As far as it fits: the answer to another line, or to an earlier one, must not pass for this one's.
        let _ = write!(&mut line[..], "{number} {request} ");
        line[load.size - 1] = b'\n';

        let start = Instant::now();
        stream.write_all(&line).await?;
        stream.read_exact(&mut answer).await?;
        let nanoseconds = start.elapsed().as_nanos() as u64;

        if answer != line {
            return Err(io::Error::other("the answer is not what was sent"));
        }
        load.latencies.borrow_mut().saturating_record(nanoseconds);
    }
    Ok(())
}

#[derive(Clone)]
struct Load {
    size: usize,
    until: Instant,
    /// Nanoseconds of every answer.
    latencies: Rc<RefCell<Histogram<u64>>>,
}

async fn run(options: Options) -> io::Result<()> {
    need_descriptors(options.connections)?;
    let connections: Vec<_> = stream::iter(0..options.connections)
        .map(|_| connect(&options.addr))
        .buffer_unordered(BATCH)
        .try_collect()
        .await?;

    let start = Instant::now();
    let duration = Duration::from_secs(options.seconds);
    let longest = (duration + PATIENCE).as_nanos() as u64;
    let latencies = Histogram::new_with_max(longest, 3).map_err(io::Error::other)?;
    let load = Load { size: options.size, until: start + duration, latencies: Rc::new(RefCell::new(latencies)) };
    let progress = spawn(show_progress(load.clone()));
    let asking = connections.into_iter().enumerate().map(|(number, stream)| {
        let task = spawn(ask(stream, number, load.clone()));
        async move { task.await?.map_err(|error| lost(number, error)) }
    });
    let result = time::timeout(duration + PATIENCE, future::try_join_all(asking)).await;
    let elapsed = start.elapsed();
    progress.abort();
    end_progress();
    match result {
        Ok(result) => drop(result?),
        Err(_) => return Err(io::Error::other(format!("no answer within {PATIENCE:?}"))),
    }
    show_summary(&options, elapsed, &load.latencies.borrow());
    Ok(())
}

async fn connect(addr: &str) -> io::Result<TcpStream> {
    let connecting = time::timeout(PATIENCE, TcpStream::connect(addr));
    let result = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    // A line that takes several packets is not to wait for the answer to the first of them.
    let result = result.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    result.map_err(|error| explain(format_args!("cannot connect to {addr}"), &error))
}

fn lost(number: usize, error: io::Error) -> io::Error {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    let error = if closed { io::Error::other("the server closed it") } else { error };
    explain(format_args!("connection {number}"), &error)
}

/// Once a second, how many requests it took. A terminal shows one line that changes.
async fn show_progress(load: Load) {
    let (start, mut before) = (Instant::now(), 0);
    loop {
        time::sleep(Duration::from_secs(1)).await;
        let now = load.latencies.borrow().len();
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

fn show_summary(options: &Options, elapsed: Duration, latencies: &Histogram<u64>) {
    let Options { addr, connections, size, .. } = options;
    let seconds = elapsed.as_secs_f64();
    say(format_args!(
        "{connections} connections to {addr}, {size} bytes a line, {seconds:.2} s; every answer was right"
    ));
    say(format_args!("requests    {:12}", latencies.len()));
    say(format_args!("requests/s  {:12.0}", latencies.len() as f64 / seconds));
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        let microseconds = latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        say(format_args!("{name:<11} {microseconds:12.1} µs"));
    }
}

/// Asks an echo server as fast as it answers, and says how fast that was.
#[derive(Parser)]
#[command(name = "client", after_help = "Try it: start `echo` in another terminal, then `client`.")]
struct Options {
    /// The server to ask
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,

    /// How many connections ask at once
    #[arg(long, value_name = "N", default_value = "50", value_parser = positive)]
    connections: usize,

    /// Bytes of a line, with its end
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = positive)]
    size: usize,

    /// How long to ask
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number from 1 on is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn main() -> ExitCode {
    pollywog_examples::main(run)
}
