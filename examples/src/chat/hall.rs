//! The rooms of this node, and who is in them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::rc::Rc;

use pollywog_net::task;

use super::bridge::{Bridge, Refused};
use super::event::{Event, Told};
use super::member::Member;

/// What members are told when Redis is gone.
pub(super) const CUT_OFF: &str = "* the other nodes are out of reach: only those at this one hear you";
/// The last line.
pub(super) const THE_END: &str = "* the server closes";

/// How many are listed in one line.
const LISTED: usize = 30;

/// The members of a room, by name.
type Room = BTreeMap<String, Place>;

/// Where somebody stands in a room.
#[derive(Debug)]
struct Place {
    member: Member,
    /// What comes before one's own arrival, in the order of all nodes, is not for one's ears.
    has_arrived: bool,
}

/// All rooms of this node, and the bridge to those of other nodes. One thread has them, so no lock is needed.
#[derive(Debug, Default)]
pub struct Hall {
    /// Those with members, by name.
    rooms: RefCell<BTreeMap<String, Room>>,
    /// Of members, in whatever room.
    names: RefCell<BTreeSet<String>>,
    bridge: Option<Bridge>,
}

/// Too much is on its way to other nodes already.
#[derive(Debug)]
pub(super) struct Busy;

impl Hall {
    /// Empty rooms. Without a bridge they are those of this node alone.
    pub fn new(bridge: Option<Bridge>) -> Self {
        Self { bridge, ..Self::default() }
    }

    pub(super) fn bridge(&self) -> Option<&Bridge> {
        self.bridge.as_ref()
    }

    /// Other nodes are meant to be heard, and cannot be.
    pub(super) fn is_cut_off(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| !bridge.stands())
    }

    /// `false` where the name is taken.
    pub(super) fn take_name(&self, name: &str) -> bool {
        self.names.borrow_mut().insert(name.to_owned())
    }

    pub(super) fn free_name(&self, name: &str) {
        self.names.borrow_mut().remove(name);
    }

    /// Puts a member into a room: it hears what comes after its arrival there.
    pub(super) fn enter(&self, room: &str, name: &str, member: &Member) {
        let place = Place { member: member.clone(), has_arrived: false };
        self.rooms.borrow_mut().entry(room.to_owned()).or_default().insert(name.to_owned(), place);
    }

    pub(super) fn rename(&self, room: &str, old: &str, new: &str) {
        if let Some(members) = self.rooms.borrow_mut().get_mut(room)
            && let Some(place) = members.remove(old)
        {
            members.insert(new.to_owned(), place);
        }
    }

    pub(super) fn leave(&self, room: &str, name: &str) {
        let mut rooms = self.rooms.borrow_mut();
        if let Some(members) = rooms.get_mut(room) {
            members.remove(name);
            if members.is_empty() {
                rooms.remove(room);
            }
        }
    }

    /// The members of a room, on this node.
    pub(super) fn who(&self, room: &str) -> String {
        let rooms = self.rooms.borrow();
        rooms.get(room).map(|members| listed(members.keys().cloned())).unwrap_or_default()
    }

    /// The rooms of this node, each with the number of its members.
    pub(super) fn rooms(&self) -> String {
        let rooms = self.rooms.borrow();
        listed(rooms.iter().map(|(name, members)| format!("{name} ({})", members.len())))
    }

    /// Tells the others in the room, on all nodes. With a bridge that stands it goes through Redis, also to those of this
    /// node, so that all read everything in one order.
    pub(super) fn say(&self, room: &str, name: &str, member: &Member, text: String) -> Result<(), Busy> {
        let said = Told::new(room, name, member, Event::Said(text));
        match self.send(name, said) {
            Ok(()) => Ok(()),
            Err((Refused::Full, _)) => Err(Busy),
            Err((Refused::Unreachable, said)) => {
                self.tell_here(&said);
                Ok(())
            }
        }
    }

    /// As [`say`](Self::say), for what cannot be refused: those of this node are told in any case.
    pub(super) fn happened(&self, room: &str, name: &str, member: &Member, event: Event) {
        if let Err((_, told)) = self.send(name, Told::new(room, name, member, event)) {
            self.tell_here(&told);
        }
    }

    /// Gives back what does not go through Redis.
    fn send(&self, name: &str, told: Told) -> Result<(), (Refused, Told)> {
        match &self.bridge {
            Some(bridge) => bridge.publish(name, told),
            None => Err((Refused::Unreachable, told)),
        }
    }

    /// Tells those of this node what one of them does.
    pub(super) fn tell_here(&self, told: &Told) {
        let line = told.line.as_str().into();
        self.tell(&told.room, Some(&told.author), &line);
        if told.event == Event::Here
            && let Some(members) = self.rooms.borrow_mut().get_mut(&told.room)
            && let Some(place) = members.values_mut().find(|place| place.member.is(&told.author))
        {
            place.has_arrived = true;
        }
    }

    /// Tells everybody in the room but `author`, on this node.
    pub(super) fn tell(&self, room: &str, author: Option<&Member>, line: &Rc<str>) {
        for Place { member, has_arrived } in self.rooms.borrow().get(room).into_iter().flat_map(BTreeMap::values) {
            if *has_arrived && author.is_none_or(|author| !author.is(member)) {
                member.tell(line.clone());
            }
        }
    }

    /// Tells everybody on this node.
    pub(super) fn tell_all(&self, line: &str) {
        let line: Rc<str> = line.into();
        for place in self.rooms.borrow().values().flat_map(BTreeMap::values) {
            place.member.tell(line.clone());
        }
    }

    /// Tells those of this node what is on its way to all nodes, and gives the authors, each with the number of lines.
    pub(super) async fn tell_what_is_on_the_way(&self) -> Vec<(Member, usize)> {
        let mut said: Vec<(Member, usize)> = Vec::new();
        let Some(bridge) = &self.bridge else { return said };
        let mut waited_for = bridge.count_on_the_way();
        while let Some(told) = bridge.next_on_the_way() {
            self.tell_here(&told);
            let is_said = usize::from(matches!(told.event, Event::Said(_)));
            match said.iter_mut().find(|(member, _)| member.is(&told.author)) {
                Some((_, count)) => *count += is_said,
                None => said.push((told.author, is_said)),
            }
            // Those who listen get their turn. What is said meanwhile comes last, without one, so that there is an end.
            if waited_for > 0 {
                waited_for -= 1;
                task::yield_now().await;
            }
        }
        said
    }

    /// Tells everybody that the end has come, after all that was said, and nothing more.
    pub async fn end(&self) {
        self.tell_what_is_on_the_way().await;
        for place in mem::take(&mut *self.rooms.borrow_mut()).into_values().flat_map(BTreeMap::into_values) {
            place.member.tell(THE_END);
            place.member.close();
        }
    }
}

/// The first of them, and how many more there are: a line has an end, and a member may have many in its queue.
fn listed(mut all: impl ExactSizeIterator<Item = String>) -> String {
    let first: Vec<_> = all.by_ref().take(LISTED).collect();
    let more = if all.len() > 0 { format!(" and {} more", all.len()) } else { String::new() };
    first.join(", ") + &more
}
