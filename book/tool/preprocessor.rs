//! The book's own preprocessor, called by mdBook before it renders.

use std::path::PathBuf;

use mdbook_preprocessor::book::{Book, BookItem};
use mdbook_preprocessor::errors::Result;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::chapter::Expander;
use crate::fault::{Fault, Faults};
use crate::workspace::Workspace;

/// Puts listings, recorded outputs and figures into the chapters.
#[derive(Debug)]
pub struct Listings {
    workspace: Workspace,
}

impl Listings {
    /// Takes the sources from this workspace.
    pub fn new(workspace: &Workspace) -> Self {
        Self { workspace: workspace.clone() }
    }
}

impl Preprocessor for Listings {
    fn name(&self) -> &str {
        "listings"
    }

    fn run(&self, _context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let expander = expand(&self.workspace, &mut book);
        let mut faults = expander.faults().to_vec();
        faults.extend(drafts(&book));
        if faults.is_empty() { Ok(book) } else { Err(Faults(faults).into()) }
    }
}

/// Expands every chapter of the book in its place.
pub(crate) fn expand(workspace: &Workspace, book: &mut Book) -> Expander {
    let mut expander = Expander::new(workspace);
    book.for_each_chapter_mut(|chapter| {
        let path = chapter.source_path.clone().unwrap_or_else(|| PathBuf::from(&chapter.name));
        chapter.content = expander.expand(&path, &chapter.content);
    });
    expander
}

/// Chapters that the summary names without a page.
fn drafts(book: &Book) -> Vec<Fault> {
    book.iter()
        .filter_map(|item| match item {
            BookItem::Chapter(chapter) if chapter.is_draft_chapter() => {
                Some(Fault::new("book/src/SUMMARY.md", format!("the chapter '{}' has no page", chapter.name)))
            }
            _ => None,
        })
        .collect()
}
