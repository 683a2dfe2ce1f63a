//! What is measured: the models, built and found.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::models::{ANY, Model, Program};
use crate::program::explain;

/// The Python that finds the packages of the system.
pub(super) const PYTHON: &str = "/usr/bin/python3";
/// Where the models are.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// What a server is written in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// An example of this package.
    Rust,
    /// A file beside them.
    Python,
    /// Whatever the command line says.
    Other,
}

/// A server that takes part.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What it is called.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// How many clients it serves at once.
    pub clients: usize,
    /// The command that starts it, or why it cannot be run here.
    pub command: Result<Vec<OsString>, String>,
}

/// `models`, ready to be started, and the servers of `others` behind them: a name and a command each.
///
/// # Errors
///
/// When the examples cannot be built.
pub fn contenders(models: &[Model], others: &[(String, String)]) -> io::Result<Vec<Contender>> {
    let examples: Vec<_> =
        models.iter().filter(|model| matches!(model.program, Program::Example(_))).map(|model| model.name).collect();
    let built = if examples.is_empty() { BTreeMap::new() } else { build(&examples)? };
    let mut contenders = Vec::new();
    for model in models {
        let (language, command) = match model.program {
            Program::Example(arguments) => {
                let file = built.get(model.name).ok_or_else(|| format!("cargo built no `{}`", model.name));
                (Language::Rust, file.map(|file| words(file, arguments)))
            }
            Program::Python(file, module) => (Language::Python, python(file, module)),
        };
        contenders.push(Contender { name: model.name.to_owned(), language, clients: model.clients, command });
    }
    for (name, command) in others {
        let words = command.split_whitespace().map(OsString::from).collect();
        contenders.push(Contender {
            name: name.clone(),
            language: Language::Other,
            clients: ANY,
            command: Ok(with_addr(words)),
        });
    }
    Ok(contenders)
}

fn words(file: &Path, arguments: &[&str]) -> Vec<OsString> {
    let words = [file.as_os_str().to_owned()].into_iter().chain(arguments.iter().map(OsString::from)).collect();
    with_addr(words)
}

/// On a port that the system picks.
fn with_addr(mut words: Vec<OsString>) -> Vec<OsString> {
    words.extend(["--addr".into(), "127.0.0.1:0".into()]);
    words
}

fn python(file: &str, module: Option<&str>) -> Result<Vec<OsString>, String> {
    let finds = |module: &str| {
        let mut python = Command::new(PYTHON);
        python
            .args(["-c", &format!("import {module}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        python.status().is_ok_and(|status| status.success())
    };
    if !finds("sys") {
        return Err(format!("there is no {PYTHON}: install the package `python3`"));
    }
    match module {
        Some(module) if !finds(module) => Err(format!("install the package `python3-{module}`")),
        _ => Ok(words(Path::new(PYTHON), &[&format!("{PACKAGE}/python/{file}")])),
    }
}

/// Builds `examples` as this program was built itself, and says where each of them is.
fn build(examples: &[&str]) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--package", "pollywog-examples", "--message-format=json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(format!("{PACKAGE}/Cargo.toml"));
    cargo.args(examples.iter().flat_map(|example| ["--example", example]));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What `cargo run` tells of this package: build scripts that look at it would run again, and all that depends on them
    // would be built again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| explain("cannot run cargo", &error))?;
    if !output.status.success() {
        return Err(io::Error::other("cargo could not build the examples"));
    }
    let artifact = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(artifact).collect())
}
