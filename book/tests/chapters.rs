//! A chapter is expanded, or says in which line it is wrong.

use std::fs;
use std::path::Path;

use pollywog_book::{Expander, Workspace};
use tempfile::TempDir;

const SVG: &str = "<svg role=\"img\" viewBox=\"0 0 1 1\">\n<title>a</title>\n\n<desc>b</desc>\n</svg>\n";

const EXERCISE: &str = "/// 2.1: say one.\n#[cfg(not(feature = \"solutions\"))]\nfn one() -> u8 {\n    todo!()\n}\n\n\
                        #[cfg(feature = \"solutions\")]\nfn one() -> u8 {\n    1\n}\n";

/// A workspace with one source file, one recorded output and one figure.
fn workspace() -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (path, text) in [
        ("net/src/a.rs", "/// Says.\nfn say() {}\n\nfn other() {}\n"),
        ("net/src/b.rs", "fn third() {}\n"),
        ("net/src/broken.rs", "fn ("),
        ("book/recorded/run.txt", "one\n```\ntwo\n"),
        ("book/recorded/run.toml", "script = 'x'\n"),
        ("book/recorded/figures.txt", "1 ms\n"),
        ("book/recorded/figures.toml", "command = 'measure it'\nmeasured = true\n"),
        ("examples/python/a.py", "import os\n\n\ndef say(x):\n    return x\n"),
        ("tests/script", "#!/bin/sh\nsay() {\n    echo\n}\n"),
        ("book/exercises/tests/chapter-2.rs", EXERCISE),
        ("book/src/figures/a.svg", SVG),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    let workspace = Workspace::at(root);
    (directory, workspace)
}

/// The expanded chapter and its faults.
fn expand(content: &str) -> (String, Vec<String>) {
    let (_directory, workspace) = workspace();
    let mut expander = Expander::new(&workspace);
    let text = expander.expand(Path::new("chapter.md"), content);
    (text, expander.faults().iter().map(ToString::to_string).collect())
}

fn only_fault(content: &str) -> String {
    let (_, faults) = expand(content);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn a_listing_stands_under_a_caption_that_names_its_source() {
    let (text, faults) = expand("Before.\n\n```rust,item\nnet/src/a.rs say\n```\n\nAfter.\n");
    assert_eq!(faults, Vec::<String>::new());
    let expected = "Before.\n\n<p class=\"listing\"><code>net/src/a.rs</code> · <code>say</code>, line 1</p>\n\n\
                    ```rust\n/// Says.\nfn say() {}\n```\n\nAfter.\n";
    assert_eq!(text, expected);
}

#[test]
fn items_of_one_file_share_a_listing() {
    let body = "net/src/a.rs say\nnet/src/a.rs other\nnet/src/b.rs third\n";
    let (text, _) = expand(&format!("```rust,item,nodoc\n{body}```\n"));
    assert_eq!(text.matches("```rust\n").count(), 2);
    assert!(text.contains("```rust\nfn say() {}\n\nfn other() {}\n```\n"), "{text}");
}

#[test]
fn the_lines_that_a_listing_shows_are_counted() {
    let (_directory, workspace) = workspace();
    let mut expander = Expander::new(&workspace);
    expander.expand(Path::new("a.md"), "```rust,item,nodoc\nnet/src/a.rs say\n```\n");
    let shown: Vec<usize> = expander.shown()["net/src/a.rs"].iter().copied().collect();
    assert_eq!(shown, [2]);
}

#[test]
fn a_listing_in_a_list_stays_in_it() {
    let (text, _) = expand("- See:\n\n  ```rust,item\n  net/src/b.rs third\n  ```\n");
    assert!(text.contains("\n  ```rust\n  fn third() {}\n  ```\n"), "{text}");
}

#[test]
fn a_listing_that_names_nothing_is_a_fault_with_its_line() {
    let fault = only_fault("One.\n\n```rust,item\nnet/src/a.rs sey\n```\n");
    assert!(fault.starts_with("book/src/chapter.md:3: listing 'net/src/a.rs sey'"), "{fault}");
    assert!(fault.contains("'say'"), "{fault}");
    let fault = only_fault("```rust,item\nnet/src/none.rs say\n```\n");
    assert!(fault.contains("net/src/none.rs"), "{fault}");
    let fault = only_fault("```rust,item\nnet/src/broken.rs say\n```\n");
    assert!(fault.contains("does not parse: line 1"), "{fault}");
    assert!(only_fault("```rust,item\n```\n").contains("without a line"));
}

#[test]
fn each_line_of_a_listing_has_its_own_fault() {
    let (_, faults) = expand("```rust,item\nnet/src/a.rs no\nnet/src/a.rs say\nnet/src/b.rs no\n```\n");
    assert_eq!(faults.len(), 2);
}

#[test]
fn a_file_is_put_in_whole() {
    let (text, _) = expand("```text,file\nbook/recorded/run.txt\n```\n");
    assert!(text.contains("<code>book/recorded/run.txt</code>") && text.contains("one\n```\ntwo\n"), "{text}");
    assert!(only_fault("```text,file\nnone.cfg\n```\n").contains("none.cfg"));
    assert!(only_fault("```text,file\n../secret\n```\n").contains("below the workspace"));
}

#[test]
fn functions_of_scripts_are_put_in() {
    let (text, faults) = expand("```python,item\nexamples/python/a.py say\n```\n");
    assert_eq!(faults, Vec::<String>::new());
    assert!(text.contains("<code>say</code>, line 4</p>\n\n```python\ndef say(x):\n    return x\n```"), "{text}");
    let (text, _) = expand("```python,item\nexamples/python/a.py\n```\n");
    assert!(text.contains("```python\nimport os\n"), "{text}");
    let (text, _) = expand("```text,file\ntests/script say\n```\n");
    assert!(text.contains("```bash\nsay() {\n    echo\n}\n```"), "{text}");
    assert!(only_fault("```python,item\nexamples/python/a.py sey\n```\n").contains("'say'"));
    assert!(only_fault("```python,item\nnet/src/a.rs say\n```\n").contains("no Python"));
    assert!(only_fault("```text,file\ntests/script sey\n```\n").contains("no function 'sey'"));
}

#[test]
fn an_exercise_shows_its_stub_and_folds_its_solution_away() {
    let (text, faults) = expand("```rust,exercise\nbook/exercises/tests/chapter-2.rs one\n```\n");
    assert_eq!(faults, Vec::<String>::new());
    let (stub, solution) = text.split_once("<details").unwrap();
    assert!(stub.contains("```rust\n/// 2.1: say one.\nfn one() -> u8 {\n    todo!()\n}\n```"), "{stub}");
    assert!(stub.contains("cargo test -p pollywog-exercises --test chapter-2"), "{stub}");
    assert!(solution.contains("```rust\nfn one() -> u8 {\n    1\n}\n```"), "{solution}");
    assert!(only_fault("```rust,exercise\nbook/exercises/tests/chapter-2.rs two\n```\n").contains("'one'"));
    assert!(only_fault("```rust,exercise\nnet/src/a.rs say\n```\n").contains("exercises are in"));
    assert!(only_fault("```rust,exercise\n```\n").contains("without a line"));
}

#[test]
fn a_recorded_output_is_put_in_whole() {
    let (text, _) = expand("```text,recorded run\n```\n");
    assert_eq!(text, "````text\none\n```\ntwo\n````\n");
    let (text, _) = expand("```text,recorded figures\n```\n");
    assert!(text.contains("measured on") && text.contains("```text\n$ measure it\n1 ms\n```"), "{text}");
    assert!(only_fault("```text,recorded none\n```\n").contains("book/recorded/none.txt"));
    assert!(only_fault("```text,recorded run\nby hand\n```\n").contains("has a body"));
}

#[test]
fn an_excerpt_holds_what_the_recording_holds() {
    let (text, faults) = expand("```text,excerpt run\none\n…\ntw…\n```\n");
    assert_eq!((faults.len(), &*text), (0, "```text\none\n…\ntw…\n```\n"));
    let fault = only_fault("```text,excerpt run\none\ntwo\n```\n");
    assert!(fault.contains("line 2 of the excerpt, 'two'"), "{fault}");
    assert!(only_fault("```text,excerpt run\n```\n").contains("without a line"));
}

#[test]
fn what_nothing_checks_is_refused() {
    assert!(only_fault("```rust\nfn f() {}\n```\n").contains("compiled files"));
    assert!(only_fault("```\nwords\n```\n").contains("kind ''"));
    assert!(only_fault("```text\nwords\n```\n").contains("kind 'text'"));
    assert!(only_fault("```bash\nls\n```\n").contains("kind 'bash'"));
    assert!(only_fault("Words:\n\n    fn f() {}\n").contains("indented"));
    assert!(only_fault("```toml\n[a\n```\n").contains("toml"));
    assert!(only_fault("```console\n```\n").contains("without a command"));
    let (text, faults) = expand("```toml\n[a]\n```\n\n```text,diagram\na <- b\n```\n");
    assert_eq!((faults.len(), &*text), (0, "```toml\n[a]\n```\n\n```text\na <- b\n```\n"));
}

#[test]
fn a_console_tells_what_is_typed() {
    let (text, faults) = expand("A.\n\n```console one\n$ cat\n< a & b\na & b\n^D\n```\n\nB.\n");
    assert_eq!(faults, Vec::<String>::new());
    let html = "<p class=\"listing\">terminal <b>one</b></p>\n\n<pre class=\"terminal\"><code \
                class=\"nohighlight\"><span class=\"prompt\">$ </span><span \
                class=\"typed\">cat</span>\n<span class=\"typed\">a &amp; b</span>\na &amp; b\n<span \
                class=\"key\">Ctrl-D</span>\n</code></pre>";
    assert_eq!(text, format!("A.\n\n{html}\n\nB.\n"));
}

#[test]
fn a_figure_is_drawn_into_the_page() {
    let (text, faults) = expand("A.\n\n{{#figure figures/a.svg Two < three}}\n\nB.\n");
    assert_eq!(faults, Vec::<String>::new());
    assert!(text.contains("\n<figure>\n<svg role=\"img\""), "{text}");
    assert!(text.contains("</title>\n<desc>"), "a blank line would end the HTML: {text}");
    assert!(text.contains("<figcaption>Two &lt; three</figcaption>"), "{text}");
    assert!(only_fault("{{#figure figures/none.svg A}}\n").contains("figures/none.svg"));
    assert!(only_fault("{{#figure figures/a.svg}}\n").contains("no caption"));
}

#[test]
fn mdbooks_own_directives_are_refused() {
    assert!(only_fault("{{#include ../x.rs}}\n").contains("no directive"));
    assert!(only_fault("{{#figure figures/a.svg A}}\nmore text\n").contains("no directive"));
    assert!(only_fault("- {{#include ../x.rs}}\n").contains("no directive"));
}
