//! A Redis of a test's own: on a port that nobody else has, its files in a folder that goes with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::folder::Folder;
use crate::limits::has;
use crate::program::{LIMIT, Signal, bounded};
use rustix::process::{Pid, kill_process};
use socket2::{Domain, Socket, Type};

/// A Redis that runs, until this is dropped, or between [`kill`](Self::kill) and [`start`](Self::start) does not.
#[derive(Debug)]
pub struct Redis {
    folder: Folder,
    port: u16,
    /// Keeps the port while nobody listens.
    _reserved: Socket,
    child: Option<Child>,
}

impl Redis {
    /// `None`, with a line that says so, where there is no Redis.
    pub fn own(test: &str) -> Option<Self> {
        let mut redis = Self::later(test)?;
        redis.start();
        Some(redis)
    }

    /// One that does not run yet.
    pub fn later(test: &str) -> Option<Self> {
        if !has(test, "redis-server") {
            return None;
        }
        let (port, reserved) = reserve();
        Some(Self { folder: Folder::new(), port, _reserved: reserved, child: None })
    }

    /// Where it listens.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same by its Unix socket.
    pub fn unix_place(&self) -> String {
        format!("unix:{}", self.folder.file("socket").display())
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(self.folder.file("socket")).arg("--dir").arg(self.folder.path());
        command.args(["--daemonize", "no"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        self.child = Some(child);
        let mut said = String::new();
        while !said.contains("eady to accept connections") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "Redis does not start: {said}");
        }
        // It is not to wait for somebody who reads its log.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it where it is, with its connections, until [`go_on`](Self::go_on).
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// After [`stop`](Self::stop).
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        kill_process(Pid::from_raw(id as i32).unwrap(), signal).unwrap();
    }

    /// Sends a command, and gives the first line of the reply.
    pub fn command(&self, words: &[&str]) -> String {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = bounded(TcpStream::connect_timeout(&addr, LIMIT).unwrap());
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let command = words.clone().fold(format!("*{}\r\n", words.len()), |command, word| command + &word);
        stream.write_all(command.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that the system gives to nobody else while the socket lives. It does not listen, so whoever allows reuse
/// too can take its place.
pub fn reserve() -> (u16, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (port, socket)
}
