//! A network of the test's own: its routes, its ports and its packet filter are nobody else's.
//!
//! ```no_run
//! use pollywog_tests::namespace::{in_namespace, ip};
//!
//! # fn main() {
//! in_namespace("a_host_without_a_route", || {
//!     ip("route add unreachable 192.0.2.1");
//!     // Here only loopback answers, and 192.0.2.1 does not.
//! });
//! # }
//! ```

use std::fs;
use std::process::{Command, Stdio};

use crate::limits::{has, skip};
use crate::net::{inside, run_child};

/// Enters a network namespace; the second for who is not root, where the system lets everybody make namespaces.
const ENTER: [&[&str]; 2] = [&["unshare", "--net", "--"], &["unshare", "--map-root-user", "--net", "--"]];

/// Brings the loopback interface up and runs the rest of the command line.
const LOOPBACK: [&str; 3] = ["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];

/// Runs `body` in a process of its own, which is in a network namespace of its own: there is a loopback interface
/// (127.0.0.0/8 and ::1), and nothing else. The process is the test binary again, with the name of the one test that
/// calls this. What `body` leaves behind goes with the namespace, when the process ends.
///
/// Where namespaces cannot be had, the test is skipped with a line that says so; under CI it fails.
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    if inside(test).is_some() {
        return body();
    }
    if !has(test, "unshare") || !has(test, "ip") {
        return;
    }
    let works = |enter: &&[&str]| {
        let mut command = Command::new(enter[0]);
        command.args(&enter[1..]).args(LOOPBACK).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    match ENTER.into_iter().find(works) {
        Some(enter) => run_child(&[enter, &LOOPBACK].concat(), test, ""),
        None => skip(test, "it needs a network namespace (`unshare --net`, as root)"),
    }
}

/// `ip` with these words, inside: addresses, routes, interfaces.
pub fn ip(words: &str) {
    tool("ip", words.split_whitespace());
}

/// `nft` with one command, inside: the packet filter. The test asks `has(test, "nft")` first, outside.
pub fn nft(command: &str) {
    tool("nft", [command]);
}

/// Sets one of `/proc/sys/net`, inside: `sysctl("ipv4/ip_local_port_range", "40000 40001")`.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn tool<'a>(program: &str, words: impl IntoIterator<Item = &'a str>) {
    let mut command = Command::new(program);
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
