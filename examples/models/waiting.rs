//! Where the time goes: four pieces of work that take about as long as one another, and are slow for four reasons.
//!
//! ```text
//! cargo run --release --example waiting
//! cargo run --release --example waiting -- --svg bars.svg
//! ```
//!
//! What to look at: 'wall' is what you wait for the program, 'off' is what the program waits for others. A program that
//! waits costs no processor, so another one, or another part of the same one, could run meanwhile.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use pollywog_examples::drawing::bars;
use pollywog_examples::usage::Usage;
use pollywog_examples::{blocking_main, explain, say};

/// Measures what a blocking read costs, beside work that does not wait.
#[derive(Parser)]
struct Options {
    /// Draw the times, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Counts the primes below 300,000, the slow way.
fn compute() -> io::Result<()> {
    let is_prime = |number: u64| (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d));
    black_box((2..300_000).filter(|&number| is_prime(number)).count());
    Ok(())
}

/// Reads a file that the kernel makes up as it is read: much asking, no waiting.
fn ask() -> io::Result<()> {
    let mut zeros = File::open("/dev/zero")?;
    let mut buffer = vec![0; 1 << 16];
    for _ in 0..180_000 {
        zeros.read_exact(&mut buffer)?;
    }
    Ok(())
}

/// Reads from somebody who sends a byte every 20 milliseconds.
fn wait() -> io::Result<()> {
    let (mut reader, mut writer) = pipe()?;
    thread::spawn(move || {
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(20));
            // Nobody reads it any more when the program ends early.
            let _ = writer.write_all(b"x");
        }
    });
    for _ in 0..20 {
        reader.read_exact(&mut [0])?;
    }
    Ok(())
}

/// Sends a byte back and forth between two threads that do nothing else.
fn converse() -> io::Result<()> {
    let (their_reader, my_writer) = pipe()?;
    let (my_reader, their_writer) = pipe()?;
    thread::spawn(move || while pass(&their_reader, &their_writer).is_ok() {});
    (&my_writer).write_all(b"x")?;
    (0..60_000).try_for_each(|_| pass(&my_reader, &my_writer))
}

fn pass(mut reader: &PipeReader, mut writer: &PipeWriter) -> io::Result<()> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    writer.write_all(&byte)
}

fn run(options: Options) -> io::Result<()> {
    type Work = fn() -> io::Result<()>;
    let works: [(_, Work); 4] = [("compute", compute), ("ask", ask), ("wait", wait), ("converse", converse)];
    say(format_args!("{:<10}{}", "ms", Usage::COLUMNS));
    let mut rows = Vec::new();
    for (name, work) in works {
        let ((), usage) = Usage::of(work)?;
        say(format_args!("{name:<10}{usage}"));
        rows.push((name, usage));
    }
    if let Some(path) = options.svg {
        fs::write(&path, bars("Where the time of four pieces of work goes", &rows))
            .map_err(|error| explain(path.display(), &error))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    blocking_main(run)
}
