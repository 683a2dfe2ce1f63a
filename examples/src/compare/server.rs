//! A server that runs: started, found, and ended with all of its processes.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};

use super::child;
use super::signals::groups;

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(10);
/// How long the end of a process may take to be seen, after its connections were.
const END: Duration = Duration::from_millis(200);

/// A server that runs, in a process group of its own. Dropping it kills that group, and waits until it is gone.
#[derive(Debug)]
pub struct Server {
    child: Child,
    group: Pid,
    addr: SocketAddr,
    complaints: Receiver<String>,
}

impl Server {
    /// Starts `words`, a command that says `listening on ADDRESS`, on `core`, and waits until it says so.
    ///
    /// To be called on a thread that outlives the server, as the main one does: the system ends the server with it.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or says something else.
    pub fn start(words: &[OsString], core: usize) -> io::Result<Self> {
        let mut command = child::command(words, core)?;
        let (mut child, group) = {
            let mut groups = groups();
            let child = command.spawn()?;
            let group = Pid::from_child(&child);
            groups.push(group);
            (child, group)
        };
        let lines = lines_of(child.stdout.take());
        let complaints = lines_of(child.stderr.take());
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on it is ended, however this goes.
        let mut server = Self { child, group, addr: unknown, complaints };
        match lines.recv_timeout(START) {
            Ok(line) => {
                let addr = line.strip_prefix("listening on ").and_then(|addr| addr.trim().parse().ok());
                server.addr = addr.ok_or_else(|| io::Error::other(format!("it said '{line}' before it listened")))?;
                Ok(server)
            }
            Err(_) => {
                Err(server.explain(io::Error::other(format!("it did not say within {START:?} where it listens"))))
            }
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process group: its number is that of its first process.
    pub fn group(&self) -> Pid {
        self.group
    }

    /// Why `error` happened: that the server has ended, and what it said last, or `error` itself.
    pub(super) fn explain(&mut self, error: io::Error) -> io::Error {
        let (step, mut waited) = (Duration::from_millis(5), Duration::ZERO);
        while waited < END {
            if let Ok(Some(status)) = self.child.try_wait() {
                // So that nobody keeps the other end of the pipe open.
                let _ = kill_process_group(self.group, Signal::KILL);
                let said = self.complaints.iter().last().map_or(String::new(), |line| format!(": {line}"));
                return io::Error::other(format!("it ended with {status}{said}"));
            }
            thread::sleep(step);
            waited += step;
        }
        error
    }

    /// Waits until its first process has ended by itself.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        // Its children have become ours: none is left when there is nobody to wait for.
        while waitpgid(self.group, WaitOptions::empty()).is_ok() {}
        groups().retain(|group| *group != self.group);
    }
}

/// What it says, line by line, read by a thread so that the server is never held up.
fn lines_of(out: Option<impl io::Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}
