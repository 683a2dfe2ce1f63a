//! Every server model under the same two probes, and what each of them costs.
//!
//! ```text
//! cargo run --release --example compare                          # all of them: half an hour
//! cargo run --release --example compare -- --quick               # a first look: two minutes
//! cargo run --release --example compare -- --only threaded,echo
//! cargo run --release --example compare -- --only echo --server mine='target/release/my-server --fast'
//! ```
//!
//! What to look at: how many requests a second a model answers says little about how it treats a client beside a slow
//! one, and nothing about what ten thousand clients will cost. The probes are the same for all: connections that ask as
//! fast as they are answered; and one client that asks now and then, alone, beside clients that have sent half a line
//! and say no more, and beside one that sends and never reads.
//!
//! Each measurement has a server of its own, on a core of its own, with all of its processes. Nothing that was started
//! is left behind, however this ends.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pollywog_examples::compare::{
    Cores, Plan, Problem, Results, become_server, charts, contenders, end_servers_at_a_signal, markdown, terminal,
};
use pollywog_examples::models::{MODELS, Model, Program};
use pollywog_examples::{blocking_main, explain, need_descriptors, say, warn};

/// Where the results are shown.
const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../book");
/// The connections of the largest probe.
const MOST: usize = 1_000;

fn run(options: Options) -> io::Result<()> {
    if let Some(file) = &options.show {
        let json = fs::read_to_string(file).map_err(|error| explain(file.display(), &error))?;
        return show(&options, &json).map(drop);
    }
    let models = chosen(&options.only)?;
    if options.list {
        models.iter().for_each(list);
        return Ok(());
    }
    let json = serde_json::to_string_pretty(&measure(&options, &models)?).map_err(io::Error::other)?;
    let results = show(&options, &(json + "\n"))?;
    let failed: Vec<_> =
        results.models.iter().filter(|entry| matches!(entry.problem, Some(Problem::Failed(_)))).collect();
    match failed.len() {
        0 => Ok(()),
        1 => Err(io::Error::other(format!("`{}` failed", failed[0].name))),
        some => Err(io::Error::other(format!("{some} models failed"))),
    }
}

/// The models that were asked for, in the order of the book.
fn chosen(only: &[String]) -> io::Result<Vec<Model>> {
    if let Some(unknown) = only.iter().find(|name| !MODELS.iter().any(|model| model.name == **name)) {
        return Err(io::Error::other(format!("there is no model `{unknown}` (--list names all)")));
    }
    let is_meant = |model: &&Model| only.is_empty() || only.iter().any(|name| name == model.name);
    Ok(MODELS.iter().filter(is_meant).copied().collect())
}

fn list(model: &Model) {
    let program = match model.program {
        Program::Example(_) => "an example".to_owned(),
        Program::Python(file, None) => format!("examples/python/{file}"),
        Program::Python(file, Some(module)) => format!("examples/python/{file}, with {module}"),
    };
    say(format_args!("{:18} {program}", model.name));
}

fn measure(options: &Options, models: &[Model]) -> io::Result<Results> {
    need_descriptors(MOST)?;
    let contenders = contenders(models, &options.server)?;
    let cores = Cores::pick();
    if !cores.are_two() {
        warn("there is one core for server and load: the figures are worth little");
    }
    if cfg!(debug_assertions) {
        warn("not built with --release: the figures are worth little");
    }
    let (rounds, seconds) = if options.quick { (1, 0.2) } else { (5, 1.0) };
    let seconds = options.seconds.unwrap_or(seconds);
    let plan =
        Plan { rounds: options.rounds.map_or(rounds, usize::from), duration: Duration::from_secs_f64(seconds), cores };
    end_servers_at_a_signal()?;
    let progress = ProgressBar::new(plan.steps(contenders.len()));
    let style =
        ProgressStyle::with_template("{wide_bar} {percent:>3} %, {eta} left: {msg}").map_err(io::Error::other)?;
    progress.set_style(style);
    let results = plan.run(&contenders, &progress, |name, problem| {
        let (Problem::Skipped(reason) | Problem::Failed(reason)) = problem;
        progress.suspend(|| warn(format_args!("{name}: {reason}")));
    });
    progress.finish_and_clear();
    results
}

/// The tables on the terminal, and all of it in files where that is wanted. Tables and charts are made of what the file
/// says, so that they are the same whenever they are made of it.
fn show(options: &Options, json: &str) -> io::Result<Results> {
    let results: Results =
        serde_json::from_str(json).map_err(|error| io::Error::other(format!("no results: {error}")))?;
    let tables = terminal(&results).trim_end().to_owned() + "\n";
    say(tables.trim_end());
    let is_all = options.only.is_empty() && options.server.is_empty() && !options.quick && options.show.is_none();
    let (folder, text) = match &options.out {
        Some(folder) => (folder.clone(), (folder.join("results.md"), markdown(&results))),
        None if options.book || (is_all && !cfg!(debug_assertions)) => {
            (Path::new(BOOK).join("src/compare"), (Path::new(BOOK).join("recorded/compare.txt"), tables))
        }
        None => return Ok(results),
    };
    let drawn = charts(&results).map_err(|error| io::Error::other(format!("cannot draw: {error}")))?;
    let mut files = vec![(folder.join("results.json"), json.to_owned()), text];
    files.extend(drawn.into_iter().map(|(name, chart)| (folder.join(name), chart)));
    fs::create_dir_all(&folder).map_err(|error| explain(folder.display(), &error))?;
    for (file, text) in files {
        fs::write(&file, text).map_err(|error| explain(file.display(), &error))?;
    }
    if io::stderr().is_terminal() {
        warn(format_args!("the results and the charts are in {}", folder.display()));
    }
    Ok(results)
}

/// Every server model under the same two probes, and what each of them costs.
#[derive(Parser)]
#[command(name = "compare", after_help = "It builds what it measures. `--list` names the models.")]
struct Options {
    /// A first look: one short round, which is printed and not written
    #[arg(long)]
    quick: bool,

    /// These models alone; printed and not written
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,

    /// Another server beside them: a command that takes `--addr HOST:PORT` and says `listening on HOST:PORT`
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named)]
    server: Vec<(String, String)>,

    /// How often everything is measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,

    /// How long each measurement takes
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,

    /// The folder for the results: as JSON, as tables for a page, and as charts
    #[arg(long, value_name = "DIR", conflicts_with = "book")]
    out: Option<PathBuf>,

    /// Put the results into the book, as happens when everything was measured
    #[arg(long)]
    book: bool,

    /// Measure nothing: show what is in this file of results
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only", "server", "rounds", "seconds", "list"])]
    show: Option<PathBuf>,

    /// Name the models
    #[arg(long)]
    list: bool,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("a server is NAME=COMMAND".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.01 to 60 is needed".to_owned()),
    }
}

fn main() -> ExitCode {
    become_server().unwrap_or_else(|| blocking_main(run))
}
