//! Listings: from a line like `executor/src/mailbox.rs Mailbox::post` to the text of that item.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::fence::fenced;
use crate::source::{Docs, SourceFile};

/// The source files that listings name, each parsed once, and which of their lines were shown.
#[derive(Debug)]
pub(crate) struct Sources {
    root: PathBuf,
    files: BTreeMap<String, Result<SourceFile, String>>,
    pub(crate) shown: BTreeMap<String, BTreeSet<usize>>,
}

/// Items of one file, shown together under one caption.
struct Listing<'a> {
    path: &'a str,
    captions: Vec<String>,
    texts: Vec<String>,
}

impl Sources {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: BTreeMap::new(), shown: BTreeMap::new() }
    }

    /// The markdown that stands for a fence with these lines, or what is wrong with each of them.
    pub(crate) fn render(&mut self, body: &str, docs: Docs) -> Result<String, Vec<String>> {
        let mut listings: Vec<Listing<'_>> = Vec::new();
        let mut faults = Vec::new();
        for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (path, query) = match line.split_once(char::is_whitespace) {
                Some((path, query)) => (path, Some(query.trim())),
                None => (line, None),
            };
            match self.excerpt(path, query, docs) {
                Err(what) => faults.push(format!("listing '{line}': {what}")),
                Ok((caption, text)) => match listings.last_mut() {
                    Some(last) if last.path == path => {
                        last.captions.push(caption);
                        last.texts.push(text);
                    }
                    _ => listings.push(Listing { path, captions: vec![caption], texts: vec![text] }),
                },
            }
        }
        if listings.is_empty() && faults.is_empty() {
            faults.push("a listing without a line like 'executor/src/mailbox.rs Mailbox::post'".into());
        }
        if faults.is_empty() {
            Ok(listings.iter().map(Listing::markdown).collect::<Vec<_>>().join("\n"))
        } else {
            Err(faults)
        }
    }

    /// The markdown that stands for a file of the workspace that is no Rust.
    pub(crate) fn file(&self, path: &str) -> Result<String, String> {
        let text = read(&self.root, path).map_err(|what| format!("file '{path}': {what}"))?;
        let path = escape(path);
        Ok(format!("<p class=\"listing\"><code>{path}</code></p>\n\n{}", fenced("text", &text)))
    }

    /// The caption and the text of one item, or of a whole file.
    fn excerpt(&mut self, path: &str, query: Option<&str>, docs: Docs) -> Result<(String, String), String> {
        let source = self.files.entry(path.to_owned()).or_insert_with(|| load(&self.root, path));
        let source = source.as_ref().map_err(Clone::clone)?;
        let (excerpt, caption) = match query {
            Some(query) => {
                let excerpt = source.excerpt(source.find(query)?, docs);
                let line = excerpt.lines.first().copied().unwrap_or(1);
                (excerpt, format!("<code>{}</code>, line {line}", escape(query)))
            }
            None => (source.whole(docs), "the whole file".to_owned()),
        };
        self.shown.entry(path.to_owned()).or_default().extend(&excerpt.lines);
        Ok((caption, excerpt.text))
    }
}

impl Listing<'_> {
    fn markdown(&self) -> String {
        let path = escape(self.path);
        let captions = self.captions.join(" · ");
        let body = keep_hashes(&self.texts.join("\n"));
        let fence = fenced("rust", &body);
        format!("<p class=\"listing\"><code>{path}</code> · {captions}</p>\n\n{fence}")
    }
}

/// Reads and parses the file at `path`, a path below `root`.
pub(crate) fn load(root: &Path, path: &str) -> Result<SourceFile, String> {
    let text = read(root, path)?;
    SourceFile::parse(&text).map_err(|error| format!("{path} does not parse: {error}"))
}

fn read(root: &Path, path: &str) -> Result<String, String> {
    let is_below = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below {
        return Err("the path has to be one below the workspace".into());
    }
    fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
}

/// mdBook hides lines of Rust that begin with `# ` and takes one `#` from those that begin with `##`. A listing is
/// shown as it is, so such lines get one more.
fn keep_hashes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        if code.trim_end() == "#" || code.starts_with("# ") || code.starts_with("##") {
            kept.push_str(&line[..line.len() - code.len()]);
            kept.push('#');
            kept.push_str(code);
        } else {
            kept.push_str(line);
        }
    }
    kept
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_mdbook_would_hide_are_kept() {
        assert_eq!(keep_hashes("# a\n  ## b\n#\n#[c]\n"), "## a\n  ### b\n##\n#[c]\n");
    }

    #[test]
    fn a_path_out_of_the_workspace_is_refused() {
        for path in ["../x.rs", "/etc/passwd", "a/../../b.rs"] {
            assert!(load(Path::new("."), path).unwrap_err().contains("below"), "{path}");
        }
    }
}
