//! `cargo run -p pollywog-book` builds the book; `--help` tells the rest.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mdbook_driver::errors::Result;
use pollywog_book::{BrowserOptions, Fault, Faults, Workspace};

/// Builds the book into book/out.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Opens the book in the browser once it is built.
    #[arg(long)]
    open: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the book and checks it: pages, links, headings, images, that it loads nothing from another host, and that
    /// the recorded outputs are still those of their programs.
    Check {
        /// Runs every command of every page too, or of these pages, and compares what comes with what the page shows.
        #[arg(long, value_name = "PAGE", num_args = 0..)]
        walk: Option<Vec<String>>,
        /// Opens every page in headless Chromium too. Skipped where there is none, unless CI=true.
        #[arg(long)]
        browser: bool,
        /// Leaves pictures of every page in this directory, light and dark, and as wide as a phone.
        #[arg(long, value_name = "DIR", requires = "browser")]
        screenshots: Option<PathBuf>,
    },
    /// Makes recorded outputs and measured figures: all of them, or those named.
    Record {
        /// As in book/recorded/NAME.toml.
        name: Vec<String>,
    },
    /// Runs the exercises of all chapters, or of these, with the stubs and with the solutions.
    Exercises {
        /// The numbers of the chapters.
        chapter: Vec<String>,
    },
    /// Runs the commands of one page right here, for `check --walk`.
    #[command(hide = true)]
    WalkPage {
        /// A file of book/src.
        page: String,
    },
    /// Prints how many lines of the crates the book shows, by file.
    Coverage {
        /// Names the items of which no line is shown.
        #[arg(long)]
        unshown: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workspace = Workspace::here();
    let result = match cli.command {
        None => build(&workspace, cli.open),
        Some(Command::Check { walk, browser, screenshots }) => {
            check(&workspace, walk, browser.then_some(BrowserOptions { screenshots }), cli.open)
        }
        Some(Command::Record { name }) => {
            pollywog_book::record(&workspace, &name).map_err(Into::into).and_then(all_well)
        }
        Some(Command::Exercises { chapter }) => {
            pollywog_book::check_exercises(&workspace, &chapter).map_err(Into::into).and_then(all_well)
        }
        Some(Command::WalkPage { page }) => walk_page(&workspace, &page),
        Some(Command::Coverage { unshown }) => coverage(&workspace, unshown),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Faults>() {
                Some(faults) => {
                    eprintln!("{faults}");
                    eprintln!("the book has {} fault(s)", faults.0.len());
                }
                None => eprintln!("{error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn build(workspace: &Workspace, open: bool) -> Result<()> {
    pollywog_book::build(workspace)?;
    let index = workspace.out().join("index.html");
    println!("the book is in {}", index.display());
    if open {
        opener::open(&index)?;
    }
    Ok(())
}

fn check(workspace: &Workspace, walk: Option<Vec<String>>, browser: Option<BrowserOptions>, open: bool) -> Result<()> {
    build(workspace, open)?;
    let mut faults = pollywog_book::check(workspace)?;
    faults.extend(pollywog_book::check_recorded(workspace)?);
    if let Some(pages) = walk {
        faults.extend(pollywog_book::walk(workspace, &pages)?);
    }
    if let Some(options) = browser {
        faults.extend(pollywog_book::check_in_browser(workspace, &options)?);
    }
    all_well(faults)?;
    println!("no fault found");
    Ok(())
}

fn all_well(faults: Vec<Fault>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults).into()) }
}

fn walk_page(workspace: &Workspace, page: &str) -> Result<()> {
    print!("{}", pollywog_book::walk_page(workspace, page)?.write());
    Ok(())
}

fn coverage(workspace: &Workspace, unshown: bool) -> Result<()> {
    let coverage = pollywog_book::coverage(workspace)?;
    for file in &coverage.files {
        println!("{:>5} of {:>5}  {}", file.shown, file.lines, file.path);
        if unshown {
            for name in &file.unshown_items {
                println!("                {name}");
            }
        }
    }
    let (shown, lines) = coverage.total();
    println!("{shown:>5} of {lines:>5}  in all");
    Ok(())
}
