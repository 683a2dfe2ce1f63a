//! The walk runs what a page shows, and finds each line that is not what came.

use std::process::Command;
use std::{env, fs};

use pollywog_book::{Walked, Workspace, walk_page};

/// A walk over a page of these lines.
fn walked(page: &str) -> Walked {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("book/src")).unwrap();
    fs::write(directory.path().join("book/src/page.md"), page).unwrap();
    walk_page(&Workspace::at(directory.path()), "page.md").unwrap()
}

fn faults(page: &str) -> Vec<String> {
    walked(page).faults.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn only_fault(page: &str) -> String {
    let faults = faults(page);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[track_caller]
fn is_well(page: &str) {
    assert_eq!(faults(page), Vec::<String>::new());
}

#[test]
fn what_comes_as_shown_has_no_fault() {
    let page = "```console\n$ echo one; echo two >&2\none\ntwo\n$ true\n$ printf 'a\\n%s\\n' \\\n    b\na\nb\n```\n";
    let walked = walked(page);
    assert_eq!((walked.commands, walked.faults.len()), (3, 0), "{walked:?}");
}

#[test]
fn another_line_is_a_fault_with_its_place() {
    let fault = only_fault("Words.\n\n```console\n$ echo one; echo two\none\nthree\n```\n");
    assert_eq!(fault, "book/src/page.md:6: expected 'three', got 'two'");
}

#[test]
fn a_line_too_many_or_too_few_is_a_fault() {
    let fault = only_fault("```console\n$ echo one; echo two\none\n$ true\n```\n");
    assert_eq!(fault, "book/src/page.md:2: 'echo one; echo two' also prints 'two'");
    let fault = only_fault("```console\n$ echo one\none\ntwo\n```\n");
    assert_eq!(fault, "book/src/page.md:4: expected 'two', got the end of 'echo one'");
    assert!(only_fault("```console\n$ echo one\n```\n").contains("also prints 'one'"));
    let fault = only_fault("```console\n$ echo one; echo; echo two; echo\none\n$ true\n```\n");
    assert_eq!(fault, "book/src/page.md:2: 'echo one; echo; echo two; echo' also prints '' and 1 more lines");
    assert!(only_fault("```console\n$ false\n```\n").contains("exit status: 1"));
}

#[test]
fn an_empty_line_counts_but_at_the_end() {
    is_well("```console\n$ echo one; echo; echo\none\n$ echo; echo two\n\ntwo\n$ true\n```\n");
    assert!(only_fault("```console\n$ echo one; echo\none\ntwo\n$ true\n```\n").contains("got ''"));
}

#[test]
fn what_varies_may_differ() {
    is_well("```console\n$ seq 9; echo pid $$\n1\n…\npid …\n```\n");
    is_well("```console\n$ seq 9\n…\n```\n");
    is_well("```console,numbers\n$ echo took $RANDOM.5 ms\ntook 12 ms\n```\n");
    assert!(only_fault("```console\n$ seq 9\n…\nten\n```\n").contains("expected 'ten', got the end"));
    assert!(only_fault("```console\n$ echo took 5 ms\ntook 12 ms\n```\n").contains("got 'took 5 ms'"));
}

#[test]
fn a_terminal_keeps_its_directory_and_its_variables() {
    is_well("```console\n$ mkdir new && cd new && export A=1\n$ basename \"$PWD\"; echo $A\nnew\n1\n```\n");
    is_well("```console a\n$ export A=1\n```\n\n```console b\n$ echo \"[$A]\"\n[]\n```\n");
}

#[test]
fn terminals_go_on_where_they_stood() {
    let page = "```console one\n$ cat\n< hello\nhello\n```\n\n```console two\n$ echo between\nbetween\n```\n\n\
                ```console one\n< again\nagain\n(waits)\n^D\n```\n";
    is_well(page);
    let fault = only_fault(&page.replace("again\nagain", "again\nother"));
    assert_eq!(fault, "book/src/page.md:14: expected 'other', got 'again'");
}

#[test]
fn who_waits_says_nothing_and_goes_on() {
    is_well("```console\n$ cat\n(waits)\n```\n");
    assert!(
        only_fault("```console\n$ echo one; cat\n(waits)\n```\n").starts_with("book/src/page.md:3: expected nothing")
    );
    assert!(only_fault("```console\n$ true\n(waits)\n```\n").contains("and it has ended"));
}

#[test]
fn keys_end_programs() {
    is_well("```console\n$ sleep 1000\n(waits)\n^C\n$ echo next\nnext\n```\n");
    is_well("```console\n$ trap 'echo bye; exit' INT; echo ready; while :; do sleep 0.01; done\nready\n^C\nbye\n```\n");
    assert!(only_fault("```console\n^C\n```\n").contains("nothing runs"));
    assert!(only_fault("```console\n< words\n```\n").contains("nothing reads"));
}

/// As a script ignores it that was started in the background of another.
#[test]
fn ctrl_c_ends_programs_where_the_walk_itself_ignores_it() {
    let mut again = Command::new("sh");
    again.args(["-c", "trap '' INT; exec \"$0\" --exact keys_end_programs"]).arg(env::current_exe().unwrap());
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn what_still_runs_at_the_end_may_tidy_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("socket");
    let command = format!("touch {0}; trap 'rm {0}; exit' INT; echo up; while :; do sleep 0.01; done", file.display());
    is_well(&format!("```console\n$ {command}\nup\n```\n"));
    assert!(!file.exists());
    // Who does not end is killed.
    is_well("```console\n$ trap '' INT; echo up; while :; do sleep 0.01; done\nup\n```\n");
}

#[test]
fn what_a_program_says_later_has_to_be_shown() {
    let page = "```console a\n$ cat; echo late\n< x\nx\n^D\n```\n";
    assert!(only_fault(page).contains("also prints 'late'"));
    // Nobody tells this one to end, so it is asked when the page ends.
    let page =
        "```console a\n$ mkfifo p; echo up; cat p; cat\nup\n```\n\n```console b\n$ echo late >p\n$ sleep 0.3\n```\n";
    assert!(only_fault(page).contains("also prints 'late'"));
}

#[test]
fn commands_that_are_not_walked_are_told_with_their_reason() {
    let walked = walked("```console,unwalked it opens a browser\n$ false\n```\n");
    assert_eq!((walked.commands, walked.faults.len()), (0, 0));
    assert_eq!(walked.unwalked[0].to_string(), "book/src/page.md:1: it opens a browser");
}

#[test]
fn a_walk_is_the_same_after_a_trip_through_a_pipe() {
    let walked = walked("```console\n$ printf 'a\\tb\\n'\nx\n```\n\n```console,unwalked why\n$ b\n```\n");
    let again = Walked::parse(&walked.write());
    assert_eq!((again.commands, &again.faults, &again.unwalked), (1, &walked.faults, &walked.unwalked));
}
