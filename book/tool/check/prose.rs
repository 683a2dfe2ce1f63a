//! What a page names in passing: files of the workspace, and functions in them.

use std::fs;
use std::path::Path;

use mdbook_markdown::pulldown_cmark::Event;
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::fault::Fault;

/// The directories whose files a page names by their path.
const DIRECTORIES: [&str; 8] = ["bench/", "book/", "deploy/", "examples/", "executor/", "net/", "tests/", ".ci/"];

/// Words in a code span that look like a path of the workspace and lead to no file, or like a function of that file and
/// are none.
pub(super) fn check(root: &Path, page: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (event, range) in new_cmark_parser(text, &MarkdownOptions::default()).into_offset_iter() {
        let Event::Code(code) = event else { continue };
        let (path, name) = code.split_once(' ').map_or((&*code, None), |(path, name)| (path, Some(name)));
        if !is_path(path) {
            continue;
        }
        let line = text[..range.start].matches('\n').count() + 1;
        let mut fault = |what| faults.push(Fault::new(format!("book/src/{page}:{line}"), what));
        if !root.join(path).exists() {
            fault(format!("'{path}' is not there"));
        } else if let Some(name) = name.filter(|name| is_function(name))
            && !fs::read_to_string(root.join(path)).is_ok_and(|source| defines(&source, name))
        {
            fault(format!("'{path}' has no function '{name}'"));
        }
    }
    faults
}

/// A pattern, a place that the reader fills in or that a build makes is none.
fn is_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let is_filled_in = word.split(['/', '.', '-', '_']).any(|part| matches!(part, "N" | "NAME" | "out"));
    is_plain && !is_filled_in && DIRECTORIES.iter().any(|directory| word.starts_with(directory))
}

/// Whether it is called like a function, and not an argument of a command.
fn is_function(name: &str) -> bool {
    name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn defines(source: &str, name: &str) -> bool {
    ["fn ", "def "].iter().any(|keyword| {
        source
            .match_indices(&format!("{keyword}{name}"))
            .any(|(at, found)| source[at + found.len()..].starts_with(['(', '<']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tests")).unwrap();
        fs::write(folder.path().join("tests/a.rs"), "fn it_works() {}\n").unwrap();
        let found = |text: &str| check(folder.path(), "p.md", text).iter().map(ToString::to_string).collect::<Vec<_>>();
        let none: Vec<String> = Vec::new();
        assert_eq!(
            found("`tests/a.rs`, `tests/a.rs it_works`, `tests/NAME.rs`, `a/b.rs`, `tests/a --help`"),
            ["book/src/p.md:1: 'tests/a' is not there"]
        );
        assert_eq!(found("\n`tests/b.rs`"), ["book/src/p.md:2: 'tests/b.rs' is not there"]);
        assert_eq!(found("`tests/a.rs it_work`"), ["book/src/p.md:1: 'tests/a.rs' has no function 'it_work'"]);
        assert_eq!(found("```console\n$ tests/b\n```"), none);
    }
}
