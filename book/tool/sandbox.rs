//! Where the commands of the book run: in a network of their own, so that ports are free and nobody else is reached, and
//! in a process group of their own, so that whatever they start ends with them.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process_group};

/// Enters a network and a file system; the second for who is not root, where the system lets everybody do it.
const ENTER: [&[&str]; 2] =
    [&["unshare", "--net", "--mount", "--"], &["unshare", "--map-root-user", "--net", "--mount", "--"]];

/// Brings the loopback interface up and runs the rest of the command line.
const LOOPBACK: [&str; 3] = ["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];

/// Puts a checkout where the sources are, with the sources' `target` in it, and runs the rest of the command line.
const OVERLAY: [&str; 3] = [
    "sh",
    "-c",
    "set -e; fresh=$0; root=$1; shift; ip link set lo up
     if test -d \"$root/target\"; then mkdir -p \"$fresh/target\"; mount --bind \"$root/target\" \"$fresh/target\"; fi
     mount --rbind \"$fresh\" \"$root\"; cd \"$root\"; exec \"$@\"",
];

fn enter() -> Option<&'static [&'static str]> {
    static WORKS: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *WORKS.get_or_init(|| {
        ENTER.into_iter().find(|enter| {
            let mut command = Command::new(enter[0]);
            command.args(&enter[1..]).args(LOOPBACK).args(["mount", "--bind", "/tmp", "/tmp"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    })
}

/// Bash with one script, in a network of its own if that can be had.
pub(crate) fn bash_alone(script: &str) -> Command {
    let mut command = match enter() {
        Some(enter) => {
            let mut command = Command::new(enter[0]);
            command.args(&enter[1..]).args(LOOPBACK).arg("bash");
            command
        }
        None => Command::new("bash"),
    };
    command.args(["-c", script]);
    command
}

/// A program in a network of its own that finds the checkout `fresh` in the place of `root`.
pub(crate) fn overlaid(fresh: &Path, root: &Path, program: &Path) -> Option<Command> {
    let enter = enter()?;
    let mut command = Command::new(enter[0]);
    command.args(&enter[1..]).args(OVERLAY).arg(fresh).arg(root).arg(program);
    Some(command)
}

/// A process and all that it starts.
#[derive(Debug)]
pub(crate) struct Group(pub(crate) Child);

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // There may be nobody left.
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Whether cargo says with this line how the build goes on. No page shows that, and it differs from run to run.
pub(crate) fn is_of_cargo(line: &str) -> bool {
    const WORDS: [&str; 15] = [
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Dirty",
        "Doc-tests",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Executable",
        "Finished",
        "Fresh",
        "Generated",
        "Locking",
        "Running",
    ];
    line.get(..12).is_some_and(|head| WORDS.contains(&head.trim_start())) && line[12..].starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_lines_are_told_from_others() {
        assert!(is_of_cargo("    Finished `dev` profile [unoptimized] target(s) in 0.05s"));
        assert!(is_of_cargo("     Running `target/debug/x`") && is_of_cargo("   Doc-tests a"));
        assert!(!is_of_cargo("Running 3 clients, one after the other") && !is_of_cargo("running 3 tests"));
    }
}
