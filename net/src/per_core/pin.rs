//! Threads that stay on one processor.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread on one of the processors that it may use, counted round.
pub(super) fn to_processor(index: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let chosen = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).cycle().nth(index);
    let mut only = CpuSet::new();
    only.set(chosen.ok_or_else(|| io::Error::other("there is no processor to pin a thread to"))?);
    Ok(sched_setaffinity(None, &only)?)
}
