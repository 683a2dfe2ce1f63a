//! What a task, a wake and a timer cost, on each executor with the same code, and how that grows with their number.
//!
//! ```text
//! cargo run --release -p pollywog-bench --bin tasks                      # the tables, four minutes
//! cargo run --release -p pollywog-bench --bin tasks -- --quick           # one minute
//! cargo run --release -p pollywog-bench --bin tasks -- --json            # all samples
//! cargo run --release -p pollywog-bench --bin tasks -- yield smol        # one cell, for a profiler
//! cargo run --release -p pollywog-bench --bin tasks -- wake pollywog --size 100000
//! ```
//!
//! Every sample is a process of its own, so that nobody gets the heap that another has left. Rounds are interleaved:
//! each runs every executor once, in an order that turns. The tables show medians.

mod peers;
mod report;
mod rows;

use std::io::{self, Write};
use std::process::{self, Command, ExitCode};
use std::thread;
use std::time::Duration;

use clap::Parser;
use pollywog_bench::tasks::alive::Counting;
use pollywog_bench::tasks::remote::pin;

use crate::report::{Growth, Report};
use crate::rows::{COLUMNS, GROWTH, ROWS, Row};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A cell that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// Measures executors.
#[derive(Parser)]
struct Options {
    /// One row: its key, or its number.
    row: Option<String>,
    /// One executor: the beginning of its name, or its number.
    #[arg(requires = "row")]
    peer: Option<String>,
    /// How many tasks or timers, instead of those of the row.
    #[arg(long, requires = "peer")]
    size: Option<usize>,
    /// Fewer rounds, and growth to 100,000 only.
    #[arg(long)]
    quick: bool,
    /// Prints JSON: every sample, or the number of the one cell.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match (&options.row, &options.peer) {
        (Some(row), Some(peer)) => cell(row, peer, &options),
        (Some(_), None) => Err("a row alone is not measured: say whose, `tasks ROW PEER`".to_owned()),
        _ => everything(options.quick).map(|report| if options.json { report.json() } else { report.text() }),
    };
    match done {
        Ok(text) => println!("{text}"),
        Err(error) => {
            eprintln!("tasks: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Measures one cell in this process.
fn cell(row: &str, peer: &str, options: &Options) -> Result<String, String> {
    let row = ROWS.iter().enumerate().find(|(number, one)| one.key == row || number.to_string() == row);
    let column =
        COLUMNS.iter().enumerate().find(|(number, one)| one.name.starts_with(peer) || number.to_string() == peer);
    let keys: Vec<_> = ROWS.iter().map(|row| row.key).collect();
    let (_, row) = row.ok_or_else(|| format!("no such row; there are {}", keys.join(", ")))?;
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    let (_, column) = column.ok_or_else(|| format!("no such executor; there are {}", names.join("; ")))?;
    if !column.can(row.work) {
        return Err(format!("{} cannot do that: {}", column.name, row.name));
    }
    pin(false);
    thread::spawn(|| {
        thread::sleep(LONGEST);
        eprintln!("not done after {LONGEST:?}");
        process::exit(1);
    });
    let result = (column.measure)(row.work, options.size.unwrap_or(row.size));
    if options.json {
        return Ok(result.to_string());
    }
    Ok(format!("{}, {}: {result:.0} {}", column.name, row.name, row.unit))
}

/// Measures one cell in a process of its own.
fn sample(row: &Row, column: usize, size: usize) -> Result<f64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let size = size.to_string();
    let arguments = [row.key, &column.to_string(), "--size", &size, "--json"];
    let done = Command::new(own).args(arguments).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&done.stdout);
    text.trim().parse().map_err(|_| {
        let said = String::from_utf8_lossy(&done.stderr);
        format!("{} of {} failed: {}", row.name, COLUMNS[column].name, said.trim())
    })
}

/// A round of one row: everybody once, beginning with another one each time.
fn round(row: &Row, size: usize, number: usize, samples: &mut [Vec<f64>]) -> Result<(), String> {
    eprint!("\r\x1b[K{}, {size}, round {}", row.name, number + 1);
    io::stderr().flush().map_err(|error| error.to_string())?;
    for place in 0..COLUMNS.len() {
        let column = (place + number) % COLUMNS.len();
        if COLUMNS[column].can(row.work) {
            samples[column].push(sample(row, column, size)?);
        }
    }
    Ok(())
}

fn everything(quick: bool) -> Result<Report, String> {
    let (rounds, growth_rounds, sizes) = if quick { (3, 1, 6) } else { (9, 3, 7) };
    let mut report = Report { rounds, rows: Vec::new(), growth: Vec::new() };
    for row in ROWS {
        let mut samples = vec![Vec::new(); COLUMNS.len()];
        for number in 0..rounds {
            round(row, row.size, number, &mut samples)?;
        }
        report.rows.push((row, samples));
    }
    for row in GROWTH {
        let mut steps = Growth::new();
        for size in (0..sizes).map(|power| 10_usize.pow(power)) {
            let mut samples = vec![Vec::new(); COLUMNS.len()];
            for number in 0..growth_rounds {
                round(row, size, number, &mut samples)?;
            }
            steps.push((size, samples));
        }
        report.growth.push((row, steps));
    }
    eprint!("\r\x1b[K");
    Ok(report)
}
