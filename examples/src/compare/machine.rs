//! The machine: what it is, and which of its cores are for whom.

use std::fs;
use std::io;
use std::process::Command;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// What was measured on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    /// The model of its processor.
    pub processor: String,
    /// How many cores this program may use.
    pub cores: usize,
    /// The system and its version.
    pub kernel: String,
    /// The compiler.
    pub rust: String,
    /// What runs the models in Python, where there is one.
    pub python: Option<String>,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = kernel.trim().split('-').next().unwrap_or_default();
        Self {
            processor: model.map_or(std::env::consts::ARCH, |(_, model)| model).to_owned(),
            cores: allowed().len(),
            kernel: format!("Linux {kernel}"),
            rust: version("rustc").unwrap_or_else(|| "unknown".to_owned()),
            python: version(super::contenders::PYTHON),
        }
    }
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Which core is for the server, and which for those who ask.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// All processes of the server.
    pub server: usize,
    /// This program.
    pub load: usize,
}

impl Cores {
    /// The first two that this program may use. One is for both where there is no other: they are in each other's way
    /// then, and the figures are worth little.
    pub fn pick() -> Self {
        let allowed = allowed();
        let server = allowed.first().copied().unwrap_or(0);
        Self { server, load: allowed.get(1).copied().unwrap_or(server) }
    }

    /// Whether server and load have a core each.
    pub fn are_two(self) -> bool {
        self.server != self.load
    }
}

fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Keeps this thread, and what it starts from now on, on one core.
///
/// # Errors
///
/// When there is no such core.
pub(super) fn stay_on(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::other(format!("there is no core {core}")));
    }
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
