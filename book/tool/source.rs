//! One source file: finding an item in it and cutting its text out.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Macro};

use crate::item::{Index, Item, lines};
use crate::name::{canonical, nearest};

/// Whether a listing keeps the doc comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Docs {
    /// As in the file.
    Keep,
    /// Without them, for pages that say it in their own words.
    Drop,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text, moved to the left edge, ending in a line feed.
    pub text: String,
    /// The lines of the file that it shows, counted from 1.
    pub lines: Vec<usize>,
}

/// A parsed source file.
#[derive(Debug)]
pub struct SourceFile {
    text: Vec<String>,
    index: Index,
    doc_lines: BTreeSet<usize>,
}

impl SourceFile {
    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// What the parser says, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text).map_err(|error| format!("line {}: {error}", error.span().start().line))?;
        let mut docs = DocLines::default();
        docs.visit_file(&file);
        Ok(Self { text: text.lines().map(str::to_owned).collect(), index: Index::of(&file), doc_lines: docs.0 })
    }

    /// The items that a listing can name.
    pub fn items(&self) -> &[Item] {
        &self.index.items
    }

    /// The modules declared here, with files of their own, that only tests compile.
    pub fn test_modules(&self) -> &[String] {
        &self.index.test_modules
    }

    /// Finds an item by name, spelled short or in full.
    ///
    /// # Errors
    ///
    /// Says what was looked for, and the nearest names or the lines of all that answer to it.
    pub fn find(&self, query: &str) -> Result<&Item, String> {
        let wanted = canonical(query).map_err(|error| format!("'{query}' is no name: {error}"))?;
        let answers = |wanted: &str| -> Vec<&Item> {
            let items = || self.index.items.iter();
            let exact: Vec<&Item> = items().filter(|item| item.full == wanted).collect();
            if exact.len() == 1 {
                return exact;
            }
            items().filter(|item| item.name == wanted || item.full == wanted).collect()
        };
        let mut found = answers(&wanted);
        // `mod a::b` may also mean the item b in the module a.
        if found.is_empty()
            && let Some(inner) = wanted.strip_prefix("mod ")
            && inner.contains("::")
        {
            found = answers(inner);
        }
        match found.as_slice() {
            [item] => Ok(item),
            [] => {
                let names = self.index.items.iter().map(|item| item.name.as_str());
                Err(match nearest(&wanted, names).as_slice() {
                    [] => format!("no item '{query}': the file has no items"),
                    near => format!("no item '{query}'; the nearest are '{}'", near.join("', '")),
                })
            }
            several => {
                let places: Vec<String> =
                    several.iter().map(|item| format!("'{}' in line {}", item.full, item.lines.start())).collect();
                Err(format!("'{query}' is ambiguous: {}", places.join(", ")))
            }
        }
    }

    /// Cuts an item out, with the `//` comments that stand directly on it.
    pub fn excerpt(&self, item: &Item, docs: Docs) -> Excerpt {
        let mut first = *item.lines.start();
        while first > 1 && is_plain_comment(&self.text[first - 2]) {
            first -= 1;
        }
        self.cut(first..=*item.lines.end(), docs)
    }

    /// The file without the items that only tests compile.
    pub fn whole(&self, docs: Docs) -> Excerpt {
        self.cut(1..=self.text.len(), docs)
    }

    fn cut(&self, range: RangeInclusive<usize>, docs: Docs) -> Excerpt {
        let mut kept: Vec<usize> = range
            .filter(|line| !self.is_test_line(*line))
            .filter(|line| docs == Docs::Keep || !self.doc_lines.contains(line))
            .collect();
        let is_blank = |line: &usize| self.text[line - 1].trim().is_empty();
        // What was dropped leaves its blank lines behind.
        kept.dedup_by(|next, line| is_blank(line) && is_blank(next));
        while kept.last().is_some_and(is_blank) {
            kept.pop();
        }
        while kept.first().is_some_and(is_blank) {
            kept.remove(0);
        }
        let margin = kept.first().map_or(0, |&line| indentation(&self.text[line - 1]));
        let mut text = String::new();
        for &line in &kept {
            let line = &self.text[line - 1];
            text.push_str(&line[margin.min(indentation(line))..]);
            text.push('\n');
        }
        Excerpt { text, lines: kept }
    }

    fn is_test_line(&self, line: usize) -> bool {
        self.index.test_lines.iter().any(|range| range.contains(&line))
    }

    /// The lines of an item that hold code: not blank, not a comment, not for tests only.
    pub fn code_lines(&self, item: &Item) -> Vec<usize> {
        let holds_code = |&line: &usize| {
            let text = self.text[line - 1].trim();
            !text.is_empty() && !text.starts_with("//")
        };
        item.lines.clone().filter(holds_code).filter(|&line| !self.is_test_line(line)).collect()
    }
}

fn is_plain_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") && !line.starts_with("///") && !line.starts_with("//!")
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Collects the lines of doc comments.
#[derive(Default)]
struct DocLines(BTreeSet<usize>);

impl Visit<'_> for DocLines {
    fn visit_attribute(&mut self, attribute: &Attribute) {
        if attribute.path().is_ident("doc") {
            self.0.extend(lines(attribute.span()));
        }
    }

    /// The items in a call like `pin_project! { … }` have doc comments too.
    fn visit_macro(&mut self, call: &Macro) {
        if let Ok(inner) = syn::parse2::<syn::File>(call.tokens.clone()) {
            let mut docs = DocLines::default();
            docs.visit_file(&inner);
            self.0.append(&mut docs.0);
        }
    }
}
