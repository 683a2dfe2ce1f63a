//! What the system counts of a server: for every thread of every process in its group.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// What a server has used so far, thread by thread.
#[derive(Debug)]
pub(super) struct Counters(HashMap<PathBuf, Used>);

/// What was used between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    /// Nanoseconds on a processor.
    pub(super) nanoseconds: u64,
    /// How often it gave up the processor to wait.
    pub(super) voluntary: u64,
    /// How often the processor was taken from it.
    pub(super) involuntary: u64,
}

impl Counters {
    /// Looks at the processes of `group`.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(super) fn of(group: Pid) -> io::Result<Self> {
        let mut threads = HashMap::new();
        for process in members(group)? {
            // A thread that ends meanwhile has no more to say.
            let Ok(tasks) = fs::read_dir(process.join("task")) else { continue };
            for task in tasks.flatten() {
                if let Some(used) = used(&task.path()) {
                    threads.insert(task.path(), used);
                }
            }
        }
        Ok(Self(threads))
    }

    /// What was used since `before`. A thread that has ended counts for nothing.
    pub(super) fn since(&self, before: &Self) -> Used {
        let mut sum = Used::default();
        for (thread, now) in &self.0 {
            let then = before.0.get(thread).copied().unwrap_or_default();
            sum.nanoseconds += now.nanoseconds.saturating_sub(then.nanoseconds);
            sum.voluntary += now.voluntary.saturating_sub(then.voluntary);
            sum.involuntary += now.involuntary.saturating_sub(then.involuntary);
        }
        sum
    }
}

/// `/proc/PID/task/TID`: exact to the nanosecond, where `stat` counts in hundredths of a second and a server of a
/// thousand processes uses less than that in each.
fn used(task: &Path) -> Option<Used> {
    let schedule = fs::read_to_string(task.join("schedstat")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Used {
        nanoseconds: schedule.split_whitespace().next()?.parse().ok()?,
        voluntary: field("voluntary_ctxt_switches:")?,
        involuntary: field("nonvoluntary_ctxt_switches:")?,
    })
}

/// Bytes of memory of all processes of `group`. What several processes share counts once, in parts: that of a child
/// that shares all with its parent is next to nothing. What the kernel keeps for them is not in it.
///
/// # Errors
///
/// When there are none.
pub(super) fn memory(group: Pid) -> io::Result<u64> {
    Ok(members(group)?.iter().map(|process| proportional(process).unwrap_or(0)).sum())
}

fn proportional(process: &Path) -> Option<u64> {
    let rollup = fs::read_to_string(process.join("smaps_rollup"));
    let (text, name) = match rollup {
        Ok(text) => (text, "Pss:"),
        Err(_) => (fs::read_to_string(process.join("status")).ok()?, "VmRSS:"),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

/// The processes of `group` that are alive, as `/proc/PID`.
///
/// # Errors
///
/// When there are none.
pub(super) fn members(group: Pid) -> io::Result<Vec<PathBuf>> {
    let group = group.as_raw_nonzero().to_string();
    let is_member = |process: &PathBuf| {
        let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
        // The name stands in brackets, and anything may be in it.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        fields.next().is_some_and(|state| state != "Z") && fields.nth(1) == Some(&group)
    };
    let is_number = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
    let entries = fs::read_dir("/proc")?.flatten().filter(|entry| is_number(&entry.file_name()));
    let members: Vec<_> = entries.map(|entry| entry.path()).filter(is_member).collect();
    if members.is_empty() {
        return Err(io::Error::other("it has ended"));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_used_is_told_from_what_it_had_used_before() {
        let used = |nanoseconds| Used { nanoseconds, voluntary: 2 * nanoseconds, involuntary: 3 * nanoseconds };
        let counters = |of: &[(&str, u64)]| {
            Counters(of.iter().map(|(thread, count)| (PathBuf::from(thread), used(*count))).collect())
        };
        let before = counters(&[("stays", 10), ("ends", 5)]);
        let after = counters(&[("stays", 14), ("is new", 7)]);
        assert_eq!(after.since(&before), used(11));
    }

    #[test]
    fn this_process_has_used_some_memory_and_some_time() {
        let group = rustix::process::getpgrp();
        assert!(memory(group).unwrap() > 100_000);
        let counters = Counters::of(group).unwrap();
        assert!(counters.0.values().any(|used| used.nanoseconds > 0 && used.voluntary + used.involuntary > 0));
    }
}
