//! Items are found by name, and only then.

use pollywog_book::{Docs, SourceFile};

const SOURCE: &str = r##"//! A file.

use std::fmt;

/// Counts.
///
/// ```
/// # let hidden = 1;
/// ```
#[derive(Debug)]
pub struct Counter<T> {
    /// How many.
    count: usize, // so far
    of: T,
}

// Why it is three.
const LIMIT: usize = 3;

impl<T: Clone> Counter<T> {
    /// One more.
    #[inline]
    pub fn bump(&mut self) -> bool {
        // Never above the limit.
        self.count += 1;

        self.count < LIMIT
    }

    #[cfg(test)]
    fn only_for_tests(&self) {}
}

impl<T> fmt::Display for Counter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)
    }
}

impl<T> From<u8> for Counter<T> {
    fn from(_: u8) -> Self {
        todo!()
    }
}

impl<T> From<u16> for Counter<T> {
    fn from(_: u16) -> Self {
        todo!()
    }
}

impl fmt::Debug for &dyn Step {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

trait Step {
    type Size;
    fn step(&self) -> u8 {
        1
    }
}

mod inner {
    pub mod deeper {
        pub fn dive() -> u8 {
            7
        }
    }

    pub fn bump() {}
}

pin_project_lite::pin_project! {
    /// Waits.
    pub struct Waiting<F> {
        #[pin]
        future: F,
    }
}

strange! { struct Odd where => 1 }

macro_rules! twice {
    ($e:expr) => {
        ($e, $e)
    };
}

#[cfg(not(test))]
fn in_the_crate() {}

#[cfg(all(test, unix))]
fn in_a_test() {}

#[cfg(test)]
mod tests {
    fn dive() {}
}
"##;

fn source() -> SourceFile {
    SourceFile::parse(SOURCE).unwrap()
}

fn text(query: &str, docs: Docs) -> String {
    let source = source();
    let item = source.find(query).unwrap_or_else(|what| panic!("{what}"));
    source.excerpt(item, docs).text
}

fn fault(query: &str) -> String {
    source().find(query).map(|item| item.name.clone()).unwrap_err()
}

#[test]
fn a_method_is_cut_out_and_moved_to_the_left_edge() {
    let expected = "/// One more.\n#[inline]\npub fn bump(&mut self) -> bool {\n    // Never above the limit.\n    \
                    self.count += 1;\n\n    self.count < LIMIT\n}\n";
    assert_eq!(text("Counter::bump", Docs::Keep), expected);
    assert_eq!(text("Counter<T>::bump", Docs::Keep), expected);
    assert_eq!(text(" Counter :: bump ", Docs::Keep), expected);
}

#[test]
fn nodoc_drops_the_doc_comments_and_nothing_else() {
    let bump = text("Counter::bump", Docs::Drop);
    assert!(bump.starts_with("#[inline]\npub fn bump"), "{bump}");
    assert!(bump.contains("// Never above the limit."), "{bump}");
    let counter = "#[derive(Debug)]\npub struct Counter<T> {\n    count: usize, // so far\n    of: T,\n}\n";
    assert_eq!(text("Counter", Docs::Drop), counter);
}

#[test]
fn the_lines_of_an_excerpt_are_those_of_the_file() {
    let source = source();
    let excerpt = source.excerpt(source.find("Counter::bump").unwrap(), Docs::Drop);
    let lines: Vec<&str> = SOURCE.lines().collect();
    let shown: Vec<&str> = excerpt.lines.iter().map(|line| lines[line - 1].trim()).collect();
    assert_eq!(shown, excerpt.text.lines().map(str::trim).collect::<Vec<_>>());
    assert_eq!(shown.first(), Some(&"#[inline]"));
}

#[test]
fn a_comment_that_stands_on_the_item_comes_along() {
    assert_eq!(text("LIMIT", Docs::Drop), "// Why it is three.\nconst LIMIT: usize = 3;\n");
}

#[test]
fn trait_implementations_are_found_as_a_whole_and_by_method() {
    let whole = text("Display for Counter", Docs::Keep);
    assert!(whole.starts_with("impl<T> fmt::Display for Counter<T> {\n"), "{whole}");
    assert!(whole.ends_with("\n}\n"), "{whole}");
    for query in ["<Counter as Display>::fmt", "<Counter<T> as fmt::Display>::fmt"] {
        assert!(text(query, Docs::Keep).starts_with("fn fmt(&self"), "{query}");
    }
    assert_eq!(text("impl fmt::Display for Counter<T>", Docs::Keep), whole);
    assert!(text("Debug for &dyn Step", Docs::Keep).starts_with("impl fmt::Debug"));
    assert!(text("<&dyn Step as Debug>::fmt", Docs::Keep).starts_with("fn fmt"));
    // The type's own methods are another matter.
    assert!(fault("Counter::fmt").contains("'<Counter as Display>::fmt'"));
}

#[test]
fn a_traits_own_items_are_found() {
    assert_eq!(text("Step::step", Docs::Keep), "fn step(&self) -> u8 {\n    1\n}\n");
    assert_eq!(text("Step::Size", Docs::Keep), "type Size;\n");
}

#[test]
fn items_of_nested_modules_are_found_by_their_path_only() {
    let dive = "pub fn dive() -> u8 {\n    7\n}\n";
    assert_eq!(text("inner::deeper::dive", Docs::Keep), dive);
    assert_eq!(text("mod inner::deeper::dive", Docs::Keep), dive);
    assert!(text("mod inner::deeper", Docs::Keep).starts_with("pub mod deeper {\n    pub fn"));
    assert!(fault("dive").contains("'inner::deeper::dive'"));
}

#[test]
fn items_inside_macro_calls_are_found() {
    let waiting = text("Waiting", Docs::Drop);
    assert_eq!(waiting, "pub struct Waiting<F> {\n    #[pin]\n    future: F,\n}\n");
    let call = text("pin_project_lite::pin_project! Waiting", Docs::Keep);
    assert!(call.starts_with("pin_project_lite::pin_project! {\n    /// Waits.\n"), "{call}");
    assert_eq!(text("Odd", Docs::Keep), "strange! { struct Odd where => 1 }\n");
    assert!(text("twice!", Docs::Keep).starts_with("macro_rules! twice {"));
}

#[test]
fn a_missing_item_is_a_fault_that_names_the_nearest() {
    let what = fault("Counter::bumb");
    assert!(what.contains("no item 'Counter::bumb'"), "{what}");
    assert!(what.contains("'Counter::bump'"), "{what}");
    assert!(fault("Counter::").contains("Counter"), "an unfinished name");
    assert!(fault("(").contains("is no name"));
}

#[test]
fn an_ambiguous_name_is_a_fault_and_its_full_spelling_is_not() {
    let what = fault("From for Counter");
    assert!(what.contains("ambiguous") && what.contains("'From<u16> for Counter<T>' in line"), "{what}");
    assert!(text("From<u16> for Counter<T>", Docs::Keep).contains("_: u16"));
    assert!(text("<Counter<T> as From<u8>>::from", Docs::Keep).contains("_: u8"));
}

#[test]
fn what_only_tests_compile_is_never_listed() {
    for query in ["Counter::only_for_tests", "in_a_test", "tests::dive", "mod tests"] {
        assert!(fault(query).contains("no item"), "{query}");
    }
    assert_eq!(text("in_the_crate", Docs::Keep), "#[cfg(not(test))]\nfn in_the_crate() {}\n");
    let whole = source().whole(Docs::Keep).text;
    assert!(whole.ends_with("#[cfg(not(test))]\nfn in_the_crate() {}\n"), "{whole}");
    assert!(!text("impl Counter", Docs::Keep).contains("only_for_tests"));
}

#[test]
fn code_lines_leave_out_comments_and_blank_lines() {
    let source = source();
    let bump = source.find("Counter::bump").unwrap();
    assert_eq!(source.code_lines(bump).len(), 5);
}
