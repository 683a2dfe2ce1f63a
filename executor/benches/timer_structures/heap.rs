//! An indexed heap: each timer knows its place in the heap, so it can be taken out of the middle.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::TimerTable;

/// A timer's number above its slot. No two timers have the same, so it is the generation too, and of two timers of
/// one moment the older has the smaller one. Forty bits of number last for a trillion timers; what happens then is
/// that timers of the very same nanosecond change their order, once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
/// How many children an entry has. Two, four and eight were measured; they differ by no more than noise.
const ARITY: usize = 4;
/// No slot.
const NONE: u32 = u32::MAX;

impl Key {
    fn new(sequence: u64, slot: u32) -> Self {
        Self(sequence << SLOT_BITS | u64::from(slot))
    }

    fn slot(self) -> usize {
        (self.0 & SLOT_MASK) as usize
    }
}

/// What is compared stands in the heap itself. The order of the fields is the order of firing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Nanoseconds since the table was made, good for 584 years.
    deadline: u64,
    key: Key,
}

struct Slot {
    /// Where the timer stands in the heap; in a free slot, the next free one.
    position: u32,
    waker: Option<Waker>,
}

pub(crate) struct Heap {
    base: Instant,
    sequence: u64,
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    free: u32,
}

impl Heap {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX)
    }

    fn put(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        self.slots[entry.key.slot()].position = position as u32;
    }

    /// Puts `entry` into the hole at `position`, or above it.
    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            let above = self.entries[parent];
            if above < entry {
                break;
            }
            self.put(position, above);
            position = parent;
        }
        self.put(position, entry);
    }

    /// Puts `entry` into the hole at `position`, or below it.
    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        loop {
            let first = position * ARITY + 1;
            let end = (first + ARITY).min(self.entries.len());
            let Some(least) = (first..end).min_by_key(|&child| self.entries[child]) else { break };
            let below = self.entries[least];
            if entry < below {
                break;
            }
            self.put(position, below);
            position = least;
        }
        self.put(position, entry);
    }

    /// Takes the entry at `position` out; the last one fills the hole.
    fn take(&mut self, position: usize) -> Option<Waker> {
        let taken = self.entries.swap_remove(position);
        if let Some(&moved) = self.entries.get(position) {
            if moved < taken {
                self.sift_up(position, moved);
            } else {
                self.sift_down(position, moved);
            }
        }
        let slot = &mut self.slots[taken.key.slot()];
        slot.position = std::mem::replace(&mut self.free, taken.key.slot() as u32);
        slot.waker.take()
    }
}

impl TimerTable for Heap {
    const NAME: &'static str = "heap";
    const TICK: Duration = Duration::from_nanos(1);
    type Key = Key;

    fn new(base: Instant) -> Self {
        Self { base, sequence: 0, entries: Vec::new(), slots: Vec::new(), free: NONE }
    }

    fn set(&mut self, deadline: Instant, waker: Waker) -> Key {
        let slot = if self.free == NONE {
            self.slots.push(Slot { position: NONE, waker: Some(waker) });
            self.slots.len() as u32 - 1
        } else {
            let number = self.free;
            let slot = &mut self.slots[number as usize];
            self.free = slot.position;
            slot.waker = Some(waker);
            number
        };
        self.sequence += 1;
        let key = Key::new(self.sequence, slot);
        let entry = Entry { deadline: self.nanos(deadline), key };
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry);
        key
    }

    fn remove(&mut self, key: Key) -> Option<Waker> {
        let position = self.slots.get(key.slot())?.position as usize;
        // A stale key stands nowhere in the heap, whatever the position now means.
        if self.entries.get(position)?.key != key {
            return None;
        }
        self.take(position)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.entries.first().map(|first| self.base + Duration::from_nanos(first.deadline))
    }

    fn take_due(&mut self, now: Instant, out: &mut Vec<Waker>) {
        let now = self.nanos(now);
        while self.entries.first().is_some_and(|first| first.deadline <= now) {
            out.extend(self.take(0));
        }
    }
}
