//! Which lines of the crates the book shows.
//!
//! Counted are the lines of items that hold code: not blank ones, comments, imports, or what only tests compile. The
//! first and last line of a block whose items are listed one by one count for nothing either.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;
use mdbook_driver::errors::Result;

use crate::fault::{Fault, Faults};
use crate::listing;
use crate::preprocessor::expand;
use crate::source::SourceFile;
use crate::workspace::Workspace;

/// How much of one file the book shows.
#[derive(Debug)]
pub struct FileCoverage {
    /// The file, below the workspace.
    pub path: String,
    /// The lines of code that a listing could show.
    pub lines: usize,
    /// Those that a listing shows.
    pub shown: usize,
    /// The items of which no line is shown.
    pub unshown_items: Vec<String>,
}

/// How much of the crates the book shows.
#[derive(Debug)]
pub struct Coverage {
    /// By file, in the order of their names.
    pub files: Vec<FileCoverage>,
}

impl Coverage {
    /// The lines of all files: shown, and in total.
    pub fn total(&self) -> (usize, usize) {
        let sum = |count: fn(&FileCoverage) -> usize| self.files.iter().map(count).sum();
        (sum(|file| file.shown), sum(|file| file.lines))
    }
}

/// Counts the lines of executor/src and net/src that the book shows.
///
/// # Errors
///
/// When the book does not load, or a source file cannot be read.
pub fn coverage(workspace: &Workspace) -> Result<Coverage> {
    let mut book = MDBook::load(workspace.book())?.book;
    let expander = expand(workspace, &mut book);
    let mut files = Vec::new();
    for directory in ["executor/src", "net/src"] {
        for (path, source) in sources(workspace.root(), Path::new(directory))? {
            let nothing = BTreeSet::new();
            let shown = expander.shown().get(&path).unwrap_or(&nothing);
            files.push(count(path, &source, shown));
        }
    }
    Ok(Coverage { files })
}

fn count(path: String, source: &SourceFile, shown: &BTreeSet<usize>) -> FileCoverage {
    let mut lines = BTreeSet::new();
    let mut unshown_items = Vec::new();
    for item in source.items().iter().filter(|item| !item.is_container) {
        let code = source.code_lines(item);
        if !code.iter().any(|line| shown.contains(line)) {
            unshown_items.push(item.name.clone());
        }
        lines.extend(code);
    }
    let shown = lines.intersection(shown).count();
    FileCoverage { path, lines: lines.len(), shown, unshown_items }
}

/// The files of a crate, without the modules that only tests compile.
fn sources(root: &Path, directory: &Path) -> Result<Vec<(String, SourceFile)>> {
    let mut files = Vec::new();
    let mut skipped: Vec<PathBuf> = Vec::new();
    for path in rust_files(root, directory)? {
        let name = path.to_string_lossy().replace('\\', "/");
        let source = listing::load(root, &name).map_err(|what| Faults(vec![Fault::new(name.as_str(), what)]))?;
        let home = module_directory(&path);
        skipped.extend(source.test_modules().iter().map(|module| home.join(module)));
        files.push((path, name, source));
    }
    files.retain(|(path, _, _)| !skipped.iter().any(|skip| path.with_extension("").starts_with(skip)));
    Ok(files.into_iter().map(|(_, name, source)| (name, source)).collect())
}

/// Where the modules that a file declares have their files.
fn module_directory(path: &Path) -> PathBuf {
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "mod" | "main") => path.with_file_name(""),
        _ => path.with_extension(""),
    }
}

fn rust_files(root: &Path, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.append(&mut rust_files(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
