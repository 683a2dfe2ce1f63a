//! One chapter: its fences and figures are replaced by what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::console;
use crate::exercise;
use crate::fault::Fault;
use crate::fence::{Fence, fenced};
use crate::figure;
use crate::listing::Sources;
use crate::recorded;
use crate::workspace::Workspace;

/// For each source file that the book lists, the lines that it shows.
pub type Shown = BTreeMap<String, BTreeSet<usize>>;

/// Expands chapters, and keeps what was found wrong and which lines of the sources were shown.
#[derive(Debug)]
pub struct Expander {
    workspace: Workspace,
    sources: Sources,
    faults: Vec<Fault>,
}

impl Expander {
    /// An expander that has seen no chapter yet.
    pub fn new(workspace: &Workspace) -> Self {
        let sources = Sources::new(workspace.root());
        Self { workspace: workspace.clone(), sources, faults: Vec::new() }
    }

    /// The faults of all chapters so far.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The lines of the sources that were shown so far.
    pub fn shown(&self) -> &Shown {
        &self.sources.shown
    }

    /// The chapter with everything in its place. What cannot be replaced stays, and is a fault.
    pub fn expand(&mut self, chapter: &Path, content: &str) -> String {
        let mut text = String::with_capacity(content.len() * 2);
        let mut copied = 0;
        for piece in pieces(content) {
            let replaced = match &piece.kind {
                Kind::Fence { info, body } => self.fence(info, body),
                Kind::Directive(line) => self.directive(line),
                Kind::Indented => Err(vec!["an indented code block, which has no kind: use a fence".to_owned()]),
            };
            match replaced {
                Ok(None) => {}
                Ok(Some(markdown)) => {
                    let line_start = content[..piece.range.start].rfind('\n').map_or(0, |at| at + 1);
                    let margin = margin(&content[line_start..piece.range.start]);
                    text.push_str(&content[copied..piece.range.start]);
                    text.push_str(&indented(markdown.trim_end(), &margin));
                    let old = &content[piece.range.clone()];
                    copied = piece.range.start + old.trim_end_matches('\n').len();
                }
                Err(whats) => {
                    let line = content[..piece.range.start].matches('\n').count() + 1;
                    let place = format!("book/src/{}:{line}", chapter.display());
                    self.faults.extend(whats.into_iter().map(|what| Fault::new(&place, what)));
                }
            }
        }
        text.push_str(&content[copied..]);
        text
    }

    /// What stands for a fence; nothing where it stays as it is.
    fn fence(&mut self, info: &str, body: &str) -> Result<Option<String>, Vec<String>> {
        let one = |what| vec![what];
        match Fence::parse(info).map_err(one)? {
            Fence::Toml => match body.parse::<toml::Table>() {
                Ok(_) => Ok(None),
                Err(error) => Err(vec![format!("toml that does not parse: {error}")]),
            },
            Fence::Diagram => Ok(Some(fenced("text", body))),
            Fence::Console(console) => match console::fault(body) {
                None => Ok(Some(console::render(&console, body))),
                Some(what) => Err(vec![what]),
            },
            Fence::Items(docs) => self.sources.render(body, docs).map(Some),
            Fence::Python => self.sources.python(body).map(Some),
            Fence::File => self.sources.file(body).map(Some),
            Fence::Exercise => exercise::render(self.workspace.root(), body).map(Some),
            Fence::Recorded(name) => recorded::show(&self.workspace, &name, body).map(Some).map_err(one),
            Fence::Excerpt(name) => recorded::excerpt(&self.workspace, &name, body).map(Some).map_err(one),
        }
    }

    fn directive(&self, line: &str) -> Result<Option<String>, Vec<String>> {
        match figure::parse(line) {
            Some((path, caption)) => figure::render(&self.workspace.text(), path, caption).map(Some),
            None => Err(vec![format!(
                "'{}' is no directive of this book: listings are fences of the kind 'rust,item', figures stand alone \
                 on a line as {{{{#figure path caption}}}}",
                line.trim()
            )]),
        }
    }
}

/// A piece of a chapter that has to be looked at.
pub(crate) struct Piece {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

/// What kind of piece.
pub(crate) enum Kind {
    Fence { info: String, body: String },
    Indented,
    Directive(String),
}

/// Finds the code blocks and the directives of a chapter, in order.
pub(crate) fn pieces(content: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Option<(Option<String>, String)> = None;
    for (event, range) in new_cmark_parser(content, &MarkdownOptions::default()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                open = Some((Some(info.to_string()), String::new()));
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => open = Some((None, String::new())),
            Event::End(TagEnd::CodeBlock) => {
                let kind = match open.take() {
                    Some((Some(info), body)) => Kind::Fence { info, body },
                    _ => Kind::Indented,
                };
                pieces.push(Piece { range, kind });
            }
            Event::Text(text) => match &mut open {
                Some((_, body)) => body.push_str(&text),
                None if text.contains("{{#") && !is_in_last(&pieces, &range) => {
                    pieces.push(Piece { range, kind: Kind::Directive(text.to_string()) });
                }
                None => {}
            },
            Event::Start(Tag::Paragraph) if content[range.clone()].contains("{{#") => {
                let kind = Kind::Directive(content[range.clone()].to_owned());
                pieces.push(Piece { range, kind });
            }
            _ => {}
        }
    }
    pieces
}

fn is_in_last(pieces: &[Piece], range: &Range<usize>) -> bool {
    pieces.last().is_some_and(|last| last.range.end >= range.end)
}

/// What has to stand before each further line so that it stays in the list item or the quotation of the first.
fn margin(before: &str) -> String {
    before.chars().map(|c| if c == '>' { '>' } else { ' ' }).collect()
}

fn indented(markdown: &str, margin: &str) -> String {
    markdown.replace('\n', &format!("\n{margin}"))
}
