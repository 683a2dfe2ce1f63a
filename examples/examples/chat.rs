//! A room in which everybody reads what the others write.
//!
//! ```text
//! cargo run --release --example chat
//! nc 127.0.0.1 7008                        # in two terminals: first a name, then lines; /who, /nick NEW, /quit
//! ```
//!
//! What to look at: the room is an `Rc<RefCell<…>>`, since all tasks run on one thread and no lock is needed. Each
//! member has a queue that holds 64 lines. Saying something never waits: who reads too slowly misses lines, is told how
//! many, and holds nobody up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{AsyncWriteExt, StreamExt};
use pollywog_examples::{address, listen, say, until_interrupted};
use pollywog_net::{TcpStream, spawn, task, time};

/// Lines that wait for a member.
const QUEUE: usize = 64;
/// Bytes of a line; what is longer becomes several.
const LONGEST_LINE: usize = 1_024;
const LONGEST_NAME: usize = 24;
/// How long a member who leaves may take to read what stands in the queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everybody, by name.
type Room = Rc<RefCell<BTreeMap<String, Member>>>;

#[derive(Clone)]
struct Member {
    queue: mpsc::Sender<Rc<str>>,
    missed: Rc<Cell<u64>>,
}

impl Member {
    fn tell(&mut self, line: Rc<str>) {
        if self.queue.try_send(line).is_err() {
            self.missed.set(self.missed.get() + 1);
        }
    }
}

/// To everybody but `from`.
fn tell_others(room: &Room, from: &str, line: &str) {
    let line: Rc<str> = line.into();
    for (name, member) in room.borrow_mut().iter_mut() {
        if name != from {
            member.tell(line.clone());
        }
    }
}

/// One connection: what it says and what it is told, side by side.
async fn attend(stream: TcpStream, room: Room) -> io::Result<()> {
    let (queue, lines) = mpsc::channel(QUEUE);
    let missed = Rc::new(Cell::new(0));
    let me = Member { queue, missed: missed.clone() };
    let telling = pin!(write_lines(&stream, lines, &missed));
    match select(pin!(converse(&stream, &room, me)), telling).await {
        // It has left the room, so that its queue ends. Goodbye is still to be written.
        Either::Left((_, telling)) => time::timeout(PATIENCE, telling).await.unwrap_or(Ok(())),
        Either::Right((result, _)) => result,
    }
}

async fn converse(stream: &TcpStream, room: &Room, mut me: Member) -> io::Result<()> {
    me.tell("* hello! What is your name?".into());
    let mut seat = loop {
        let Some(name) = read_line(stream).await? else { return Ok(()) };
        match Seat::take(room, &name, &me) {
            Ok(seat) => break seat,
            Err(reason) => me.tell(format!("* {reason}. Another name?").into()),
        }
    };
    me.tell(format!("* welcome, {}. In the room: {}", seat.name, who(room)).into());
    tell_others(room, &seat.name, &format!("* {} is here", seat.name));
    while let Some(line) = read_line(stream).await? {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("", "") => {}
            ("/quit", _) => break,
            ("/who", _) => me.tell(format!("* in the room: {}", who(room)).into()),
            ("/nick", name) => match seat.rename(name, &me) {
                Ok(old) => {
                    me.tell(format!("* you are {} now", seat.name).into());
                    tell_others(room, &seat.name, &format!("* {old} is {} now", seat.name));
                }
                Err(reason) => me.tell(format!("* {reason}").into()),
            },
            (command, _) if command.starts_with('/') => {
                me.tell("* there are /who, /nick NEW and /quit".into());
            }
            _ => tell_others(room, &seat.name, &format!("{}: {line}", seat.name)),
        }
        // A hundred lines may have come at once: those who listen get their turn between them.
        task::yield_now().await;
    }
    me.tell("* goodbye".into());
    Ok(())
}

fn who(room: &Room) -> String {
    let names: Vec<_> = room.borrow().keys().cloned().collect();
    names.join(", ")
}

/// A place in the room. Dropping it leaves the room, however the connection ended.
struct Seat<'a> {
    room: &'a Room,
    name: String,
}

impl<'a> Seat<'a> {
    fn take(room: &'a Room, name: &str, member: &Member) -> Result<Self, &'static str> {
        let name = name.trim();
        let fits = (1..=LONGEST_NAME).contains(&name.len());
        if !fits || name.starts_with(['/', '*']) || name.contains(|c: char| c.is_whitespace() || c == ':') {
            return Err("a name is one word of at most 24 bytes");
        }
        if room.borrow().contains_key(name) {
            return Err("that name is taken");
        }
        room.borrow_mut().insert(name.to_owned(), member.clone());
        Ok(Self { room, name: name.to_owned() })
    }

    /// Gives the old name.
    fn rename(&mut self, name: &str, member: &Member) -> Result<String, &'static str> {
        let mut new = Self::take(self.room, name, member)?;
        std::mem::swap(&mut self.name, &mut new.name);
        self.room.borrow_mut().remove(&new.name);
        Ok(std::mem::take(&mut new.name))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.room.borrow_mut().remove(&self.name).is_some() {
            tell_others(self.room, &self.name, &format!("* {} has left", self.name));
        }
    }
}

/// The next line without its end, made fit for a terminal. `None` is the end of the connection.
async fn read_line(stream: &TcpStream) -> io::Result<Option<String>> {
    loop {
        let line = stream.read_with(|bytes| {
            let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
            match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, Some(readable(&bytes[..end]))),
                None if bytes.len() == LONGEST_LINE => (bytes.len(), Some(readable(bytes))),
                None => (0, None),
            }
        });
        match line.await? {
            None => return Ok(None),
            Some(None) => {} // not whole yet: the bytes are kept
            Some(line) => return Ok(line),
        }
    }
}

/// Whatever bytes come, without what would move a terminal's cursor.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|character| !character.is_control()).collect()
}

async fn write_lines(mut stream: &TcpStream, mut lines: mpsc::Receiver<Rc<str>>, missed: &Cell<u64>) -> io::Result<()> {
    while let Some(line) = lines.next().await {
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let missed = missed.take();
        if missed > 0 {
            stream.write_all(format!("* you were too slow for {missed} lines\n").as_bytes()).await?;
        }
    }
    Ok(())
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = listen(&options.addr).await?;
    let room = Room::default();
    until_interrupted(async {
        loop {
            let (stream, _) = listener.accept().await?;
            spawn(attend(stream, room.clone()));
        }
    })
    .await?;
    say("the room is closed");
    Ok(())
}

/// A chat room, until Ctrl-C.
#[derive(Parser)]
#[command(name = "chat", after_help = "Try it: `nc 127.0.0.1 7008` in two terminals. The first line is your name.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7008", value_parser = address)]
    addr: String,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
