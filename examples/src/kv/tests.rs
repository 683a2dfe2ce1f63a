//! The core without a socket: what each command answers, in pieces or not, and what no input can do.

mod bounds;
mod commands;
mod garbage;
mod subscribers;
mod time;

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::{Db, Next, Session};

/// A database with one connection, and a clock that stands still.
struct Alone {
    db: Db,
    session: Session,
    now: Instant,
}

impl Alone {
    fn new() -> Self {
        Self::with_memory(64 << 20)
    }

    fn with_memory(bytes: usize) -> Self {
        let now = Instant::now();
        let mut db = Db::new(bytes, now);
        let session = db.join();
        Self { db, session, now }
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// The replies to `input`, which comes in one piece.
    fn ask(&mut self, input: impl AsRef<[u8]>) -> String {
        let (replies, _) = self.ask_in_pieces(&[input.as_ref()]);
        String::from_utf8_lossy(&replies).into_owned()
    }

    /// The replies to pieces that come one after the other, and what the connection does then.
    fn ask_in_pieces(&mut self, pieces: &[&[u8]]) -> (BytesMut, Next) {
        let (mut unread, mut replies, mut next) = (Vec::new(), BytesMut::new(), Next::Wait);
        for piece in pieces {
            unread.extend_from_slice(piece);
            loop {
                let mut out = BytesMut::new();
                let turn = self.session.turn(&unread, &mut self.db, &mut out, self.now);
                unread.drain(..turn.consumed);
                replies.extend_from_slice(&out);
                next = turn.next;
                match next {
                    Next::GoOn => {}
                    Next::Wait | Next::WaitForRest => break,
                    Next::Close => return (replies, next),
                }
            }
        }
        (replies, next)
    }
}

/// A command as clients send it.
fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
