//! The checks find what is wrong with a rendered book.

use std::fs;

use pollywog_book::{Faults, Workspace, build, check, coverage};
use tempfile::TempDir;

const CONFIG: &str = "[book]\ntitle = \"T\"\n[build]\nbuild-dir = \"out\"\ncreate-missing = false\n\
                      use-default-preprocessors = false\n[output.html]\ninput-404 = \"\"\n\
                      [output.html.playground]\nrunnable = false\n";
const SUMMARY: &str = "# Summary\n\n- [One](one.md)\n- [Two](two.md)\n";

/// A book of two pages, the first of which holds `text`.
fn book(text: &str) -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (path, content) in [
        ("executor/src/lib.rs", "mod a;\n\n#[cfg(test)]\nmod only;\n\n// Why.\nfn shown() {}\n\nfn hidden() {}\n"),
        ("executor/src/only.rs", "fn never() {}\n"),
        ("executor/src/a.rs", "/// Doc.\nfn a() {}\n"),
        ("net/src/lib.rs", "fn net() {}\n"),
        ("book/book.toml", CONFIG),
        ("book/src/SUMMARY.md", SUMMARY),
        ("book/src/one.md", text),
        ("book/src/two.md", "# Two\n\n## A part\n\nWords.\n"),
        ("book/src/figures/.keep.md", ""),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), content).unwrap();
    }
    fs::remove_file(root.join("book/src/figures/.keep.md")).unwrap();
    let workspace = Workspace::at(root);
    (directory, workspace)
}

/// What is found in the book itself, the page for printing left out: it repeats the others.
fn faults(text: &str) -> Vec<String> {
    let (_directory, workspace) = book(text);
    build(&workspace).unwrap();
    let faults = check(&workspace).unwrap();
    let repeats = |place: &str| place.ends_with("print.html") || place.ends_with("index.html");
    faults.iter().filter(|fault| !repeats(&fault.place)).map(ToString::to_string).collect()
}

#[test]
fn a_book_without_faults_has_none() {
    let text = "# One\n\n[To two](two.md), [its part](two.md#a-part), [here](#one), [out](https://example.org).\n";
    assert_eq!(faults(text), Vec::<String>::new());
}

#[test]
fn links_to_missing_pages_and_headings_are_found() {
    let found = faults("# One\n\n[a](three.md) and [b](two.md#no-part) and [c](#nowhere)\n");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|fault| fault.starts_with("book/out/one.html: the link")), "{found:?}");
}

#[test]
fn images_need_a_file_and_words() {
    let found = faults("# One\n\n![](none.png)\n");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn what_loads_from_another_host_is_found() {
    let found = faults("# One\n\n![a](https://example.org/a.png)\n\n<script src=\"//example.org/x.js\"></script>\n");
    assert_eq!(found.iter().filter(|fault| fault.contains("another host")).count(), 2, "{found:?}");
}

#[test]
fn what_no_reader_would_see_is_found() {
    let (_directory, workspace) = book("# One\n");
    fs::write(workspace.text().join("three.md"), "# Three\n").unwrap();
    fs::write(workspace.text().join("figures/a.svg"), "<svg></svg>").unwrap();
    fs::create_dir(workspace.recorded()).unwrap();
    fs::write(workspace.recorded().join("run.txt"), "x\n").unwrap();
    fs::write(workspace.recorded().join("run.toml"), "command = 'x'\n").unwrap();
    build(&workspace).unwrap();
    let found = check(&workspace).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_build_fails_on_a_listing_that_names_nothing() {
    let (_directory, workspace) = book("# One\n\n```rust,item\nexecutor/src/lib.rs show\n```\n");
    let error = build(&workspace).unwrap_err();
    let faults = error.downcast_ref::<Faults>().unwrap();
    assert_eq!(faults.0.len(), 1);
    assert!(faults.to_string().starts_with("book/src/one.md:3: "), "{faults}");
    assert!(faults.to_string().contains("'shown'"), "{faults}");
}

#[test]
fn the_build_fails_on_a_page_that_is_missing() {
    let (_directory, workspace) = book("# One\n");
    fs::write(workspace.text().join("SUMMARY.md"), "# Summary\n\n- [None](none.md)\n").unwrap();
    let error = build(&workspace).unwrap_err();
    assert!(format!("{error:#}").contains("none.md"), "{error:#}");
    fs::write(workspace.text().join("SUMMARY.md"), "# Summary\n\n- [Draft]()\n").unwrap();
    assert!(build(&workspace).unwrap_err().to_string().contains("'Draft' has no page"));
}

#[test]
fn what_mdbook_only_warns_of_is_a_fault() {
    let (_directory, workspace) = book("# One\n\n<div><p>words\n");
    let error = build(&workspace).unwrap_err();
    assert!(error.to_string().contains("mdBook: "), "{error}");
}

#[test]
fn coverage_counts_the_code_of_items_and_leaves_tests_out() {
    let (_directory, workspace) = book("# One\n\n```rust,item\nexecutor/src/lib.rs shown\n```\n");
    let coverage = coverage(&workspace).unwrap();
    let counted: Vec<(&str, usize, usize)> =
        coverage.files.iter().map(|file| (file.path.as_str(), file.shown, file.lines)).collect();
    assert_eq!(counted, [("executor/src/a.rs", 0, 1), ("executor/src/lib.rs", 1, 2), ("net/src/lib.rs", 0, 1)]);
    assert_eq!(coverage.files[1].unshown_items, ["hidden"]);
    assert_eq!(coverage.total(), (1, 4));
}
