//! What is on its way through Redis.
//!
//! A line that a member says is published, and told to those of this node when it comes back: Redis puts the lines of all
//! nodes into one order, and everybody reads them in it. What has not come back when the connections break is told to
//! those of this node then. So each of them reads a line once, and its author learns whether others may have missed it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use futures::channel::{mpsc, oneshot};

use super::channels::Channels;
use super::event::{Notice, Told};

/// Lines that may be on their way: what a node remembers while Redis is slow.
pub(super) const ON_THE_WAY: usize = 1_024;

/// To the rooms of other nodes.
#[derive(Debug)]
pub struct Bridge {
    /// What this node calls itself.
    node: String,
    /// Tells notices of this process from those of all others: chosen at random.
    process: u64,
    state: RefCell<State>,
    pub(super) channels: Channels,
}

#[derive(Debug, Default)]
struct State {
    /// To the connection that publishes, while the bridge stands.
    queue: Option<mpsc::Sender<Command>>,
    /// What was published and has not come back, with the numbers of the notices.
    on_the_way: VecDeque<(u64, Told)>,
    /// How many notices were published.
    count: u64,
}

/// Something to ask of Redis.
#[derive(Debug)]
pub(super) enum Command {
    Publish {
        room: String,
        text: String,
    },
    /// Asks how many nodes listen to the room.
    Nodes {
        room: String,
        answer: oneshot::Sender<u64>,
    },
    /// Asks for a sign of life.
    Ping,
}

/// Why something is not published.
#[derive(Debug)]
pub(super) enum Refused {
    Full,
    Unreachable,
}

impl Bridge {
    /// One that does not stand yet: a [`Link`](super::Link) builds it. `node` follows the names of this node's members
    /// where others read them.
    pub fn new(node: String) -> Self {
        Self {
            node,
            process: RandomState::new().build_hasher().finish(),
            state: RefCell::default(),
            channels: Channels::default(),
        }
    }

    pub(super) fn stands(&self) -> bool {
        self.state.borrow().queue.is_some()
    }

    /// Publishes what a member does, and keeps it until it comes back; or gives it back at once.
    pub(super) fn publish(&self, name: &str, told: Told) -> Result<(), (Refused, Told)> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(queue) = &mut state.queue else { return Err((Refused::Unreachable, told)) };
        if state.on_the_way.len() >= ON_THE_WAY {
            return Err((Refused::Full, told));
        }
        let (process, number, node) = (self.process, state.count, self.node.clone());
        let notice = Notice { process, number, node, name: name.to_owned(), event: told.event.clone() };
        let sent = queue.try_send(Command::Publish { room: told.room.clone(), text: notice.text() });
        // Where the connection has just broken, it is told after what was on its way before.
        if sent.is_err_and(|error| error.is_full()) {
            return Err((Refused::Full, told));
        }
        state.on_the_way.push_back((number, told));
        state.count += 1;
        Ok(())
    }

    /// Whether a notice is of this node, and if so, what is to be told here: nothing, if that was done already.
    pub(super) fn is_back(&self, notice: &Notice) -> Option<Option<Told>> {
        if notice.process != self.process {
            return None;
        }
        let on_the_way = &mut self.state.borrow_mut().on_the_way;
        let position = on_the_way.iter().position(|(number, _)| *number == notice.number);
        Some(position.and_then(|position| on_the_way.remove(position)).map(|(_, told)| told))
    }

    /// How many nodes share a room, this one among them. `None` while the bridge is down.
    pub(super) async fn nodes(&self, room: &str) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Nodes { room: room.to_owned(), answer };
        self.state.borrow_mut().queue.as_mut()?.try_send(command).ok()?;
        answered.await.ok()
    }

    /// From now on, what is said goes into `queue`. Without one, the bridge does not stand.
    pub(super) fn publish_into(&self, queue: Option<mpsc::Sender<Command>>) {
        self.state.borrow_mut().queue = queue;
    }

    pub(super) fn count_on_the_way(&self) -> usize {
        self.state.borrow().on_the_way.len()
    }

    /// What has been on its way for longest. Who takes it tells it: when it comes back, nothing is to be told.
    pub(super) fn next_on_the_way(&self) -> Option<Told> {
        self.state.borrow_mut().on_the_way.pop_front().map(|(_, told)| told)
    }

    /// The connections are broken: nothing is published, and Redis knows of no room.
    pub(super) fn tear_down(&self) {
        self.publish_into(None);
        self.channels.forget();
    }

    /// Listens to a room until what it gives is dropped. It waits until nothing is missed there, or Redis is gone.
    pub(super) async fn listen(&self, room: &str) -> Listening<'_> {
        let confirmed = self.channels.enter(room);
        let listening = Listening { bridge: self, room: room.to_owned() };
        // Where the bridge does not stand, what is said goes no further than this node. An error is that it broke.
        if self.stands()
            && let Some(confirmed) = confirmed
        {
            let _ = confirmed.await;
        }
        listening
    }
}

/// A room that this node listens to, until the last of these is dropped.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    bridge: &'a Bridge,
    room: String,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if self.bridge.channels.leave(&self.room) {
            // Nobody is left to whom it could be told.
            let on_the_way = &mut self.bridge.state.borrow_mut().on_the_way;
            on_the_way.retain(|(_, told)| told.room != self.room);
        }
    }
}
