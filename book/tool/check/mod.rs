//! Checks of the rendered book: what a reader's browser would find missing, before it does.

pub(crate) mod html;
mod links;
mod loads;
mod pages;
mod prose;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::workspace::Workspace;

use self::html::Page;

/// The files of the rendered book.
#[derive(Debug)]
struct Site {
    root: PathBuf,
    pages: BTreeMap<PathBuf, Page>,
    styles: BTreeMap<PathBuf, String>,
}

/// Checks the book that was built into `book/out`; an empty list means that nothing was found.
///
/// # Errors
///
/// When a file cannot be read.
pub fn check(workspace: &Workspace) -> io::Result<Vec<Fault>> {
    let site = Site::read(&workspace.out())?;
    let mut faults = pages::check(workspace)?;
    for (path, page) in &site.pages {
        faults.extend(links::check(&site, path, page));
        faults.extend(loads::check_page(&site, path, page));
    }
    for (path, style) in &site.styles {
        faults.extend(loads::check_style(&site, path, style));
    }
    faults.sort();
    faults.dedup();
    Ok(faults)
}

impl Site {
    fn read(root: &Path) -> io::Result<Self> {
        let mut site = Self { root: root.to_owned(), pages: BTreeMap::new(), styles: BTreeMap::new() };
        for path in files(root, Path::new(""))? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("html") => {
                    let page = Page::parse(&fs::read_to_string(root.join(&path))?);
                    site.pages.insert(path, page);
                }
                Some("css") => {
                    let style = fs::read_to_string(root.join(&path))?;
                    site.styles.insert(path, style);
                }
                _ => {}
            }
        }
        Ok(site)
    }

    /// Whether the address, seen from the file `from`, is a file of the book.
    fn resolve(&self, from: &Path, address: &str) -> Option<PathBuf> {
        let address = address.split(['?', '#']).next().unwrap_or("");
        let mut path = from.parent().unwrap_or(Path::new("")).to_path_buf();
        for part in percent_decoded(address).split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if !path.pop() {
                        return None;
                    }
                }
                part => path.push(part),
            }
        }
        if self.root.join(&path).is_dir() {
            path.push("index.html");
        }
        self.root.join(&path).is_file().then_some(path)
    }
}

/// How a fault names a file of the rendered book.
fn place(path: &Path) -> String {
    format!("book/out/{}", path.display())
}

/// Whether an address names its own scheme or host.
fn is_elsewhere(address: &str) -> bool {
    let scheme = address.split(['/', '?', '#']).next().unwrap_or("");
    address.starts_with("//") || scheme.contains(':')
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All files below `root`, by their path from there.
fn files(root: &Path, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            found.append(&mut files(root, &path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded_and_told_apart() {
        assert_eq!(percent_decoded("a%20b%c3%a9%2"), "a bé%2");
        assert!(is_elsewhere("https://example.org/") && is_elsewhere("//host/x") && is_elsewhere("mailto:a@b"));
        assert!(!is_elsewhere("a.html#b:c") && !is_elsewhere("../x/y:z"));
    }
}
