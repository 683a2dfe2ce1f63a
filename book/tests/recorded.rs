//! Recorded outputs are made by one command, and a check tells when they are no longer what their programs give.

use std::fs;

use pollywog_book::{Fault, Workspace, check_recorded, record};
use tempfile::TempDir;

const SVG: &str = "<svg viewBox=\"0 0 1 1\"><text fill=\"#000000\"/></svg>";

/// A workspace with one program and the recording of it, made.
fn recorded(manifest: &str) -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(directory.path());
    for (path, text) in [
        ("program", "echo one\necho \"pid $$\"\n"),
        ("models/a.rs", "// Why.\nfn a() {}\n"),
        ("book/recorded/run.toml", manifest),
        ("book/src/figures/keep", ""),
    ] {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(strings(record(&workspace, &["run".to_owned()]).unwrap()), Vec::<String>::new());
    (directory, workspace)
}

fn strings(faults: Vec<Fault>) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

fn faults(workspace: &Workspace) -> Vec<String> {
    strings(check_recorded(workspace).unwrap())
}

#[test]
fn an_output_that_the_program_gives_again_has_no_fault() {
    let (directory, workspace) = recorded("command = 'bash ./program'\nmask = ['pids']\n");
    let text = fs::read_to_string(directory.path().join("book/recorded/run.txt")).unwrap();
    assert!(text.starts_with("one\npid "), "{text}");
    assert_eq!(faults(&workspace), Vec::<String>::new());
}

#[test]
fn what_varies_and_has_no_mask_is_found() {
    let (_directory, workspace) = recorded("command = 'bash ./program'\n");
    let found = faults(&workspace);
    assert!(found.len() == 1 && found[0].contains("line 2: 'pid "), "{found:?}");
}

#[test]
fn a_program_that_says_something_else_now_is_found() {
    let (directory, workspace) = recorded("command = 'bash ./program'\nmask = ['pids']\n");
    fs::write(directory.path().join("program"), "echo two\necho \"pid $$\"\n").unwrap();
    let found = faults(&workspace);
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "book/recorded/run.txt: line 1: 'one' was recorded, and now it is 'two'; \
                    `cargo run -p pollywog-book -- record run` makes it anew";
    assert_eq!(found[0], expected);
}

#[test]
fn a_program_that_fails_is_found() {
    let (directory, workspace) = recorded("command = 'bash ./program'\n");
    fs::write(directory.path().join("program"), "echo too bad\nexit 3\n").unwrap();
    let found = faults(&workspace);
    assert!(found[0].contains("exit status: 3") && found[0].contains("too bad"), "{found:?}");
}

#[test]
fn figures_are_stale_when_a_source_changed_and_not_before() {
    let (directory, workspace) = recorded("command = 'date +%N'\nmeasured = true\nsources = ['models/*.rs']\n");
    let machine = fs::read_to_string(directory.path().join("book/recorded/machine.txt")).unwrap();
    assert!(machine.contains("processor") && machine.contains("Linux"), "{machine}");
    assert_eq!(faults(&workspace), Vec::<String>::new());
    fs::write(directory.path().join("models/a.rs"), "// Another reason.\nfn a() {}\n").unwrap();
    assert_eq!(faults(&workspace), Vec::<String>::new());
    fs::write(directory.path().join("models/a.rs"), "fn b() {}\n").unwrap();
    assert!(faults(&workspace)[0].contains("models/a.rs changed since it was measured"));
    fs::write(directory.path().join("models/b.rs"), "fn b() {}\n").unwrap();
    assert!(faults(&workspace)[0].contains("models/a.rs, models/b.rs changed"));
}

#[test]
fn figures_that_were_changed_by_hand_or_come_from_elsewhere_are_found() {
    let (directory, workspace) = recorded("command = 'date +%N'\nmeasured = true\n");
    fs::write(directory.path().join("book/recorded/machine.txt"), "another\n").unwrap();
    assert!(faults(&workspace)[0].contains("another machine"));
    let (directory, workspace) = recorded("command = 'date +%N'\nmeasured = true\n");
    fs::write(directory.path().join("book/recorded/run.txt"), "1\n").unwrap();
    assert!(faults(&workspace)[0].contains("book/recorded/run.txt changed"));
}

#[test]
fn drawings_come_in_the_colours_of_the_theme_and_drift_like_outputs() {
    let manifest =
        format!("script = '''echo '{SVG}' >$FIGURES/a.svg'''\nfigures = ['a.svg']\ntitle = 'T'\ndesc = 'D'\n");
    let (directory, workspace) = recorded(&manifest);
    let drawn = directory.path().join("book/src/figures/a.svg");
    let svg = fs::read_to_string(&drawn).unwrap();
    assert!(svg.contains("<title>T</title>\n<desc>D</desc>") && svg.contains("currentColor"), "{svg}");
    assert_eq!(faults(&workspace), Vec::<String>::new());
    fs::write(drawn, "<svg/>").unwrap();
    assert!(faults(&workspace)[0].contains("figures/a.svg"));
}

#[test]
fn a_manifest_that_makes_nothing_is_a_fault() {
    let (directory, workspace) = recorded("command = 'true'\n");
    for (manifest, what) in [
        ("", "either a 'command' or a 'script'"),
        ("command = 'a'\nscript = 'b'\n", "either a 'command' or a 'script'"),
        ("comand = 'a'\n", "comand"),
        ("command = 'true'\nfigures = ['../a.svg']\n", "names of files"),
        ("command = 'true'\nmeasured = true\n", "run.stamp"),
    ] {
        fs::write(directory.path().join("book/recorded/run.toml"), manifest).unwrap();
        let found = faults(&workspace);
        assert!(found.len() == 1 && found[0].contains(what), "{manifest}: {found:?}");
    }
}
