//! `book/recorded/NAME.toml`: what makes a recorded output, and how far two runs of it may differ.

use std::fs;
use std::io;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use crate::fence::is_name;
use crate::workspace::Workspace;

/// How one recorded output is made.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Manifest {
    /// The command, which the page shows above its output.
    pub(crate) command: Option<String>,
    /// Or a script for bash, which it does not show.
    pub(crate) script: Option<String>,
    /// Examples that are built first, and are commands for the script.
    pub(crate) examples: Vec<String>,
    /// Whether they are built in the release profile.
    pub(crate) release: bool,
    /// Programs of the system without which it cannot run.
    pub(crate) needs: Vec<String>,
    /// What varies from run to run, by the name of a mask.
    pub(crate) mask: Vec<Mask>,
    /// The same by a pattern, and what stands for it.
    pub(crate) replace: Vec<(String, String)>,
    /// Whether the lines may come in any order.
    pub(crate) unordered: bool,
    /// Whether the output is figures, which no second run gives again.
    pub(crate) measured: bool,
    /// More files on which the figures depend; a `*` in the name of a file stands for anything.
    pub(crate) sources: Vec<String>,
    /// Drawings that the script leaves in `$FIGURES`.
    pub(crate) figures: Vec<String>,
    /// What a drawing shows in a few words, for drawings that do not say so themselves.
    pub(crate) title: String,
    /// The same in a sentence or two.
    pub(crate) desc: String,
    /// How long it may take.
    pub(crate) seconds: Option<u64>,
}

/// What varies from run to run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mask {
    /// The port after a loopback address or `localhost`.
    Ports,
    /// The number after the word pid or process.
    Pids,
    /// A number with a unit of time, and times of day.
    Times,
    /// Every number, and the spaces that make columns of them.
    Numbers,
    /// Hexadecimal addresses.
    Addresses,
}

impl Mask {
    fn patterns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Ports => &[(r"(127\.0\.0\.\d+|0\.0\.0\.0|\[::1?\]|localhost):\d+", "$1:PORT")],
            Self::Pids => &[(r"(?i)\b(pid|process)([ =:]+)\d+", "$1 PID")],
            Self::Times => &[
                (r"\b\d\d:\d\d:\d\d([.,]\d+)?\b", "TIME"),
                (r"\b\d+([.,]\d+)? ?(ns|µs|us|ms|s|min|seconds?|minutes?)\b", "TIME"),
            ],
            Self::Numbers => &[(r"\d+([.,]\d+)*", "#"), (r" +", " ")],
            Self::Addresses => &[(r"0x[0-9a-f]+", "0xADDRESS")],
        }
    }
}

impl Manifest {
    /// Reads the manifest of the recorded output `name`.
    pub(crate) fn read(workspace: &Workspace, name: &str) -> Result<Self, String> {
        let path = workspace.recorded().join(format!("{name}.toml"));
        let text = fs::read_to_string(path).map_err(|error| format!("book/recorded/{name}.toml: {error}"))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| error.to_string())?;
        if manifest.command.is_some() == manifest.script.is_some() {
            return Err("it needs either a 'command' or a 'script'".into());
        }
        if manifest.command.as_ref().is_some_and(|command| command.trim().contains('\n')) {
            return Err("a 'command' is one line; make it a 'script'".into());
        }
        if !manifest.figures.iter().all(|figure| figure.strip_suffix(".svg").is_some_and(is_name)) {
            return Err("'figures' are names of files that end in .svg".into());
        }
        manifest.patterns()?;
        Ok(manifest)
    }

    /// What bash runs.
    pub(crate) fn script(&self) -> &str {
        self.command.as_deref().or(self.script.as_deref()).unwrap_or_default()
    }

    fn patterns(&self) -> Result<Vec<(Regex, &str)>, String> {
        let masks = self.mask.iter().flat_map(|mask| mask.patterns().iter().copied());
        let own = self.replace.iter().map(|(pattern, with)| (&**pattern, &**with));
        own.chain(masks)
            .map(|(pattern, with)| {
                Regex::new(pattern).map(|pattern| (pattern, with)).map_err(|error| error.to_string())
            })
            .collect()
    }

    /// The first difference of two outputs: what was recorded, and what came now.
    pub(crate) fn difference(&self, recorded: &str, now: &str) -> Result<Option<String>, String> {
        let patterns = self.patterns()?;
        let masked = |text: &str| {
            let mask = |line: &str| {
                patterns.iter().fold(line.trim_end().to_owned(), |line, (pattern, with)| {
                    pattern.replace_all(&line, *with).into_owned()
                })
            };
            let mut lines: Vec<(String, String)> = text.lines().map(|line| (mask(line), line.to_owned())).collect();
            if self.unordered {
                lines.sort();
            }
            lines
        };
        let (recorded, now) = (masked(recorded), masked(now));
        for at in 0..recorded.len().max(now.len()) {
            let (was, is) = (recorded.get(at), now.get(at));
            if was.map(|line| &line.0) != is.map(|line| &line.0) {
                let show = |line: Option<&(String, String)>| match line {
                    Some((_, line)) => format!("'{line}'"),
                    None => "nothing".to_owned(),
                };
                return Ok(Some(format!("line {}: {} was recorded, and now it is {}", at + 1, show(was), show(is))));
            }
        }
        Ok(None)
    }
}

/// The names of all recorded outputs, in order.
pub(crate) fn names(workspace: &Workspace) -> io::Result<Vec<String>> {
    let directory = workspace.recorded();
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        let file = Path::new(&file);
        if file.extension().is_some_and(|extension| extension == "toml")
            && let Some(stem) = file.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_masked_may_differ_and_nothing_else() {
        let manifest = manifest("command = 'x'\nmask = ['ports', 'pids', 'times']\nreplace = [['v[0-9]', 'V']]\n");
        let recorded = "v1 on 127.0.0.1:7007, pid 12, 1.5 ms\n";
        assert_eq!(manifest.difference(recorded, "v2 on 127.0.0.1:40123, pid 4711, 23 ms\n"), Ok(None));
        let difference = manifest.difference(recorded, "v2 at 127.0.0.1:7007, pid 12, 1 ms\n").unwrap().unwrap();
        assert!(difference.starts_with("line 1: 'v1 on") && difference.contains("'v2 at"), "{difference}");
        assert!(manifest.difference("a\nb\n", "a\n").unwrap().unwrap().ends_with("now it is nothing"));
    }

    #[test]
    fn lines_may_come_in_any_order_where_asked_for() {
        assert!(manifest("unordered = true").difference("a\nb\n", "b\na\n").unwrap().is_none());
        assert!(manifest("unordered = false").difference("a\nb\n", "b\na\n").unwrap().is_some());
    }

    #[test]
    fn a_key_that_is_misspelt_is_a_fault() {
        assert!(toml::from_str::<Manifest>("comand = 'x'").is_err());
        assert!(toml::from_str::<Manifest>("mask = ['clocks']").is_err());
    }
}
