//! The machine on which the figures of the book were measured, in a few lines.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// What it is: processor, memory, system, compiler.
pub(super) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
        line.trim_start_matches([' ', '\t', ':', '=']).trim_matches(['"', ' ']).to_owned()
    };
    let kilobytes: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "processor   {}, {} cores used\nmemory      {} GiB\nsystem      {}, Linux {}\ncompiler    {rustc}\n",
        field(&read("/proc/cpuinfo"), "model name"),
        available_parallelism().map_or(0, usize::from),
        (kilobytes + (1 << 19)) >> 20,
        field(&read("/etc/os-release"), "PRETTY_NAME"),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}
