//! System calls per request, as strace counts them.
//!
//! Two runs that differ in nothing but how often was asked: what they differ in is what the requests cost. Starting,
//! connecting and ending costs the same in both.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::child;
use super::counters::members;
use super::load;
use super::results::Calls;
use super::server::Server;

/// How often is asked, in all, in the shorter and in the longer run.
const REQUESTS: [u64; 2] = [100, 1_100];
/// How long they may take: strace stops a server twice in each call.
const LIMIT: Duration = Duration::from_secs(60);
/// Fewer calls than this for each request are none of the request's.
const FEW: f64 = 0.005;

/// Whether there is an strace to be run.
pub(super) fn has_strace() -> bool {
    let mut strace = Command::new("strace");
    strace.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

/// The system calls of one request to `words` over so many connections.
///
/// # Errors
///
/// When the server fails, or strace does.
pub(super) fn calls(words: &[OsString], core: usize, connections: usize) -> io::Result<Calls> {
    let [before, after] = REQUESTS;
    let fewer = count(words, core, connections, before)?;
    let more = count(words, core, connections, after)?;
    let each = |(name, more): (String, u64)| {
        let fewer = fewer.get(&name).copied().unwrap_or(0);
        (name, more.saturating_sub(fewer) as f64 / (after - before) as f64)
    };
    let by_name: BTreeMap<_, _> = more.into_iter().map(each).filter(|(_, count)| *count >= FEW).collect();
    Ok(Calls { per_request: by_name.values().sum(), by_name })
}

/// How often each system call was made in a run with so many requests.
fn count(words: &[OsString], core: usize, connections: usize, requests: u64) -> io::Result<BTreeMap<String, u64>> {
    let file = env::temp_dir().join(format!("pollywog-compare-{}", process::id()));
    let result = trace(words, core, &file, connections, requests).and_then(|()| fs::read_to_string(&file));
    let _ = fs::remove_file(&file);
    parse(&result?).ok_or_else(|| io::Error::other("strace counted nothing"))
}

fn trace(words: &[OsString], core: usize, file: &Path, connections: usize, requests: u64) -> io::Result<()> {
    let mut traced: Vec<OsString> = vec!["strace".into(), "-f".into(), "-c".into(), "-o".into(), file.into()];
    traced.extend(child::words(words, core)?);
    let mut server = Server::start(&traced, core)?;
    let asked = pollywog_net::run(async {
        let mut clients = Vec::new();
        load::connect(server.addr(), &mut clients, connections).await?;
        load::ask_times(&mut clients, requests / connections as u64, LIMIT).await
    });
    asked.and_then(|asked| asked).map_err(|error| server.explain(error))?;
    end_all_but(server.group())?;
    server.wait()
}

/// Ends what strace looks at, so that strace says what it has seen and ends too.
fn end_all_but(strace: Pid) -> io::Result<()> {
    while let Ok(members) = members(strace) {
        let number = |process: &PathBuf| process.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw);
        let traced: Vec<_> = members.iter().filter_map(number).filter(|process| *process != strace).collect();
        if traced.is_empty() {
            break;
        }
        for process in traced {
            // It may have ended meanwhile.
            let _ = kill_process(process, Signal::KILL);
        }
    }
    Ok(())
}

/// The columns `calls` and `syscall` of what `strace -c` writes.
fn parse(summary: &str) -> Option<BTreeMap<String, u64>> {
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (name, calls) = (fields.last()?, fields.get(3)?);
        (*name != "total").then_some((name.to_string(), calls.parse().ok()?))
    };
    let rows: BTreeMap<_, _> = summary.lines().filter_map(row).collect();
    (!rows.is_empty()).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_strace_is_read_with_and_without_errors() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000030           3        10           read
 40.00    0.000020          20         1         1 access
------ ----------- ----------- --------- --------- ----------------
100.00    0.000050           4        11         1 total
";
        let expected = BTreeMap::from([("access".to_owned(), 1), ("read".to_owned(), 10)]);
        assert_eq!(parse(summary), Some(expected));
        assert_eq!(parse("strace: cannot\n"), None);
    }
}
