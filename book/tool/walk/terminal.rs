//! One terminal: commands one after the other, what is typed into them, and the lines that they print.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::sandbox::{Group, is_of_cargo};

/// How long a command may be silent where a line is expected, and how long it may go on where it has to end.
const LIMIT: Duration = Duration::from_secs(20);
/// The same for cargo, which may have to build first.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// How long a program that waits is watched.
const WATCHED: Duration = Duration::from_millis(300);
/// How long a line may take from a program that has ended to us, where another one holds the pipe open.
const LATE: Duration = Duration::from_secs(1);
/// How long a program has to tidy up when its terminal is closed.
const TIDYING: Duration = Duration::from_secs(2);

/// What comes from a terminal next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Line(String),
    /// The command has ended, and there are no more lines.
    End,
    /// Neither came in time.
    Nothing(Duration),
}

/// A terminal of a page.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Where the shell's directory and variables are kept from one command to the next.
    state: TempDir,
    running: Option<Running>,
}

/// A command, which may have ended.
#[derive(Debug)]
struct Running {
    group: Group,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    limit: Duration,
}

impl Terminal {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let state = tempfile::tempdir()?;
        fs::write(state.path().join("directory"), directory.as_os_str().as_encoded_bytes())?;
        fs::write(state.path().join("variables"), "")?;
        Ok(Self { state, running: None })
    }

    /// Starts a command; the one before has ended.
    pub(super) fn start(&mut self, command: &str) -> io::Result<()> {
        let keep = "trap 'pwd >\"$WALK/directory\"; export -p >\"$WALK/variables\"' EXIT; . \"$WALK/variables\"";
        let directory = fs::read_to_string(self.state.path().join("directory"))?;
        let (reader, writer) = io::pipe()?;
        // What is started in the background of a script ignores Ctrl-C, and would hand that down.
        let mut bash = Command::new("env");
        bash.args(["--default-signal=INT", "bash", "-c", &format!("{keep}\n{command}")]).env("WALK", self.state.path());
        // Not by a `cd` that reads the file: bash forgets a Ctrl-C that comes while it waits for a substitution.
        bash.current_dir(directory.trim_end_matches('\n'));
        bash.env("PYTHONUNBUFFERED", "1").env("CARGO_TERM_COLOR", "never").env("CARGO_NET_OFFLINE", "true");
        for (name, _) in env::vars_os() {
            // What `cargo run` tells of this package: build scripts that look at it would run again.
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                bash.env_remove(name);
            }
        }
        bash.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        let mut group = Group::spawn(&mut bash)?;
        // Its ends of the pipe would keep the reader from seeing the program's.
        drop(bash);
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if !is_of_cargo(&line) && sender.send(line).is_err() {
                    break;
                }
            }
        });
        let limit = if command.contains("cargo") { BUILD_LIMIT } else { LIMIT };
        self.running = Some(Running { stdin: group.0.stdin.take(), group, lines, limit });
        Ok(())
    }

    /// Whether a command was started whose end was not waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Types a line. `false`: nothing reads it.
    pub(super) fn type_line(&mut self, words: &str) -> bool {
        let stdin = self.running.as_mut().and_then(|running| running.stdin.as_mut());
        stdin.is_some_and(|stdin| writeln!(stdin, "{words}").is_ok())
    }

    /// Ctrl-D. `false`: there is nothing to end.
    pub(super) fn end_input(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| running.stdin.take().is_some())
    }

    /// Ctrl-C. `false`: there is nothing to end.
    pub(super) fn interrupt(&mut self) -> bool {
        self.running.as_ref().inspect(|running| running.group.signal(Signal::INT)).is_some()
    }

    /// The next line of the command.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        match &mut self.running {
            None => Ok(Next::End),
            Some(running) => running.next(running.limit),
        }
    }

    /// Whether the command still runs and prints nothing; if not, what came instead.
    pub(super) fn waits(&mut self) -> io::Result<Result<(), Next>> {
        let Some(running) = &mut self.running else { return Ok(Err(Next::End)) };
        Ok(match running.next(WATCHED)? {
            Next::Nothing(_) => Ok(()),
            came => Err(came),
        })
    }

    /// How the command ended, once its lines have; nothing where there is none.
    pub(super) fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        match self.running.take() {
            Some(mut running) => running.group.0.wait().map(Some),
            None => Ok(None),
        }
    }

    /// The lines that have come and were not asked for. What still runs is ended as with Ctrl-C, so that it takes along
    /// what it has made (the file of a socket), and is killed if it does not.
    pub(super) fn close(&mut self) -> io::Result<Vec<String>> {
        let Some(mut running) = self.running.take() else { return Ok(Vec::new()) };
        let lines = running.lines.try_iter().collect();
        running.group.signal(Signal::INT);
        let deadline = Instant::now() + TIDYING;
        while running.group.0.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(lines)
    }
}

impl Running {
    fn next(&mut self, limit: Duration) -> io::Result<Next> {
        let deadline = Instant::now() + limit;
        let mut ended = None;
        loop {
            match self.lines.recv_timeout(Duration::from_millis(10)) {
                Ok(line) => return Ok(Next::Line(line)),
                Err(RecvTimeoutError::Disconnected) if self.group.0.try_wait()?.is_some() => return Ok(Next::End),
                // It has closed its output and goes on.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(10)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if ended.is_none() && self.group.0.try_wait()?.is_some() {
                ended = Some(Instant::now());
            }
            if ended.is_some_and(|ended| ended.elapsed() > LATE) {
                return Ok(Next::End);
            }
            if Instant::now() > deadline {
                return Ok(Next::Nothing(limit));
            }
        }
    }
}
