//! A PostgreSQL server of the test's own: its cluster in a folder that is made for it, on a port that nobody else has.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub(crate) const USER: &str = "pollywog";
pub(crate) const PASSWORD: &str = "a password";

/// How long making the cluster, or starting the server, may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The server refuses to run as root, and runs as this user then: nobody.
const UNPRIVILEGED: u32 = 65_534;

/// Starts the server and waits until its own standard input ends, which the death of the test ends too, in whatever
/// way. Then it ends the server, by its process id, and removes the folder.
const GUARD: &str = r#"
"$1/postgres" -D "$2/data" -p "$3" -k "$2" -h 127.0.0.1 \
    -c fsync=off -c autovacuum=off -c max_connections=40 -c shared_buffers=16MB -c lc_messages=C &
read -r _
kill -QUIT $!
wait $!
rm -rf "$2"
"#;

/// A server. It ends when this is dropped, and with the process of the test.
#[derive(Debug)]
pub(crate) struct Server {
    guard: Child,
    addr: SocketAddr,
}

impl Server {
    /// The one that the tests share, or `None`, with a line that says so, where there is no PostgreSQL.
    pub(crate) fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Server> = OnceLock::new();
        let binaries = binaries(test)?;
        Some(SHARED.get_or_init(|| Self::start(&binaries)))
    }

    /// One that the caller may end.
    pub(crate) fn own(test: &str) -> Option<Self> {
        Some(Self::start(&binaries(test)?))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it at once, as `pg_ctl stop -m immediate` does: connections are told, or just closed.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn start(binaries: &Path) -> Self {
        let folder = new_folder().unwrap();
        make_cluster(binaries, &folder);
        let (port, reserved) = reserve().unwrap();

        let mut command = unprivileged("sh");
        command.args(["-c", GUARD, "guard"]).args([binaries, &folder]).arg(port.to_string());
        // A group of its own: an interrupt from the terminal is for the test.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut guard = command.spawn().expect("there is a shell");
        let log = lines(guard.stderr.take().expect("it is piped"));
        let server = Self { guard, addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
        let mut said = Vec::new();
        loop {
            let line = log.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("the server does not start: {said:?}"));
            if line.contains("database system is ready") {
                break;
            }
            assert!(!line.contains("FATAL"), "the server does not start: {line} {said:?}");
            said.push(line);
        }
        drop(reserved);
        server
    }

    fn end(&mut self) {
        drop(self.guard.stdin.take());
        // It fails where it was waited for.
        let _ = self.guard.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The folder that holds `initdb` and `postgres`: Debian has it outside the PATH.
fn binaries(test: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    for version in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        folders.push(version.path().join("bin"));
    }
    let found =
        folders.into_iter().find(|folder| ["initdb", "postgres"].iter().all(|tool| folder.join(tool).is_file()));
    if found.is_none() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{test} needs PostgreSQL");
        eprintln!("{test} is skipped: it needs PostgreSQL (`apt-get install postgresql`)");
    }
    found
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `program`, as a user that PostgreSQL accepts.
fn unprivileged(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = UNPRIVILEGED.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--", program]).current_dir("/");
    command
}

/// A folder that the server's user alone can enter.
fn new_folder() -> io::Result<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    // The folder for temporary files of root may be closed to others.
    let parent = if is_root() { "/tmp".into() } else { env::temp_dir() };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = parent.join(format!("pollywog-postgres-{}-{count}", process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    if is_root() {
        chown(&folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
    }
    Ok(folder)
}

fn make_cluster(binaries: &Path, folder: &Path) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).unwrap();
    let mut command = unprivileged(binaries.join("initdb").to_str().expect("the path is a text"));
    command.arg("--pgdata").arg(folder.join("data")).arg("--pwfile").arg(&password).args(["--username", USER]);
    command.args(["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
    let output = command.stdin(Stdio::null()).output().expect("initdb can be run");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that the system gives to nobody else while the socket lives. It does not listen, so the server, which allows
/// reuse too, can take its place.
fn reserve() -> io::Result<(u16, Socket)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let addr = socket.local_addr()?.as_socket().expect("it is an internet address");
    Ok((addr.port(), socket))
}

/// What is written there, read by a thread, so that the writer is never held up.
fn lines(from: impl io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
