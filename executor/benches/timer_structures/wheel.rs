//! A hierarchical timing wheel, as Varghese and Lauck's and tokio's: six levels of 64 slots, a tick of a millisecond.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::TimerTable;

const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// All six levels, in ticks: somewhat over two years. What is further away goes round the top level again.
const RANGE: u64 = 1 << (SLOT_BITS * LEVELS as u32);
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

struct Entry {
    /// The tick at which it is due.
    when: u64,
    waker: Option<Waker>,
    generation: u32,
    /// The neighbours in the list of its slot; in a free entry, `next` is the next free one.
    next: u32,
    previous: u32,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY: List = List { head: NONE, tail: NONE };

pub(crate) struct Wheel {
    base: Instant,
    /// The tick up to which everything has fired.
    elapsed: u64,
    occupied: [u64; LEVELS],
    lists: [[List; SLOTS]; LEVELS],
    entries: Vec<Entry>,
    free: u32,
}

/// How many ticks one slot of a level spans, as a power of two.
fn shift(level: usize) -> u32 {
    level as u32 * SLOT_BITS
}

impl Wheel {
    /// The level and the slot where `when` belongs, seen from `elapsed`: the highest of its six-bit digits in which
    /// the two differ. It stays the same until that slot is opened.
    fn slot_of(&self, when: u64) -> (usize, usize) {
        let differ = (self.elapsed ^ when).min(RANGE - 1);
        let level = (differ.checked_ilog2().unwrap_or(0) / SLOT_BITS) as usize;
        (level, ((when >> shift(level)) % SLOTS as u64) as usize)
    }

    fn link(&mut self, index: u32) {
        let (level, slot) = self.slot_of(self.entries[index as usize].when);
        let list = &mut self.lists[level][slot];
        let previous = std::mem::replace(&mut list.tail, index);
        match previous {
            NONE => list.head = index,
            previous => self.entries[previous as usize].next = index,
        }
        let entry = &mut self.entries[index as usize];
        (entry.previous, entry.next) = (previous, NONE);
        self.occupied[level] |= 1 << slot;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { when, next, previous, .. } = self.entries[index as usize];
        let (level, slot) = self.slot_of(when);
        let list = &mut self.lists[level][slot];
        match previous {
            NONE => list.head = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => list.tail = previous,
            next => self.entries[next as usize].previous = previous,
        }
        if list.head == NONE {
            self.occupied[level] &= !(1 << slot);
        }
    }

    fn release(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = std::mem::replace(&mut self.free, index);
        entry.waker.take()
    }

    /// When a slot is to be opened next, and which. One of a lower level always comes before those above it.
    fn next_slot(&self) -> Option<(u64, usize, usize)> {
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        // Above the lowest level, the current slot is open already; what stands in it is meant a whole round later.
        let first = (self.elapsed >> shift(level)) + u64::from(level > 0);
        let ahead = self.occupied[level].rotate_right((first % SLOTS as u64) as u32).trailing_zeros();
        let slot = first + u64::from(ahead);
        Some((slot << shift(level), level, (slot % SLOTS as u64) as usize))
    }

    fn nanos(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.base).as_nanos()
    }
}

impl TimerTable for Wheel {
    const NAME: &'static str = "wheel";
    const TICK: Duration = Duration::from_millis(1);
    type Key = Key;

    fn new(base: Instant) -> Self {
        Self {
            base,
            elapsed: 0,
            occupied: [0; LEVELS],
            lists: [[EMPTY; SLOTS]; LEVELS],
            entries: Vec::new(),
            free: NONE,
        }
    }

    fn set(&mut self, deadline: Instant, waker: Waker) -> Key {
        let when = (self.nanos(deadline).div_ceil(Self::TICK.as_nanos()) as u64).max(self.elapsed);
        let index = if self.free == NONE {
            self.entries.push(Entry { when, waker: Some(waker), generation: 0, next: NONE, previous: NONE });
            self.entries.len() as u32 - 1
        } else {
            let index = self.free;
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            (entry.when, entry.waker) = (when, Some(waker));
            index
        };
        self.link(index);
        Key { index, generation: self.entries[index as usize].generation }
    }

    fn remove(&mut self, key: Key) -> Option<Waker> {
        if self.entries[key.index as usize].generation != key.generation {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
    }

    /// When the next slot is to be opened: not later than the next timer, but maybe earlier.
    fn next_deadline(&self) -> Option<Instant> {
        let (opens, ..) = self.next_slot()?;
        Some(self.base + Duration::from_millis(opens))
    }

    fn take_due(&mut self, now: Instant, out: &mut Vec<Waker>) {
        let now = (self.nanos(now) / Self::TICK.as_nanos()) as u64;
        while let Some((opens, level, slot)) = self.next_slot().filter(|(opens, ..)| *opens <= now) {
            self.elapsed = opens;
            let mut index = std::mem::replace(&mut self.lists[level][slot], EMPTY).head;
            self.occupied[level] &= !(1 << slot);
            while index != NONE {
                let Entry { when, next, .. } = self.entries[index as usize];
                if when <= opens {
                    out.extend(self.release(index));
                } else {
                    self.link(index);
                }
                index = next;
            }
        }
        self.elapsed = self.elapsed.max(now);
    }
}
