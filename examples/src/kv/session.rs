//! One connection: what it reads becomes what it writes.

use std::collections::BTreeSet;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use bytes::BytesMut;

use super::db::Db;
use super::decode::Decoder;
use super::execute::execute;
use super::memory::Full;
use super::outbox::Outbox;
use super::reply::{Reply, encode};

/// Commands in a turn: with more, others come first.
const COMMANDS: usize = 256;
/// Bytes of replies in a turn: these are written before there are more.
const REPLIES: usize = 64 << 10;

/// Bytes of a command that is not whole which every connection may have.
const FREE: usize = 16 << 10;

/// One connection.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    /// What it has of a command that is not whole, beyond [`FREE`].
    unfinished: usize,
    pub(super) client: Client,
}

/// What a command may know and change of its connection.
#[derive(Debug)]
pub struct Client {
    pub(super) id: u64,
    pub(super) name: Vec<u8>,
    /// It said goodbye.
    pub(super) leaves: bool,
    channels: BTreeSet<Rc<[u8]>>,
    outbox: Rc<Outbox>,
}

/// What a turn did.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Turn {
    /// How many of the bytes are done with. The others come again next time, with more behind them.
    pub consumed: usize,
    /// How many commands it was.
    pub commands: usize,
    /// What comes next, once the replies are written.
    pub next: Next,
}

/// What a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for a command.
    Wait,
    /// It waits for the rest of a command, whose beginning it did not consume.
    WaitForRest,
    /// It goes on with the bytes that it did not consume, once others had their turn.
    GoOn,
    /// It ends: nothing more is to be read.
    Close,
}

impl Session {
    pub(super) fn new(id: u64) -> Self {
        let client = Client { id, name: Vec::new(), leaves: false, channels: BTreeSet::new(), outbox: Rc::default() };
        Self { decoder: Decoder::default(), unfinished: 0, client }
    }

    /// Executes the commands in `bytes`, in their order, and writes the replies behind what `out` holds, until no whole
    /// command is left or it has been enough for a turn.
    pub fn turn(&mut self, bytes: &[u8], db: &mut Db, out: &mut BytesMut, now: Instant) -> Turn {
        let (mut consumed, mut commands) = (0, 0);
        let next = loop {
            if commands == COMMANDS || out.len() >= REPLIES {
                break Next::GoOn;
            }
            match self.decoder.decode(&bytes[consumed..]) {
                Ok(Some((args, length))) => {
                    encode(&execute(db, &mut self.client, args, now), out);
                    consumed += length;
                    commands += 1;
                    if self.client.leaves {
                        break Next::Close;
                    }
                }
                Ok(None) if consumed == bytes.len() => break Next::Wait,
                Ok(None) => break Next::WaitForRest,
                Err(error) => {
                    encode(&Reply::error(format!("ERR {error}")), out);
                    break Next::Close;
                }
            }
        };
        let unfinished = if next == Next::WaitForRest { (bytes.len() - consumed).saturating_sub(FREE) } else { 0 };
        if unfinished != self.unfinished {
            if db.unfinished.exchange(self.unfinished, unfinished).is_err() {
                encode(&Reply::error("OOM too much has come of commands that are not whole"), out);
                return Turn { consumed, commands, next: Next::Close };
            }
            self.unfinished = unfinished;
        }
        Turn { consumed, commands, next }
    }

    /// Nothing more of it is read.
    pub(super) fn forget(&mut self, db: &mut Db) {
        db.unfinished.release(mem::take(&mut self.unfinished));
        self.client.unsubscribe_all(db);
    }

    /// Where the messages for a subscriber wait; `None` while it is not one.
    pub fn outbox(&self) -> Option<&Rc<Outbox>> {
        self.client.is_subscriber().then_some(&self.client.outbox)
    }
}

impl Client {
    pub(super) fn is_subscriber(&self) -> bool {
        !self.channels.is_empty()
    }

    /// How many channels it listens to.
    pub(super) fn subscriptions(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn subscribe(&mut self, channel: &[u8], db: &mut Db) -> Result<(), Full> {
        if !self.channels.contains(channel) {
            let name = db.channels.subscribe(channel, self.id, &self.outbox, &mut db.store.memory)?;
            self.channels.insert(name);
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, channel: &[u8], db: &mut Db) {
        if self.channels.remove(channel) {
            db.channels.unsubscribe(channel, self.id, &mut db.store.memory);
        }
    }

    /// Gives what it listened to.
    pub(super) fn unsubscribe_all(&mut self, db: &mut Db) -> BTreeSet<Rc<[u8]>> {
        for channel in &self.channels {
            db.channels.unsubscribe(channel, self.id, &mut db.store.memory);
        }
        mem::take(&mut self.channels)
    }
}
