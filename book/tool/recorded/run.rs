//! Runs what makes a recorded output.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::recorded::drawing;
use crate::recorded::manifest::Manifest;
use crate::sandbox::{Group, bash_alone, is_of_cargo};
use crate::workspace::Workspace;

/// One stream for both outputs, and no descriptor that the book's own process has inherited: programs print numbers of
/// descriptors.
const CLEAN: &str = "exec 2>&1
    for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3 || fd == 255)) || eval \"exec $fd>&-\"; done";

/// What a run left.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its standard output and error, as they came.
    pub(crate) text: String,
    /// The drawings, by the names of their files.
    pub(crate) figures: BTreeMap<String, String>,
}

/// The first of the programs that are needed and missing.
pub(crate) fn missing(manifest: &Manifest) -> Option<&str> {
    let is_there = |program: &&String| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    manifest.needs.iter().find(|program| !is_there(program)).map(String::as_str)
}

/// Runs it to its end.
pub(crate) fn run(workspace: &Workspace, manifest: &Manifest) -> Result<Output, String> {
    let failed = |error: std::io::Error| error.to_string();
    let examples = build(workspace, manifest)?;
    let scratch = tempfile::tempdir().map_err(failed)?;
    let figures = scratch.path().join("figures");
    let empty = scratch.path().join("empty");
    let output = scratch.path().join("output");
    for folder in [&figures, &empty] {
        fs::create_dir(folder).map_err(failed)?;
    }
    let mut path = vec![examples.clone()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = bash_alone(&format!("{CLEAN}\n{}", manifest.script()));
    command.current_dir(workspace.root()).env("PATH", env::join_paths(path).map_err(|error| error.to_string())?);
    command.env("EXAMPLES", &examples).env("SCRATCH", &empty).env("FIGURES", &figures).env("PYTHONUNBUFFERED", "1");
    command.stdin(Stdio::null()).stdout(File::create(&output).map_err(failed)?).stderr(Stdio::inherit());
    let limit = Duration::from_secs(manifest.seconds.unwrap_or(if manifest.measured { 3600 } else { 120 }));
    end(&mut command, limit, || fs::read_to_string(&output).unwrap_or_default())?;
    let text = fs::read(&output).map_err(failed)?;
    let text = String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| !is_of_cargo(line))
        .fold(String::new(), |text, line| text + line.trim_end() + "\n");
    let drawn = manifest.figures.iter().map(|name| {
        let svg = fs::read_to_string(figures.join(name)).map_err(|error| format!("it left no {name}: {error}"))?;
        Ok((name.clone(), drawing::themed(&svg, &manifest.title, &manifest.desc)))
    });
    let drawn = drawn.collect::<Result<_, String>>()?;
    Ok(Output { text, figures: drawn })
}

fn end(command: &mut Command, limit: Duration, said: impl Fn() -> String) -> Result<(), String> {
    let mut group = Group::spawn(command).map_err(|error| error.to_string())?;
    let started = Instant::now();
    loop {
        match group.0.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it ended with {status}, and said: {}", said())),
            None if started.elapsed() > limit => {
                return Err(format!("it did not end in {limit:?}, and said: {}", said()));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Builds the examples, and tells where they are.
fn build(workspace: &Workspace, manifest: &Manifest) -> Result<PathBuf, String> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.root().join("target"), PathBuf::from);
    let folder = target.join(if manifest.release { "release" } else { "debug" }).join("examples");
    if manifest.examples.is_empty() {
        return Ok(folder);
    }
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(workspace.root()).args(["build", "--quiet", "-p", "pollywog-examples"]);
    for example in &manifest.examples {
        command.args(["--example", example]);
    }
    if manifest.release {
        command.arg("--release");
    }
    // What `cargo run` tells of this package: build scripts that look at it would run again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let status = command.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(folder) } else { Err(format!("{} do not build", manifest.examples.join(", "))) }
}
