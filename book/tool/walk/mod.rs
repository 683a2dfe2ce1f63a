//! `check --walk`: runs every command that a page shows, in order, and compares what it prints with what the page shows.
//!
//! Each page has a fresh checkout of the sources, in the place of the sources, and a network of its own. That takes a
//! process for each page: this program again, in namespaces.

mod checkout;
mod page;
mod terminal;

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::fault::Fault;
use crate::sandbox;
use crate::workspace::Workspace;

pub use self::page::{Walked, walk_page};

/// Walks the pages of these names, or every page of the summary, and says how far it is.
///
/// # Errors
///
/// When a checkout cannot be made, or no process can be started.
pub fn walk(workspace: &Workspace, pages: &[String]) -> io::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut unwalked = Vec::new();
    // A copy of this program: a command may build it again, which takes it from its place.
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("walk");
    fs::copy("/proc/self/exe", &program)?;
    for page in if pages.is_empty() { pages_of(workspace)? } else { pages.to_vec() } {
        let started = Instant::now();
        let walked = in_a_checkout(workspace, &page, &program)?;
        if walked.commands > 0 {
            println!("walked {page}: {} commands in {:.1} s", walked.commands, started.elapsed().as_secs_f64());
        }
        unwalked.extend(walked.unwalked);
        faults.extend(walked.faults);
    }
    for fault in unwalked {
        println!("not walked: {fault}");
    }
    Ok(faults)
}

/// The pages, in the order of the summary.
fn pages_of(workspace: &Workspace) -> io::Result<Vec<String>> {
    let summary = fs::read_to_string(workspace.text().join("SUMMARY.md"))?;
    let pages = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(page, _)| page.to_owned());
    Ok(pages.filter(|page| !page.is_empty()).collect())
}

fn in_a_checkout(workspace: &Workspace, page: &str, program: &Path) -> io::Result<Walked> {
    // Most pages that only tell need none.
    let text = fs::read_to_string(workspace.text().join(page))?;
    if !text.contains("```console") {
        return Ok(Walked::default());
    }
    let fresh = tempfile::tempdir()?;
    checkout::copy(workspace.root(), fresh.path())?;
    let overlaid = sandbox::overlaid(fresh.path(), workspace.root(), program);
    let Some(mut command) = overlaid else {
        return walk_page(&Workspace::at(fresh.path()), page);
    };
    let output = command.args(["walk-page", page]).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the walk of {page} ended with {}", output.status)));
    }
    Ok(Walked::parse(&String::from_utf8_lossy(&output.stdout)))
}

impl Walked {
    /// What the process of a page writes.
    pub fn write(&self) -> String {
        let line = |kind: &str, fault: &Fault| format!("{kind}\t{}\t{}\n", fault.place, one_line(&fault.what));
        let unwalked = self.unwalked.iter().map(|fault| line("unwalked", fault));
        let faults = self.faults.iter().map(|fault| line("fault", fault));
        unwalked.chain(faults).fold(format!("commands\t{}\n", self.commands), |text, line| text + &line)
    }

    /// What [`write`](Self::write) wrote.
    pub fn parse(text: &str) -> Self {
        let mut walked = Self::default();
        for line in text.lines() {
            match line.splitn(3, '\t').collect::<Vec<_>>().as_slice() {
                ["commands", count] => walked.commands = count.parse().unwrap_or(0),
                ["unwalked", place, what] => walked.unwalked.push(Fault::new(*place, *what)),
                ["fault", place, what] => walked.faults.push(Fault::new(*place, *what)),
                _ => {}
            }
        }
        walked
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
