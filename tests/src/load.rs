//! Clients of HTTP that go on asking, never ask twice, and count what fails: for what must lose nobody.

use std::io::{self, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::net::LIMIT;
use crate::program::bounded;

/// The most failures of a client whose text is kept.
const TEXTS: usize = 2;

/// What a client does, again and again.
#[derive(Debug, Clone, Copy)]
pub enum Habit {
    /// A connection for each request.
    Anew,
    /// One request after the other on a connection, for as long as the server does not close it.
    Kept,
    /// The same, where the connection is idle for a twentieth of a second each time.
    Idle,
    /// A request whose body comes in two parts, a little apart, on a connection that is kept.
    Slow,
}

/// Clients that run.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Tally>>,
}

#[derive(Debug)]
struct Shared {
    addr: SocketAddr,
    stop: AtomicBool,
    /// What each client was answered so far, failures included.
    done: Vec<AtomicU64>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered as they should be.
    pub answered: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Connects, requests and answers that failed.
    pub failed: u64,
    /// What the first of them were.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts a client for each of `habits`.
    pub fn start(addr: SocketAddr, habits: &[Habit]) -> Self {
        let done = habits.iter().map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { addr, stop: AtomicBool::new(false), done });
        let client = |(index, habit): (usize, &Habit)| {
            let (shared, habit) = (shared.clone(), *habit);
            thread::spawn(move || Client::new(&shared, index, habit).run())
        };
        let clients = habits.iter().enumerate().map(client).collect();
        Self { shared, clients }
    }

    /// Waits until every client has `count` more answers.
    pub fn more(&self, count: u64) {
        let start = Instant::now();
        for done in &self.shared.done {
            let end = done.load(Ordering::Relaxed) + count;
            while done.load(Ordering::Relaxed) < end {
                assert!(start.elapsed() < LIMIT, "the clients get no answers");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Lets the clients finish what they are at.
    pub fn end(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for client in self.clients {
            let tally = client.join().unwrap();
            sum.answered += tally.answered;
            sum.connections += tally.connections;
            sum.failed += tally.failed;
            sum.failures.extend(tally.failures);
        }
        sum
    }
}

struct Client<'a> {
    shared: &'a Shared,
    index: usize,
    habit: Habit,
    /// A connection on which another request may be sent.
    kept: Option<Connection>,
    tally: Tally,
}

impl<'a> Client<'a> {
    fn new(shared: &'a Shared, index: usize, habit: Habit) -> Self {
        Self { shared, index, habit, kept: None, tally: Tally::default() }
    }

    fn run(mut self) -> Tally {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let is_kept = self.kept.is_some();
            match self.ask() {
                Ok(()) => self.tally.answered += 1,
                Err(error) => {
                    let (habit, which) = (self.habit, if is_kept { "that was kept" } else { "that is new" });
                    self.tally.failed += 1;
                    self.tally.failures.push(format!("{habit:?}, a connection {which}: {error}"));
                    self.tally.failures.truncate(TEXTS);
                }
            }
            self.shared.done[self.index].fetch_add(1, Ordering::Relaxed);
            // So that they do not use up the ports, nor the processor that they share with the server.
            thread::sleep(Duration::from_millis(if matches!(self.habit, Habit::Idle) { 50 } else { 1 }));
        }
        self.tally
    }

    fn ask(&mut self) -> io::Result<()> {
        let mut connection = match self.kept.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect_timeout(&self.shared.addr, LIMIT).map_err(during("connect"))?;
                self.tally.connections += 1;
                Connection { stream: bounded(stream), read: Vec::new() }
            }
        };
        let (parts, expected): (&[&[u8]], &[u8]) = match self.habit {
            Habit::Anew => (&[b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"], b"hello"),
            Habit::Kept | Habit::Idle => (&[b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"], b"hello"),
            Habit::Slow => {
                (&[b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 8\r\n\r\nhalf", b"half"], b"halfhalf")
            }
        };
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                thread::sleep(Duration::from_millis(5));
            }
            connection.stream.write_all(part).map_err(during("request"))?;
        }
        let answer = connection.answer().map_err(during("answer"))?;
        if answer.status != "200" || answer.body.trim_ascii() != expected {
            return Err(Error::other(format!("{} {:?}", answer.status, String::from_utf8_lossy(&answer.body))));
        }
        if !answer.is_last {
            self.kept = Some(connection);
        }
        Ok(())
    }
}

fn during(what: &str) -> impl Fn(Error) -> Error {
    move |error| Error::new(error.kind(), format!("{what}: {error}"))
}

/// A connection, and what was read of it and not yet used.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

struct Answer {
    status: String,
    body: Vec<u8>,
    /// The server closes the connection behind it.
    is_last: bool,
}

impl Connection {
    /// Reads an answer that says how long it is.
    fn answer(&mut self) -> io::Result<Answer> {
        let head_end = loop {
            match self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read_more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.read[..head_end]).to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let is_last = header("connection") == Some("close");
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        while self.read.len() < head_end + length {
            self.read_more()?;
        }
        let rest = self.read.split_off(head_end + length);
        let body = std::mem::replace(&mut self.read, rest).split_off(head_end);
        Ok(Answer { status, body, is_last })
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(Error::new(io::ErrorKind::UnexpectedEof, "the connection ends")),
            count => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}
