//! `exercises`: the tests of the exercises fail with the stubs and pass with the solutions.

use std::env;
use std::fs;
use std::io;
use std::process::{Command, Output, Stdio};

use crate::exercise::TESTS;
use crate::fault::Fault;
use crate::workspace::Workspace;

const PACKAGE: &str = "pollywog-exercises";

/// Runs the exercises of these chapters, or all of them, twice. A test whose name begins with `given_` passes with the
/// stubs as well; every other one fails, and says in its message what there is to do.
///
/// # Errors
///
/// When cargo cannot be run.
pub fn check_exercises(workspace: &Workspace, chapters: &[String]) -> io::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for target in targets(workspace)? {
        if !chapters.is_empty() && !chapters.iter().any(|chapter| target == format!("chapter-{chapter}")) {
            continue;
        }
        let place = format!("{TESTS}{target}.rs");
        let solved = run(workspace, &target, true)?;
        if !solved.status.success() {
            faults.push(Fault::new(&place, format!("a solution fails: {}", said(&solved))));
            continue;
        }
        let stub = run(workspace, &target, false)?;
        let found = judge(&String::from_utf8_lossy(&stub.stdout));
        match found {
            Err(()) => faults.push(Fault::new(&place, format!("the stubs do not compile: {}", said(&stub)))),
            Ok((fails, whats)) => {
                println!("{target}: {fails} tests fail with the stubs, and all pass with the solutions");
                faults.extend(whats.into_iter().map(|what| Fault::new(&place, what)));
            }
        }
    }
    Ok(faults)
}

/// What cargo calls the files of the exercises.
fn targets(workspace: &Workspace) -> io::Result<Vec<String>> {
    let folder = workspace.root().join(TESTS);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        targets.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    targets.sort();
    Ok(targets)
}

fn run(workspace: &Workspace, target: &str, solved: bool) -> io::Result<Output> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(workspace.root()).args(["test", "--quiet", "-p", PACKAGE, "--test", target]);
    if solved {
        command.args(["--features", "solutions"]);
    }
    command.args(["--", "--format", "pretty"]).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        // What `cargo run` tells of this package: build scripts that look at it would run again.
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.output()
}

fn said(output: &Output) -> String {
    let all = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(12)..].join(" | ")
}

/// How many tests fail in the output of a run with the stubs, and which of them are no exercise; an error if there are
/// none at all.
fn judge(output: &str) -> Result<(usize, Vec<String>), ()> {
    let (mut fails, mut whats, mut ran) = (0, Vec::new(), false);
    for line in output.lines() {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
            continue;
        };
        ran = true;
        let given = name.rsplit("::").next().is_some_and(|name| name.starts_with("given_"));
        match outcome {
            "FAILED" if given => whats.push(format!("the test '{name}' is given, and fails with the stub")),
            "FAILED" => {
                fails += 1;
                whats.extend(message(output, name).err());
            }
            "ok" if !given => whats.push(format!("the test '{name}' passes with the stub: nothing is to be done")),
            _ => {}
        }
    }
    if ran { Ok((fails, whats)) } else { Err(()) }
}

/// Whether a test that failed says more than the two values of an assertion.
fn message(output: &str, name: &str) -> Result<(), String> {
    let head = format!("---- {name} stdout ----");
    let told = output.split_once(&head).map_or("", |(_, rest)| rest);
    let told = told.split("\n---- ").next().unwrap_or("");
    let told = told.split_once("panicked at").map_or("", |(_, rest)| rest).lines().nth(1).unwrap_or("");
    let says_nothing = told.is_empty()
        || matches!(told, "not yet implemented" | "explicit panic")
        || (told.starts_with("assertion `") && told.ends_with("failed"))
        || ["assertion failed: ", "called `"].iter().any(|usual| told.starts_with(usual));
    if says_nothing {
        return Err(format!("the test '{name}' fails with '{told}', which does not say what to do next"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 4 tests\ntest a ... FAILED\ntest b ... FAILED\ntest c ... ok\ntest given_d ... ok\n\n\
                          failures:\n\n---- a stdout ----\n\nthread 'a' (7) panicked at x.rs:1:2:\nnot yet implemented: \
                          count them\nnote: run\n\n---- b stdout ----\n\nthread 'b' (8) panicked at x.rs:3:4:\nassertion \
                          `left == right` failed\n  left: 1\n right: 2\n";

    #[test]
    fn a_stub_has_to_fail_and_to_say_what_to_do() {
        let (fails, whats) = judge(OUTPUT).unwrap();
        assert_eq!(fails, 2);
        assert_eq!(whats.len(), 2, "{whats:?}");
        assert!(whats[0].contains("'b' fails with 'assertion") && whats[1].contains("'c' passes with the stub"));
        assert_eq!(judge("error: could not compile"), Err(()));
    }
}
