//! The example `http` is restarted while clients ask: none of them is refused, reset or left without an answer. They
//! never ask twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::{has, may_have_descriptors};
use pollywog_tests::load::{Habit, Load};
use pollywog_tests::namespace::in_namespace;
use pollywog_tests::net::LIMIT;
use pollywog_tests::program::{Ended, Program, Signal, path};

const HABITS: [Habit; 6] = [Habit::Anew, Habit::Anew, Habit::Kept, Habit::Kept, Habit::Idle, Habit::Slow];
const ROUNDS: usize = 4;

/// How long a part of the test goes on, in answers that each client gets.
const PART: u64 = 10;

/// Fails unless the program ended in good order, and has served somebody.
fn has_served(ended: &Ended) {
    let count = ended.said.strip_prefix("served ").and_then(|said| said.strip_suffix(" connections\n"));
    let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{ended:?}"));
    assert!(ended.status.success() && ended.complained.is_empty() && count > 0, "{ended:?}");
}

fn lost_nobody(load: Load) {
    let tally = load.end();
    assert_eq!((tally.failed, &tally.failures[..]), (0, &[][..]), "of {}", tally.answered);
    assert!(tally.connections > HABITS.len() as u64 && tally.answered > tally.connections, "{tally:?}");
}

/// The socket belongs to the test, as to a service manager, and each process has it from there.
#[test]
fn nobody_is_lost_between_two_processes_that_have_one_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut old = Program::activated("http", &listener, &[]);
    let load = Load::start(listener.local_addr().unwrap(), &HABITS);
    for _ in 0..ROUNDS {
        load.more(PART);
        let new = Program::activated("http", &listener, &[]);
        load.more(PART);
        has_served(&old.end(Signal::TERM));
        old = new;
    }
    load.more(PART);
    lost_nobody(load);
    has_served(&old.end(Signal::TERM));
}

/// As `systemctl restart` does it: the next process is started when the one before has ended.
#[test]
fn who_comes_when_there_is_no_process_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut http = Program::activated("http", &listener, &[]);
    let load = Load::start(listener.local_addr().unwrap(), &HABITS);
    for _ in 0..ROUNDS {
        load.more(PART);
        has_served(&http.end(Signal::TERM));
        http = Program::activated("http", &listener, &[]);
    }
    load.more(PART);
    lost_nobody(load);
    has_served(&http.end(Signal::TERM));
}

/// A server behind HAProxy, at the address that deploy/haproxy.cfg has for it.
fn node(addr: &str) -> Program {
    Program::start_on("http", addr, &["--drain-delay", "1.5", "--drain-timeout", "1"])
}

/// HAProxy with the configuration of deploy/haproxy.cfg, and a socket of the test's to ask it.
struct Haproxy {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    _folder: Folder,
}

impl Haproxy {
    fn start(retries: &str) -> Self {
        let folder = Folder::new();
        let (socket, config, log) = (folder.file("admin.sock"), folder.file("haproxy.cfg"), folder.file("log"));
        let given = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/haproxy.cfg")).unwrap();
        let mut ours = given;
        for (old, new) in
            [("/run/haproxy/admin.sock", socket.to_str().unwrap()), ("retries 3", &format!("retries {retries}"))]
        {
            assert!(ours.contains(old), "the file has no '{old}'");
            ours = ours.replace(old, new);
        }
        fs::write(&config, ours).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(&config).args(["-db"]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { child, socket, log, _folder: folder }
    }

    /// What it thinks of its servers, by their names.
    fn servers(&self) -> BTreeMap<String, String> {
        let Ok(mut stream) = UnixStream::connect(&self.socket) else { return BTreeMap::new() };
        stream.write_all(b"show stat servers 4 -1\n").unwrap();
        let mut table = String::new();
        stream.read_to_string(&mut table).unwrap();
        let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = lines.next().unwrap_or_default();
        let column = names.iter().position(|name| *name == "status").unwrap_or_default();
        let rows = lines.filter(|row| row.len() > column && row[0] == "servers");
        rows.map(|row| (row[1].to_owned(), row[column].to_owned())).collect()
    }

    fn wait_until(&mut self, server: &str, status: &str) {
        let start = Instant::now();
        while self.servers().get(server).is_none_or(|now| now != status) {
            let log = || fs::read_to_string(&self.log).unwrap();
            assert!(self.child.try_wait().unwrap().is_none(), "HAProxy has ended: {}", log());
            assert!(start.elapsed() < LIMIT, "{server} is not {status}: {:?}", self.servers());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nobody_is_lost_when_servers_behind_haproxy_are_restarted_in_turn() {
    restarted_in_turn("nobody_is_lost_when_servers_behind_haproxy_are_restarted_in_turn", "3");
}

/// It has to know in time that a server is about to go.
#[test]
fn nobody_is_lost_where_haproxy_tries_each_server_once() {
    restarted_in_turn("nobody_is_lost_where_haproxy_tries_each_server_once", "0");
}

fn restarted_in_turn(test: &str, retries: &str) {
    if !has(test, "haproxy") || !may_have_descriptors(test, 8_100) {
        return;
    }
    path("http");
    in_namespace(test, || {
        let addrs = [("one", "127.0.0.1:8081"), ("two", "127.0.0.1:8082")];
        let mut nodes = addrs.map(|(_, addr)| Some(node(addr)));
        let mut haproxy = Haproxy::start(retries);
        for (name, _) in addrs {
            haproxy.wait_until(name, "UP");
        }
        let load = Load::start(SocketAddr::from(([127, 0, 0, 1], 8080)), &HABITS);
        for ((name, addr), running) in addrs.into_iter().zip(&mut nodes) {
            load.more(PART);
            has_served(&running.take().unwrap().end(Signal::TERM));
            haproxy.wait_until(name, "DOWN");
            load.more(PART);
            *running = Some(node(addr));
            haproxy.wait_until(name, "UP");
        }
        load.more(PART);
        lost_nobody(load);
    });
}
