//! Threads that stay on one processor.

use std::io;

/// Keeps this thread on one of the processors that it may use, counted round.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "dragonfly"))]
pub(super) fn to_processor(index: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None)?;
    let chosen = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).cycle().nth(index);
    let mut only = CpuSet::new();
    only.set(chosen.ok_or_else(|| io::Error::other("there is no processor to pin a thread to"))?);
    Ok(sched_setaffinity(None, &only)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "dragonfly")))]
pub(super) fn to_processor(_: usize) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot pin a thread to a processor"))
}
