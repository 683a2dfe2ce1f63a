//! The summary and the pages: each page stands in it, each recorded output and figure on a page, and what a page names
//! is there.

use std::fs;
use std::io;
use std::path::Path;

use crate::check::{files, prose};
use crate::fault::Fault;
use crate::recorded;
use crate::workspace::Workspace;

/// What lies in the book's directory and that no reader would ever see. (That the summary names no page that is
/// missing is mdBook's own check.)
pub(super) fn check(workspace: &Workspace) -> io::Result<Vec<Fault>> {
    let summary = fs::read_to_string(workspace.text().join("SUMMARY.md"))?;
    let mut faults = Vec::new();
    let mut text = String::new();
    for path in files(&workspace.text(), Path::new(""))? {
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        if !is_page || path == Path::new("SUMMARY.md") {
            continue;
        }
        let page = fs::read_to_string(workspace.text().join(&path))?;
        faults.extend(prose::check(workspace.root(), &path.to_string_lossy(), &page));
        text.push_str(&page);
        if !summary.contains(&format!("({})", path.display())) {
            let what = "the page is not in SUMMARY.md";
            faults.push(Fault::new(format!("book/src/{}", path.display()), what));
        }
    }
    let figures = workspace.text().join("figures");
    for path in files(&figures, Path::new(""))? {
        if !text.contains(&format!("figures/{}", path.display())) {
            let place = format!("book/src/figures/{}", path.display());
            faults.push(Fault::new(place, "no page shows the figure"));
        }
    }
    for name in recorded::names(workspace)? {
        let figures = recorded::figures(workspace, &name);
        let shown = |kind: &str| text.contains(&format!("```text,{kind} {name}\n"));
        if !shown("recorded") && !shown("excerpt") && !figures.iter().any(|figure| text.contains(figure)) {
            faults.push(Fault::new(format!("book/recorded/{name}.toml"), "no page shows the recorded output"));
        }
    }
    Ok(faults)
}
