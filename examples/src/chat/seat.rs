//! A member's name and place; leaving.

use std::mem;

use super::bridge::Listening;
use super::event::Event;
use super::hall::{Busy, Hall};
use super::lines::is_word;
use super::member::Member;

/// A name, and a place in a room. Dropping it leaves the room and frees the name, however the connection ended.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    hall: &'a Hall,
    member: &'a Member,
    name: String,
    place: Option<Place<'a>>,
}

#[derive(Debug)]
struct Place<'a> {
    room: String,
    /// Keeps this node listening to what happens there on others.
    _listening: Option<Listening<'a>>,
}

impl<'a> Seat<'a> {
    /// Takes a name, and no place yet.
    pub(super) fn take(hall: &'a Hall, member: &'a Member, name: &str) -> Result<Self, &'static str> {
        let name = word(name).ok_or("a name is one word of at most 24 bytes")?;
        if !hall.take_name(name) {
            return Err("that name is taken");
        }
        Ok(Self { hall, member, name: name.to_owned(), place: None })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn room(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.room)
    }

    /// Leaves the room for another one. It waits until what is said there on other nodes is heard here.
    ///
    /// # Cancel safety
    ///
    /// The place is still the old one.
    pub(super) async fn join(&mut self, room: &str) -> Result<(), &'static str> {
        let room = word(room).ok_or("a room is one word of at most 24 bytes")?;
        if room == self.room() {
            return Err("you are there");
        }
        let listening = match self.hall.bridge() {
            Some(bridge) => Some(bridge.listen(room).await),
            None => None,
        };
        self.leave();
        self.hall.enter(room, &self.name, self.member);
        self.hall.happened(room, &self.name, self.member, Event::Here);
        self.place = Some(Place { room: room.to_owned(), _listening: listening });
        Ok(())
    }

    /// Goes by another name from now on.
    pub(super) fn rename(&mut self, name: &str) -> Result<(), &'static str> {
        // What is dropped at the end has the old name then, and frees it.
        let mut old = Self::take(self.hall, self.member, name)?;
        mem::swap(&mut self.name, &mut old.name);
        self.hall.rename(self.room(), &old.name, &self.name);
        self.hall.happened(self.room(), &old.name, self.member, Event::Is(self.name.clone()));
        Ok(())
    }

    pub(super) fn say(&self, text: String) -> Result<(), Busy> {
        self.hall.say(self.room(), &self.name, self.member, text)
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.hall.leave(&place.room, &self.name);
            self.hall.happened(&place.room, &self.name, self.member, Event::Left);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.leave();
        self.hall.free_name(&self.name);
    }
}

fn word(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|word| is_word(word))
}
