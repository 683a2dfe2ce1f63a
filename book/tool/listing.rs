//! Listings: from a line like `executor/src/mailbox.rs Mailbox::post` to the text of that item.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::fence::fenced;
use crate::script;
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

    /// The markdown that stands for a fence that names functions or classes of Python, or whole files of it.
    pub(crate) fn python(&self, body: &str) -> Result<String, Vec<String>> {
        self.scripts(body, |text, path, name| {
            if !path.ends_with(".py") {
                return Err("the file is no Python".to_owned());
            }
            name.map_or_else(|| Ok((text.to_owned(), 0)), |name| script::python(text, name))
        })
    }

    /// The markdown that stands for files of the workspace that are neither, or for functions of shell scripts.
    pub(crate) fn file(&self, body: &str) -> Result<String, Vec<String>> {
        self.scripts(body, |text, _, name| {
            name.map_or_else(|| Ok((text.to_owned(), 0)), |name| script::shell(text, name))
        })
    }

    /// One listing for each line of the fence, with the part of the file that `cut` finds, and its first line.
    fn scripts(
        &self,
        body: &str,
        cut: impl Fn(&str, &str, Option<&str>) -> Result<(String, usize), String>,
    ) -> Result<String, Vec<String>> {
        let (mut listings, mut faults) = (Vec::new(), Vec::new());
        for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (path, name) = line.split_once(' ').map_or((line, None), |(path, name)| (path, Some(name.trim())));
            let found = read(&self.root, path).and_then(|text| {
                let (part, at) = cut(&text, path, name)?;
                let caption = name.map_or(String::new(), |name| format!(" · <code>{}</code>, line {at}", escape(name)));
                let fence = fenced(language(path, &text), &part);
                Ok(format!("<p class=\"listing\"><code>{}</code>{caption}</p>\n\n{fence}", escape(path)))
            });
            match found {
                Ok(listing) => listings.push(listing),
                Err(what) => faults.push(format!("listing '{line}': {what}")),
            }
        }
        if listings.is_empty() && faults.is_empty() {
            faults.push("a listing without a line like 'deploy/haproxy.cfg'".into());
        }
        if faults.is_empty() { Ok(listings.join("\n")) } else { Err(faults) }
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
pub(crate) fn keep_hashes(text: &str) -> String {
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

/// What the colours of a listing go by.
fn language(path: &str, text: &str) -> &'static str {
    let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    match ending {
        "py" => "python",
        "rs" => "rust",
        "c" | "h" => "c",
        "sh" => "bash",
        "json" => "json",
        "toml" | "service" | "socket" | "conf" | "ini" => "ini",
        _ if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("sh")) => "bash",
        _ => "text",
    }
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
