//! How many descriptors the process may have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are no connections: the terminal, the reactor, the listener, the signals' sockets.
const OTHERS: u64 = 16;

/// Raises the soft limit to the hard one, as every server should, and gives what is allowed now.
pub fn allow_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // `None` is no limit.
    if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX)
}

/// How many connections fit.
pub(crate) fn spare(descriptors: u64) -> u64 {
    descriptors.saturating_sub(OTHERS)
}

/// As [`allow_descriptors`], for a program that knows how many connections it will have.
///
/// # Errors
///
/// When too few descriptors are allowed for that.
pub fn need_descriptors(connections: usize) -> io::Result<()> {
    let descriptors = allow_descriptors();
    if spare(descriptors) < connections as u64 {
        return Err(io::Error::other(format!(
            "{connections} connections need as many descriptors, and {descriptors} are allowed (`ulimit -n`)"
        )));
    }
    Ok(())
}
