//! What one reader did, and when.

use std::hint::spin_loop;
use std::io::{self, ErrorKind};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long the program works before it looks up.
const WORK: Duration = Duration::from_millis(5);
/// What a character of the lane stands for.
const STEP: Duration = Duration::from_millis(2);

/// What the reader did for a while.
pub(crate) struct Span {
    /// The system call; `None` is work of its own.
    pub(crate) call: Option<&'static str>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    refused: bool,
}

pub(crate) struct Diary {
    pub(crate) spans: Vec<Span>,
    /// When each piece came, and the end.
    pub(crate) came: Vec<Instant>,
    /// When each was in the program's hands.
    pub(crate) taken: Vec<Instant>,
    bytes: Vec<u8>,
    tell: Option<Sender<()>>,
}

impl Diary {
    /// An empty one; each piece that is taken is told.
    pub(crate) fn new(tell: Sender<()>) -> Self {
        let (spans, came, taken, bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { spans, came, taken, bytes, tell: Some(tell) }
    }

    /// Makes a system call.
    pub(crate) fn call<T>(&mut self, name: &'static str, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let from = Instant::now();
        let result = call();
        let refused = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.spans.push(Span { call: Some(name), from, to: Instant::now(), refused });
        result
    }

    /// Does something else for a few milliseconds.
    pub(crate) fn work(&mut self) {
        let from = Instant::now();
        while from.elapsed() < WORK {
            spin_loop();
        }
        self.spans.push(Span { call: None, from, to: Instant::now(), refused: false });
    }

    /// These bytes are here. Whether they are the end, which is none.
    pub(crate) fn took(&mut self, bytes: &[u8]) -> bool {
        self.taken.push(Instant::now());
        self.bytes.extend_from_slice(bytes);
        if let Some(tell) = &self.tell {
            // At the end nobody listens.
            let _ = tell.send(());
        }
        bytes.is_empty()
    }

    /// No more is taken.
    pub(crate) fn end(&mut self) {
        self.tell = None;
    }

    /// When it began to read.
    pub(crate) fn start(&self) -> Instant {
        self.spans.first().map_or_else(Instant::now, |span| span.from)
    }

    /// How long it took in all.
    pub(crate) fn length(&self) -> Duration {
        self.spans.last().map_or(Duration::ZERO, |span| span.to - self.start())
    }

    /// A character for each step of the time.
    pub(crate) fn lane(&self) -> String {
        let steps = self.length().as_micros() / STEP.as_micros() + 1;
        (0..steps as u32).map(|step| self.character(self.start() + STEP * step)).collect()
    }

    fn character(&self, from: Instant) -> char {
        let is_here = |moment: &Instant| (from..from + STEP).contains(moment);
        let middle = from + STEP / 2;
        let now = self.spans.iter().find(|span| (span.from..span.to).contains(&middle));
        if self.taken.iter().any(is_here) {
            '*'
        } else if self.came.iter().any(is_here) {
            'v'
        } else {
            // Between two of them the thread had no processor.
            now.map_or(' ', |span| if span.call.is_some() { '.' } else { '=' })
        }
    }

    /// How many calls it made, and what it got.
    pub(crate) fn calls(&self) -> String {
        let count = |name| self.spans.iter().filter(|span| span.call == Some(name)).count();
        let calls = ["poll", "io_uring_enter", "read"].map(|name| (name, count(name)));
        let made = calls.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
        let refused = match self.spans.iter().filter(|span| span.refused).count() {
            0 => String::new(),
            count => format!(", {count} of them refused"),
        };
        let text = String::from_utf8_lossy(&self.bytes);
        format!("{}{refused}: '{text}'", made.collect::<Vec<_>>().join(", "))
    }
}
