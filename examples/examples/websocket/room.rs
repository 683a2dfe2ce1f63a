//! Who is here, and what they are told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;

use async_tungstenite::tungstenite::Utf8Bytes;
use futures::channel::mpsc;
use serde::Serialize;

/// Messages that wait for a member.
const QUEUE: usize = 64;
const LONGEST_NAME: usize = 24;

/// What members are told, as JSON with the variant's name as `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Told<'a> {
    /// To who has this name from now on.
    Welcome {
        name: &'a str,
        members: Vec<String>,
    },
    /// To who asked for what cannot be.
    Refused {
        reason: &'a str,
    },
    Said {
        from: &'a str,
        text: &'a str,
    },
    Came {
        name: &'a str,
    },
    Renamed {
        from: &'a str,
        name: &'a str,
    },
    Left {
        name: &'a str,
    },
    /// To who reads too slowly: so many messages were not told. Somebody may have come or left meanwhile.
    Missed {
        count: u64,
        members: Vec<String>,
    },
}

impl Told<'_> {
    pub(crate) fn message(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("names and numbers are JSON").into()
    }
}

/// The way to a member.
#[derive(Clone)]
pub(crate) struct Member {
    queue: mpsc::Sender<Utf8Bytes>,
    missed: Rc<Cell<u64>>,
}

impl Member {
    /// With what is to be sent to it, and the number of messages that had no room there.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Utf8Bytes>, Rc<Cell<u64>>) {
        let (queue, messages) = mpsc::channel(QUEUE);
        let missed = Rc::new(Cell::new(0));
        (Self { queue, missed: missed.clone() }, messages, missed)
    }

    /// Never waits: where the queue is full, the message is missed.
    pub(crate) fn tell(&mut self, message: Utf8Bytes) {
        if self.queue.try_send(message).is_err() {
            self.missed.set(self.missed.get() + 1);
        }
    }
}

/// Everybody, by name. All tasks run on one thread, so no lock is needed.
#[derive(Clone, Default)]
pub(crate) struct Room(Rc<RefCell<BTreeMap<String, Member>>>);

impl Room {
    pub(crate) fn members(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }

    pub(crate) fn tell(&self, told: &Told<'_>) {
        self.tell_all_but("", told);
    }

    /// Nobody is in the room any more, and nobody is told of it.
    pub(crate) fn close(&self) {
        drop(self.0.take());
    }

    /// It is made a message once: all queues share its bytes.
    fn tell_all_but(&self, name: &str, told: &Told<'_>) {
        let message = told.message();
        for (other, member) in self.0.borrow_mut().iter_mut() {
            if other != name {
                member.tell(message.clone());
            }
        }
    }

    fn enter(&self, name: &str, member: &Member) -> Result<Seat, &'static str> {
        let is_plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
            return Err("a name is letters and digits, 24 bytes at most");
        }
        let mut members = self.0.borrow_mut();
        if members.contains_key(name) {
            return Err("that name is taken");
        }
        members.insert(name.to_owned(), member.clone());
        Ok(Seat { room: self.clone(), name: name.to_owned() })
    }
}

/// A place in the room. Dropping it leaves the room, however the connection ended.
pub(crate) struct Seat {
    room: Room,
    name: String,
}

impl Seat {
    /// Enters the room.
    ///
    /// # Errors
    ///
    /// What is wrong with the name.
    pub(crate) fn take(room: &Room, name: &str, member: &mut Member) -> Result<Self, &'static str> {
        let seat = room.enter(name, member)?;
        member.tell(Told::Welcome { name, members: room.members() }.message());
        room.tell_all_but(name, &Told::Came { name });
        Ok(seat)
    }

    /// # Errors
    ///
    /// What is wrong with the name.
    pub(crate) fn rename(&mut self, name: &str, member: &mut Member) -> Result<(), &'static str> {
        let mut old = mem::replace(self, self.room.enter(name, member)?);
        let from = mem::take(&mut old.name);
        self.room.0.borrow_mut().remove(&from);
        member.tell(Told::Welcome { name, members: self.room.members() }.message());
        self.room.tell_all_but(name, &Told::Renamed { from: &from, name });
        Ok(())
    }

    pub(crate) fn say(&self, text: &str) {
        if !text.is_empty() {
            self.room.tell(&Told::Said { from: &self.name, text });
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let was_here = self.room.0.borrow_mut().remove(&self.name).is_some();
        if was_here {
            self.room.tell(&Told::Left { name: &self.name });
        }
    }
}
