//! Whole programs: those of `examples`, built once, started, talked to, and ended.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// How long a test waits for a program before it fails.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The executable of an example, built in the profile of this test when it is asked for first.
pub fn path(example: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while cargo runs: the next test waits for it.
    let mut built = BUILT.lock().unwrap();
    built.entry(example.to_owned()).or_insert_with(|| build(example)).clone()
}

fn build(example: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--manifest-path", manifest, "-p", "pollywog-examples", "--example", example]);
    command.args(["--profile", &profile(), "--message-format=json-render-diagnostics"]);
    // What `cargo test` tells of this package: build scripts that look at it (ring's does) would run again, and all that
    // depends on them would be built again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let output = command.stdin(Stdio::null()).output().expect("cargo can be run");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{example}` does not build:\n{complaints}");
    // Where it lies depends on the target directory, the target and the profile: cargo tells.
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let executable = messages.split_once(r#""executable":""#).and_then(|(_, rest)| rest.split_once('"'));
    let (executable, _) = executable.unwrap_or_else(|| panic!("cargo built no program `{example}`:\n{messages}"));
    PathBuf::from(executable)
}

/// The folder of this test's binary is that of its profile: `target/debug/deps`.
fn profile() -> String {
    let binary = env::current_exe().unwrap();
    let folder = binary.ancestors().nth(2).and_then(|folder| folder.file_name()).unwrap().to_string_lossy();
    if folder == "debug" { "dev".to_owned() } else { folder.into_owned() }
}

/// A server that runs. It is killed when this is dropped, and nothing else is.
#[derive(Debug)]
pub struct Program<A = SocketAddr> {
    running: Running,
    addr: A,
}

impl Program {
    /// Starts an example that serves, on a port that the system picks, and waits until it listens.
    pub fn start(example: &str, arguments: &[&str]) -> Self {
        Self::start_on(example, "127.0.0.1:0", arguments)
    }

    /// The same on an address that the test knows.
    pub fn start_on(example: &str, addr: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path(example));
        command.args(["--addr", addr]).args(arguments);
        Self::listening(example, command)
    }

    /// Starts a server of any kind that says where it listens as the examples do, and waits until it listens.
    pub fn start_command(name: &str, command: Command) -> Self {
        Self::listening(name, command)
    }

    /// Starts an example that serves with `listener` as a service manager would, and waits until it serves.
    pub fn activated(example: &str, listener: &TcpListener, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""]);
        command.arg(path(example)).args(["--addr", "192.0.2.1:1"]).args(arguments);
        let stdin = OwnedFd::from(listener.try_clone().unwrap());
        let program = Self::with_line(example, Running::start_with(command, stdin.into()));
        assert_eq!(program.addr, listener.local_addr().unwrap());
        program
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connects to it. Reading and writing fail when they take longer than [`LIMIT`].
    pub fn connect(&self) -> TcpStream {
        bounded(TcpStream::connect_timeout(&self.addr, LIMIT).unwrap())
    }
}

impl Program<PathBuf> {
    /// Starts an example that serves on a Unix socket, and waits until it listens.
    pub fn start_at(example: &str, socket: &Path) -> Self {
        let mut command = Command::new(path(example));
        command.arg("--path").arg(socket);
        let program = Self::listening(example, command);
        assert_eq!(program.addr, socket);
        program
    }
}

impl<A: FromStr> Program<A> {
    fn listening(example: &str, command: Command) -> Self {
        Self::with_line(example, Running::start(command))
    }

    fn with_line(example: &str, mut running: Running) -> Self {
        let line = running.line().unwrap_or_else(|| panic!("`{example}` ended: {:?}", running.complaints.recv()));
        let addr = line.strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        let addr = addr.unwrap_or_else(|| panic!("`{example}` says '{line}' before it listens"));
        Self { running, addr }
    }

    /// The next line of its standard output; `None` is the end.
    pub fn line(&mut self) -> Option<String> {
        self.running.line()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id() as i32).unwrap(), signal).unwrap();
    }

    /// Sends it a signal, and waits until it ends. Fails when it has ended before.
    pub fn end(mut self, signal: Signal) -> Ended {
        if let Some(status) = self.running.child.try_wait().unwrap() {
            panic!("it ended too early, with {status}: {:?}", self.running.ended());
        }
        self.signal(signal);
        self.running.ended()
    }
}

/// `stream`, whose reads and writes fail when they take longer than [`LIMIT`].
pub fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A server that says where it listens, and whose further words nobody reads until it has ended. It is killed when this
/// is dropped.
#[derive(Debug)]
pub struct Unread {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Unread {
    /// Starts it, and gives its first line, too.
    pub fn start(example: &str, arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new(path(example));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        (Self { child, out }, line)
    }

    /// Ends it with SIGTERM, and gives what it had said on standard output and on standard error.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let (mut said, mut complained) = (String::new(), String::new());
        self.out.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
        (status, said, complained)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an example to its end.
pub fn run(example: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(path(example));
    command.args(arguments);
    Running::start(command).ended()
}

/// What a program left.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, without the lines that were read before.
    pub said: String,
    /// Its standard error.
    pub complained: String,
}

impl Ended {
    /// Fails unless the program failed with `status`, and said why in one line that contains `text`.
    #[track_caller]
    pub fn failed_with(&self, status: i32, text: &str) {
        let complained = &self.complained;
        assert_eq!(self.status.code(), Some(status), "{self:?}");
        assert_eq!(complained.lines().count(), 1, "not one line: {complained}");
        assert!(complained.contains(text), "no '{text}' in: {complained}");
        assert!(!complained.contains("panicked"), "{complained}");
    }
}

/// A process, and threads that read what it says, so that it is never held up.
#[derive(Debug)]
struct Running {
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    fn start_with(mut command: Command, stdin: Stdio) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());

        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let (sender, complaints) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = BufReader::new(err).read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        Self { child, lines, complaints }
    }

    /// The next line of its standard output; `None` is the end.
    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program says nothing for {LIMIT:?}"),
        }
    }

    /// Waits until it ends. Its standard output ends no later.
    fn ended(mut self) -> Ended {
        let mut said = String::new();
        while let Some(line) = self.line() {
            said += &line;
            said.push('\n');
        }
        let complained = self.complaints.recv_timeout(LIMIT).expect("the program ends");
        Ended { status: self.child.wait().unwrap(), said, complained }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a process that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
