//! A key-value server that Redis's clients talk to.
//!
//! ```text
//! cargo run --release --example kv
//! redis-cli -p 6380                               # set frog pond, get frog, expire frog 10, subscribe news, …
//! redis-benchmark -p 6380 -t set,get -P 16 -q     # 50 connections, 16 commands at once on each
//! ```
//!
//! What to look at: what is Redis about it stands in `src/kv/`, and knows neither sockets nor clocks. Here is the rest:
//! `answer` reads into the buffer that the runtime lends, executes every whole command in it, and writes all replies at
//! once, so a hundred commands that arrive together cost one `read` and one `write`, and a connection that waits holds no
//! buffer. All connections share one `RefCell`. A big pipeline is cut into turns, so that others come between them.
//! Publishing never waits: messages stand in a bounded queue, and a subscriber who is too slow for it is cut off. Ctrl-C
//! drains: commands that have begun are finished, then every connection is closed.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use clap::Parser;
use futures::AsyncWriteExt;
use futures::future::{Either, select};
use pollywog_examples::kv::{Db, Next, Session, Turn};
use pollywog_examples::{address, at_least_one, interrupted, listen, say, warn};
use pollywog_net::server::{Connection, Server};
use pollywog_net::{spawn, task, time};

/// How often keys that have expired are looked for, and how many are taken out at once.
const SWEEP: Duration = Duration::from_millis(100);
const SWEPT: usize = 1_000;
/// Bytes of messages that are written at once.
const MESSAGES: usize = 64 << 10;
/// A buffer that became larger for one reply is not kept.
const LARGEST_KEPT: usize = 1 << 20;
/// How long the end of a connection waits for the peer to read the last reply.
const LINGER: Duration = Duration::from_secs(1);
/// After this time of silence the system asks whether the peer is still there, and again until it has an answer or gives
/// up: a subscriber may have nothing to say for days, and one whose machine is gone does not say so.
const SILENCE: Duration = Duration::from_secs(300);
const PROBES: Duration = Duration::from_secs(30);
/// How long a peer that sends without end is answered when the server ends.
const LAST: Duration = Duration::from_secs(1);

/// What all connections share.
struct Shared {
    db: RefCell<Db>,
    /// The replies of one turn: they are gone before the next turn of anybody.
    replies: RefCell<BytesMut>,
}

/// A connection, which leaves the database however it ends.
struct Guest {
    connection: Connection,
    shared: Rc<Shared>,
    session: Session,
    /// What the socket did not take at once.
    rest: BytesMut,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.db.borrow_mut().leave(&mut self.session);
    }
}

/// What a connection waited for.
enum Event {
    Answered(Turn),
    Message,
    /// The peer has said all.
    End,
    /// The server ends.
    Told,
}

impl Guest {
    /// Reads, executes, and writes what the socket takes at once, whose result is the inner one. `None` is the end of the
    /// connection.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<io::Result<Turn>>>> {
        let Self { connection, shared, session, rest } = self;
        connection.poll_read_with(cx, |bytes| {
            let mut replies = shared.replies.borrow_mut();
            let mut db = shared.db.borrow_mut();
            // One clock for whatever is asked in a turn of the loop.
            let turn = session.turn(bytes, &mut db, &mut replies, time::coarse_now());
            let wakers = db.wakers();
            drop(db);
            let result = write_now(connection, &mut replies, rest);
            drop(replies);
            for waker in wakers {
                waker.wake();
            }
            (turn.consumed, result.map(|()| turn))
        })
    }

    /// Waits for commands and answers them; for a subscriber, waits for messages, too. Those come first, since they
    /// were published before whatever is executed next.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if let Some(outbox) = self.session.outbox()
            && let Poll::Ready(result) = outbox.poll_message(cx)
        {
            return Poll::Ready(result.map(|()| Event::Message).map_err(io::Error::other));
        }
        Poll::Ready(match ready!(self.poll_answer(cx))? {
            Some(answered) => answered.map(Event::Answered),
            None => Ok(Event::End),
        })
    }

    /// Writes the rest of the replies. A subscriber who is cut off does not get them any more.
    async fn flush(&mut self) -> io::Result<()> {
        let rest = mem::take(&mut self.rest);
        let mut connection = &self.connection;
        let writing = connection.write_all(&rest);
        let Some(outbox) = self.session.outbox() else { return writing.await };
        match select(pin!(poll_fn(|cx| outbox.poll_too_slow(cx))), writing).await {
            Either::Left((too_slow, _)) => Err(io::Error::other(too_slow)),
            Either::Right((result, _)) => result,
        }
    }

    /// The last reply has to arrive: closing while the peer still sends would reset the connection, and with it what the
    /// peer has not read yet.
    async fn linger(&mut self) -> io::Result<()> {
        let mut connection = &self.connection;
        connection.close().await?;
        // Into the buffer that is lent: one in here would be a part of every connection's memory.
        let discard = async { while let Ok(Some(())) = connection.read_with(|bytes| (bytes.len(), ())).await {} };
        let _ = time::timeout(LINGER, discard).await;
        Ok(())
    }
}

/// Writes what the socket takes at once. The rest is left in `rest`, and the buffer is empty then.
fn write_now(connection: &Connection, replies: &mut BytesMut, rest: &mut BytesMut) -> io::Result<()> {
    let result = match connection.try_write(replies) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    };
    match result {
        Ok(count) if count < replies.len() => {
            replies.advance(count);
            *rest = mem::take(replies);
        }
        _ if replies.capacity() > LARGEST_KEPT => *replies = BytesMut::new(),
        _ => replies.clear(),
    }
    result.map(drop)
}

async fn attend(connection: Connection, shared: Rc<Shared>) -> io::Result<()> {
    connection.get_ref().set_nodelay(true)?;
    connection.get_ref().set_keepalive_times(SILENCE, PROBES)?;
    let shutdown = connection.shutdown_token().clone();
    let mut told = pin!(shutdown.cancelled());
    let session = shared.db.borrow_mut().join();
    let mut guest = Guest { connection, shared, session, rest: BytesMut::new() };
    let (mut next, mut last) = (Next::Wait, None);
    loop {
        let event = poll_fn(|cx| match guest.poll_event(cx) {
            // A command that has begun is finished first.
            Poll::Pending if next != Next::WaitForRest => told.as_mut().poll(cx).map(|()| Ok(Event::Told)),
            event => event,
        });
        match event.await? {
            Event::Answered(turn) => {
                next = turn.next;
                // Who always has one more command is let go too, behind one that is whole.
                if shutdown.is_cancelled() && turn.consumed > 0 {
                    let now = time::now();
                    next = if now < *last.get_or_insert(now + LAST) { next } else { Next::Close };
                }
            }
            Event::Message => {
                guest.session.outbox().into_iter().for_each(|outbox| outbox.take(&mut guest.rest, MESSAGES))
            }
            Event::End => return Ok(()),
            Event::Told => next = Next::Close,
        }
        if !guest.rest.is_empty() {
            guest.flush().await?;
        }
        match next {
            Next::Wait | Next::WaitForRest => {}
            Next::GoOn => task::yield_now().await,
            Next::Close => return guest.linger().await,
        }
    }
}

/// Gives back the memory of keys that nobody asks for any more. While no key expires it sets no timer: a server that has
/// nothing to do sleeps, and one that is busy falls asleep without a timer to set.
async fn sweep(shared: Rc<Shared>) {
    loop {
        poll_fn(|cx| shared.db.borrow_mut().poll_sweep(cx)).await;
        let there_are_more = shared.db.borrow_mut().sweep(SWEPT, time::now());
        if there_are_more {
            task::yield_now().await;
        } else {
            time::sleep(SWEEP).await;
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let server = Server::new(listen(&options.addr).await?).max_connections(options.max_connections);
    let server = match options.idle_timeout {
        0 => server,
        seconds => server.idle_timeout(Duration::from_secs(seconds)),
    };
    let db = RefCell::new(Db::new(options.max_memory, time::now()));
    let shared = Rc::new(Shared { db, replies: RefCell::default() });
    spawn(sweep(shared.clone()));
    let status = server.status();
    let drained = server.serve_until(interrupted, |connection| attend(connection, shared.clone())).await?;
    for left in drained.left() {
        warn(format_args!("{} was cut off in the middle of a command", left.peer));
    }
    say(format_args!("served {} connections", status.accepted()));
    Ok(())
}

/// A number of bytes: `1000`, `64kb`, `100mb`, `2gb`.
fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(1_usize),
        "kb" => Some(1 << 10),
        "mb" => Some(1 << 20),
        "gb" => Some(1 << 30),
        _ => None,
    };
    let bytes = digits.parse().ok().zip(unit).and_then(|(number, unit): (usize, usize)| number.checked_mul(unit));
    bytes.ok_or("a number of bytes is written like 1000, 64kb, 100mb, 2gb".to_owned())
}

/// A key-value server that Redis's clients talk to, until Ctrl-C.
#[derive(Parser)]
#[command(name = "kv", after_help = "Try it: `redis-cli -p 6380`, and `set frog pond`, `get frog`.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6380", value_parser = address)]
    addr: String,

    /// How many connections are served at once; others wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    max_connections: usize,

    /// Seconds until a connection is closed on which nothing moves; 0 is never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    idle_timeout: u64,

    /// What keys and values may take, and as much again commands that are not whole; more is refused
    #[arg(long, value_name = "BYTES", default_value = "1gb", value_parser = bytes)]
    max_memory: usize,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
