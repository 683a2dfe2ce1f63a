//! What 'not now' is: a buffer that is full, a buffer that is empty, and what it costs to ask again and again.
//!
//! ```text
//! cargo run --release --example not_now
//! cargo run --release --example not_now -- --svg .    # draws both parts into this folder
//! ```
//!
//! What to look at: the last write that goes through goes through in part, and the next not at all. A reader who takes
//! something makes room. Then the same 20 bytes are read twice, by reads that wait and by reads that do not.

use std::fs;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use pollywog_examples::drawing::{bars, steps};
use pollywog_examples::usage::Usage;
use pollywog_examples::{blocking_main, explain, say};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Shows what a non-blocking pipe answers, and what it costs to ask.
#[derive(Parser)]
struct Options {
    /// Draw both parts, too, into this folder
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
}

/// From now on, calls on this end say 'not now' where they would wait.
fn do_not_wait(end: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?)
}

/// `None` is 'not now'.
fn unless_now(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

/// Writes until there is no room, reads something, and does both again. Gives the steps, and after each how many bytes
/// stand in the pipe.
fn fill() -> io::Result<Vec<(String, usize)>> {
    let (mut reader, mut writer) = pipe()?;
    do_not_wait(&writer)?;
    let mut stand = 0;
    let mut steps = Vec::new();
    for _ in 0..2 {
        while let Some(count) = unless_now(writer.write(&[b'x'; 40_000]))? {
            stand += count;
            steps.push((format!("write 40000: {count}"), stand));
        }
        steps.push(("write 40000: not now".to_owned(), stand));
        let count = reader.read(&mut [0; 20_000])?;
        stand -= count;
        steps.push((format!("read 20000: {count}"), stand));
    }
    Ok(steps)
}

/// Somebody who sends a byte every 20 milliseconds, 20 times.
fn slow() -> io::Result<PipeReader> {
    let (reader, mut writer): (_, PipeWriter) = pipe()?;
    thread::spawn(move || {
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(20));
            // Nobody reads it any more when the program ends early.
            let _ = writer.write_all(b"x");
        }
    });
    Ok(reader)
}

/// Reads until the end, and gives how often it has asked.
fn read_all(mut reader: PipeReader) -> io::Result<u64> {
    let mut calls = 0;
    loop {
        calls += 1;
        if unless_now(reader.read(&mut [0; 16]))? == Some(0) {
            return Ok(calls);
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let steps_of_filling = fill()?;
    for (step, stand) in &steps_of_filling {
        say(format_args!("{step:<22}{stand:>6} bytes in the pipe"));
    }

    say(format_args!("\n{:<14}{:>9}{}", "ms", "calls", Usage::COLUMNS));
    let mut rows = Vec::new();
    for name in ["blocking", "non-blocking"] {
        let reader = slow()?;
        if name == "non-blocking" {
            do_not_wait(&reader)?;
        }
        let (calls, usage) = Usage::of(|| read_all(reader))?;
        say(format_args!("{name:<14}{calls:>9}{usage}"));
        rows.push((name, usage));
    }

    if let Some(folder) = options.svg {
        let filled = steps("What stands in a pipe after each write and read", &steps_of_filling);
        let cost = bars("What it costs to read 20 bytes that come slowly", &rows);
        for (name, drawing) in [("not-now-filling.svg", filled), ("not-now-cost.svg", cost)] {
            let path = folder.join(name);
            fs::write(&path, drawing).map_err(|error| explain(path.display(), &error))?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    blocking_main(run)
}
