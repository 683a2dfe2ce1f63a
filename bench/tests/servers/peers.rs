//! The servers that there are, and one of them running.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

/// Name and command of every server; of those that are not Rust, of the ones that were built.
fn peers() -> &'static BTreeMap<&'static str, Vec<PathBuf>> {
    static PEERS: OnceLock<BTreeMap<&str, Vec<PathBuf>>> = OnceLock::new();
    PEERS.get_or_init(|| {
        let mut peers = BTreeMap::new();
        let mut add = |name, command: &[&str]| {
            peers.insert(name, command.iter().map(PathBuf::from).collect());
        };
        add("raw epoll", &[env!("CARGO_BIN_EXE_server_raw_epoll")]);
        add("mio", &[env!("CARGO_BIN_EXE_server_mio")]);
        add("pollywog", &[env!("CARGO_BIN_EXE_server_pollywog")]);
        add("pollywog, lent buffer", &[env!("CARGO_BIN_EXE_server_pollywog_lent")]);
        add("tokio", &[env!("CARGO_BIN_EXE_server_tokio")]);
        add("smol", &[env!("CARGO_BIN_EXE_server_smol")]);
        add("monoio, epoll", &[env!("CARGO_BIN_EXE_server_monoio"), "--driver", "epoll"]);
        add("monoio, io_uring", &[env!("CARGO_BIN_EXE_server_monoio"), "--driver", "io_uring"]);
        add("glommio", &[env!("CARGO_BIN_EXE_server_glommio")]);
        add("compio, epoll", &[env!("CARGO_BIN_EXE_server_compio"), "--driver", "epoll"]);
        add("compio, io_uring", &[env!("CARGO_BIN_EXE_server_compio"), "--driver", "io_uring"]);

        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
        let built = Command::new(sources.join("build")).arg(&to).status().expect("bash is installed");
        assert!(built.success(), "bench/peers/build failed");
        for (name, file) in [("libuv", "server_libuv"), ("Go", "server_go")] {
            let program = to.join(file);
            if program.exists() {
                add(name, &[program.to_str().unwrap()]);
            }
        }
        let with = |file: &str| sources.join(file).to_str().unwrap().to_owned();
        for (name, module, command) in [
            ("asyncio", "asyncio", vec![with("with_asyncio.py")]),
            ("uvloop", "uvloop", vec![with("with_asyncio.py"), "--loop".into(), "uvloop".into()]),
            ("gevent", "gevent", vec![with("with_gevent.py")]),
        ] {
            let python = "/usr/bin/python3";
            let found = Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
            if found.is_ok_and(|status| status.success()) {
                add(name, &[&[python], &*command.iter().map(String::as_str).collect::<Vec<_>>()].concat());
            }
        }
        peers
    })
}

/// Runs `test` against each server in turn, and says which of them it was that failed.
pub(crate) fn with_every_server(mode: &str, test: impl Fn(&Server)) {
    let only = env::var("POLLYWOG_BENCH_ONLY").ok();
    let mut failed = Vec::new();
    for (&name, command) in peers() {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let Some(server) = Server::start(name, command, mode) else { continue };
        if panic::catch_unwind(panic::AssertUnwindSafe(|| test(&server))).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed in mode {mode}: {failed:?}");
}

/// A server that runs.
pub(crate) struct Server {
    name: &'static str,
    command: &'static [PathBuf],
    process: Child,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// `None`, and a word about it, where the system has no io_uring for it.
    fn start(name: &'static str, command: &'static [PathBuf], mode: &str) -> Option<Self> {
        let mut process = Command::new(&command[0])
            .args(&command[1..])
            .args(["--port", "0", "--mode", mode])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        if let Some(addr) = line.strip_prefix("listening on ") {
            return Some(Self { name, command, process, addr: addr.trim().parse().unwrap(), _output: output });
        }
        process.wait().unwrap();
        let mut error = String::new();
        process.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        let needs_a_ring = name.contains("io_uring") || name == "glommio";
        assert!(needs_a_ring && env::var_os("CI").is_none(), "{name} did not start: {error}");
        println!("{name} is skipped, since it did not start; io_uring needs Linux that allows it: {error}");
        None
    }

    /// How many sockets the process has open.
    fn sockets(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap();
        open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Waits until the server has no more sockets open than one that nobody connected to.
    pub(crate) fn until_no_connection_is_open(&self) {
        let fresh = Self::start(self.name, self.command, "echo").expect("it started before").sockets();
        let start = Instant::now();
        while self.sockets() > fresh {
            assert!(start.elapsed() < Duration::from_secs(60), "{} sockets are open, not {fresh}", self.sockets());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
