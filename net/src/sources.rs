//! The table of registered sources: for each direction, what is known of its readiness, and who waits for it.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::task::Waker;

use mio::event::Event;
use pollywog_executor::driver::{ExecutorId, Key, Sequence, Slots, TaskId};

use crate::interest::Ready;
use crate::registration::Outcome;
use crate::source::{Io, Left};
use crate::waiter::Waiter;

/// One of the two directions of a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

use Direction::{Read, Write};

impl Direction {
    pub(crate) fn other(self) -> Self {
        match self {
            Read => Write,
            Write => Read,
        }
    }
}

/// Which of the waiters of a direction: the `poll_*` methods share one place and the latest waker wins, a future that
/// waits has one of its own, whose number does not come again.
pub(crate) type Place = u64;

/// The place of the `poll_*` methods.
pub(crate) const POLL: Place = 0;

#[derive(Default)]
struct Side {
    ready: Ready,
    /// More waiters than one: the others are in the [`Crowd`].
    is_crowded: bool,
    /// How many events there were, wrapping around: tells an old readiness from a new one.
    events: u32,
    place: Place,
    waker: Option<Waker>,
}

/// The second waiter of a direction and those after it: seldom, so not a part of every entry.
type Crowd = HashMap<(Key, Direction), Vec<(Place, Waker)>>;

impl Side {
    /// The kernel said 'would block': what was reported is used up, and any change brings a new edge.
    fn would_block(&mut self, used_up: Ready) {
        self.ready = self.ready - used_up;
    }

    /// The operation has drained the direction, which it will not do again without a new edge; unless it was closed,
    /// failed, or met urgent data: then only trying tells.
    #[inline]
    fn drained(&mut self, direction: Direction) {
        if self.ready == Ready::open(direction) {
            self.ready = Ready::EMPTY;
        }
    }

    #[inline]
    fn take_waiters(&mut self, crowd: &mut Crowd, key: Key, direction: Direction, mut each: impl FnMut(Waker)) {
        if let Some(waker) = self.waker.take() {
            each(waker);
        }
        if mem::take(&mut self.is_crowded) {
            for (_, waker) in crowd.remove(&(key, direction)).into_iter().flatten() {
                each(waker);
            }
        }
    }
}

#[derive(Default)]
struct Entry {
    sides: [Side; 2],
}

/// What every operation looks at comes first: it is in cache together.
#[repr(C)]
pub(crate) struct Sources {
    places: Place,
    slots: Slots<Entry>,
    pub(crate) sequence: Sequence,
    crowd: Crowd,
}

impl Sources {
    pub(crate) fn new(executor: ExecutorId, sequence: Sequence) -> Self {
        Self { places: POLL, slots: Slots::new(executor), sequence, crowd: HashMap::new() }
    }

    /// A new entry: `blocked` has just said 'would block', the other direction may be tried.
    pub(crate) fn insert(&mut self, blocked: Direction) -> Option<Key> {
        let mut entry = Entry::default();
        let free = blocked.other();
        entry.sides[free as usize].ready = Ready::open(free);
        self.slots.insert(self.sequence.advance(), entry).ok()
    }

    /// Frees an entry. Its wakers are given back, to be woken or dropped with nothing borrowed.
    #[must_use]
    pub(crate) fn remove(&mut self, key: Key) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for direction in [Read, Write] {
            self.take_waiters(key, direction, |waker| wakers.push(waker));
        }
        self.slots.remove(key);
        wakers
    }

    #[inline]
    fn side(&mut self, key: Key, direction: Direction) -> Option<&mut Side> {
        self.slots.get_mut(key).map(|entry| &mut entry.sides[direction as usize])
    }

    /// Whether the key names a source of this table.
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.slots.get(key).is_some()
    }

    /// What is known of a direction: of a stale key nothing.
    #[inline]
    pub(crate) fn ready(&self, key: Key, direction: Direction) -> Option<Ready> {
        self.slots.get(key).map(|entry| entry.sides[direction as usize].ready)
    }

    /// Whether an operation of `direction` is worth a try. Nobody knows anything of a stale key: the operation tells.
    pub(crate) fn is_worth_a_try(&self, key: Key, direction: Direction, waiter: Option<&Waiter>) -> bool {
        let Some(ready) = self.ready(key, direction) else { return true };
        let is_worth_it = !(ready & Ready::of_operation(direction)).is_empty();
        // What made it ready has taken out whoever waited.
        if let Some(waiter) = waiter.filter(|_| is_worth_it) {
            waiter.taken_out(key);
        }
        is_worth_it
    }

    /// Runs `operation` if it is worth a try, and notes what it says. Where it would block, `task` waits. `None` where the
    /// key is stale.
    #[inline(always)]
    pub(crate) fn attempt<S: Io, R>(
        &mut self,
        key: Key,
        direction: Direction,
        waiter: Option<&Waiter>,
        task: TaskId,
        mut operation: impl FnMut() -> io::Result<Left<R>>,
    ) -> Option<Outcome<R>> {
        let side = &mut self.slots.get_mut(key)?.sides[direction as usize];
        if !(side.ready & Ready::of_operation(direction)).is_empty() {
            // What made it ready has taken out whoever waited.
            if let Some(waiter) = waiter {
                waiter.taken_out(key);
            }
            loop {
                match operation() {
                    Ok(Left::Maybe(result)) => return Some(Outcome::Done(Ok(result))),
                    Ok(Left::Nothing(result)) => {
                        if S::SHORT_MEANS_DRAINED {
                            side.drained(direction);
                        }
                        return Some(Outcome::Done(Ok(result)));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Some(Outcome::Done(Err(error))),
                }
            }
            side.would_block(Ready::of_operation(direction));
        }
        let place = match waiter {
            None => POLL,
            Some(waiter) => waiter.park(key, || {
                self.places += 1;
                self.places
            }),
        };
        if side.is_crowded || (side.waker.is_some() && side.place != place) {
            return Some(Outcome::Waits { displaced: self.wait(key, direction, place, &mut Some(task.waker())) });
        }
        side.place = place;
        Some(Outcome::Waits { displaced: side.waker.replace(task.waker()) })
    }

    /// How many events a direction has had.
    pub(crate) fn events(&self, key: Key, direction: Direction) -> u32 {
        self.slots.get(key).map_or(0, |entry| entry.sides[direction as usize].events)
    }

    /// See [`Side::would_block`].
    pub(crate) fn would_block(&mut self, key: Key, direction: Direction, used_up: Ready) {
        if let Some(side) = self.side(key, direction) {
            side.would_block(used_up);
        }
    }

    /// See [`Side::drained`].
    pub(crate) fn drained(&mut self, key: Key, direction: Direction) {
        if let Some(side) = self.side(key, direction) {
            side.drained(direction);
        }
    }

    /// A place that nobody had.
    pub(crate) fn next_place(&mut self) -> Place {
        self.places += 1;
        self.places
    }

    /// Stores who waits, taking `waker` unless the key is stale. What was there is given back, to be dropped with
    /// nothing borrowed.
    pub(crate) fn wait(
        &mut self,
        key: Key,
        direction: Direction,
        place: Place,
        waker: &mut Option<Waker>,
    ) -> Option<Waker> {
        let side = &mut self.slots.get_mut(key)?.sides[direction as usize];
        let waker = waker.take()?;
        // Before the first place, which may be free again: nobody stands in two.
        if side.is_crowded
            && let Some(crowd) = self.crowd.get_mut(&(key, direction))
            && let Some((_, old)) = crowd.iter_mut().find(|(other, _)| *other == place)
        {
            return Some(mem::replace(old, waker));
        }
        if side.waker.is_none() || side.place == place {
            side.place = place;
            return side.waker.replace(waker);
        }
        side.is_crowded = true;
        self.crowd.entry((key, direction)).or_default().push((place, waker));
        None
    }

    /// A future that waited is gone. Its waker is given back.
    pub(crate) fn leave(&mut self, key: Key, direction: Direction, place: Place) -> Option<Waker> {
        let side = self.side(key, direction)?;
        if side.place == place && side.waker.is_some() {
            return side.waker.take();
        }
        if !side.is_crowded {
            return None;
        }
        let crowd = self.crowd.get_mut(&(key, direction))?;
        let position = crowd.iter().position(|(other, _)| *other == place)?;
        Some(crowd.swap_remove(position).1)
    }

    /// Whether somebody waits for a direction through the `poll_*` methods.
    pub(crate) fn is_polled(&self, key: Key, direction: Direction) -> bool {
        let is_polled = |side: &Side| side.place == POLL && side.waker.is_some();
        let entry = self.slots.get(key);
        entry.is_some_and(|entry| is_polled(&entry.sides[direction as usize]))
            || self.crowd.get(&(key, direction)).is_some_and(|crowd| crowd.iter().any(|(place, _)| *place == POLL))
    }

    /// Takes out everybody who waits for a direction.
    pub(crate) fn take_waiters(&mut self, key: Key, direction: Direction, each: impl FnMut(Waker)) {
        if let Some(entry) = self.slots.get_mut(key) {
            entry.sides[direction as usize].take_waiters(&mut self.crowd, key, direction, each);
        }
    }

    /// Takes out everybody, at the end of the runtime.
    pub(crate) fn take_all_waiters(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for entry in self.slots.values_mut() {
            wakers.extend(entry.sides.iter_mut().filter_map(|side| side.waker.take()));
        }
        wakers.extend(self.crowd.drain().flat_map(|(_, crowd)| crowd).map(|(_, waker)| waker));
        wakers
    }

    /// Takes in one event. `false` where its token names no source, or one that was there before.
    pub(crate) fn event(&mut self, event: &Event, mut each: impl FnMut(Waker)) -> bool {
        let Some(key) = Key::from_u64(event.token().0 as u64) else { return false };
        let Some(entry) = self.slots.get_mut(key) else { return false };
        for direction in [Read, Write] {
            let news = Ready::of(event, direction);
            if !news.is_empty() {
                let side = &mut entry.sides[direction as usize];
                side.ready = side.ready | news;
                side.events = side.events.wrapping_add(1);
                side.take_waiters(&mut self.crowd, key, direction, &mut each);
            }
        }
        true
    }

    /// How many sources are registered.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}
