//! Limits of the process, and what a test does without what it needs.

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use io_uring::IoUring;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CHILD: &str = "POLLYWOG_LIMITS_CHILD";

/// Runs `body` in a process of its own, so that it may change limits, which the programs that it starts inherit. The
/// process is the test binary again, with the name of the one test that calls this.
pub fn in_child(test: &str, body: impl FnOnce()) {
    if env::var(CHILD).is_ok_and(|name| name == test) {
        return body();
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(CHILD, test).stdin(Stdio::null());
    let output = child.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no test is named '{test}':\n{out}\n{err}");
}

/// Allows this process and those that it starts from now on `count` descriptors, for good.
pub fn limit_descriptors(count: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: Some(count) }).unwrap();
}

/// Allows this process to open `count` more descriptors, for good. The limit is on numbers, of which the process may
/// have been given any, high ones too.
pub fn leave_descriptors(count: usize) {
    let free: Vec<_> = (0..count).map(|_| File::open("/dev/null").unwrap()).collect();
    let highest = free.iter().map(AsRawFd::as_raw_fd).max();
    limit_descriptors(highest.map_or(0, |number| number as u64 + 1));
}

/// Whether as many as `count` descriptors can be had. A test that gets `false` returns; under CI it fails here.
pub fn may_have_descriptors(test: &str, count: u64) -> bool {
    let enough = getrlimit(Resource::Nofile).maximum.is_none_or(|maximum| maximum >= count);
    if !enough {
        skip(test, &format!("it needs {count} descriptors (`ulimit -Hn`)"));
    }
    enough
}

/// Whether `tool` can be run. A test that gets `false` returns; under CI it fails here.
pub fn has(test: &str, tool: &str) -> bool {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(tool).is_file());
    if !found {
        skip(test, &format!("it needs {tool}"));
    }
    found
}

/// Whether this kernel has io_uring, and lets us use it. A test that gets `false` returns, under CI too: no package
/// brings it.
pub fn has_io_uring(test: &str) -> bool {
    let ring = IoUring::new(1);
    if let Err(error) = &ring {
        eprintln!("{test} is skipped: this kernel has no io_uring, or forbids it: {error}");
    }
    ring.is_ok()
}

/// Says why a test is skipped. Under CI none may be.
pub fn skip(test: &str, why: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{test} cannot run: {why}");
    eprintln!("{test} is skipped: {why}");
}
