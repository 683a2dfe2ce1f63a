//! The timers of one executor: a heap in which each timer knows its place, so that it can be taken out of the middle.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::key::MAX_SLOTS;

/// How many children an entry of the heap has. Two, four and eight differ by no more than noise.
const ARITY: usize = 4;

const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// 584 years away, and farther.
const NEVER: u64 = u64::MAX;

/// How far the clock may be moved by hand.
const REACH: Duration = Duration::from_secs(500 * 365 * 86_400);

/// A timer's number, above its slot. The number tells the timers of one moment apart, and the older is the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(u64);

impl TimerKey {
    fn slot(self) -> usize {
        (self.0 & SLOT_MASK) as usize
    }
}

/// A timer as the heap holds it; fields in the order of comparison.
///
/// A stale key finds nothing, since the entry at its slot's place is another one: forty bits of number come again after
/// a trillion timers, but then with another deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Nanoseconds since the table was made, or [`NEVER`].
    deadline: u64,
    key: TimerKey,
}

struct Slot {
    /// Where the timer stands in the heap.
    place: u32,
    waker: Option<Waker>,
}

pub(crate) struct Timers {
    base: Instant,
    heap: Vec<Entry>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { base: Instant::now(), heap: Vec::new(), slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = self.heap.first().filter(|first| first.deadline < NEVER);
        first.map(|first| self.base + Duration::from_nanos(first.deadline))
    }

    /// Whether timers can be told apart at `moment` and for decades after.
    pub(crate) fn reach(&self, moment: Instant) -> bool {
        moment.saturating_duration_since(self.base) <= REACH
    }

    /// Sets a timer. `number` has not been used before.
    ///
    /// # Panics
    ///
    /// When 2^24 − 1 timers are set.
    pub(crate) fn set(&mut self, deadline: Instant, number: u64, waker: Waker) -> TimerKey {
        let slot = Slot { place: 0, waker: Some(waker) };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                assert!(
                    self.slots.len() < MAX_SLOTS,
                    "{MAX_SLOTS} timers are set, the most that one executor can hold"
                );
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let key = TimerKey(number << SLOT_BITS | u64::from(index));
        let entry = Entry { deadline: self.nanos(deadline), key };
        self.heap.push(entry);
        self.sift_up(self.heap.len() - 1, entry);
        key
    }

    /// The waker of a timer that has not fired.
    pub(crate) fn waker(&mut self, deadline: Instant, key: TimerKey) -> Option<&mut Waker> {
        self.place(deadline, key)?;
        self.slots[key.slot()].waker.as_mut()
    }

    /// Takes a timer out, if it has not fired.
    pub(crate) fn remove(&mut self, deadline: Instant, key: TimerKey) -> Option<Waker> {
        let place = self.place(deadline, key)?;
        self.take(place)
    }

    /// Takes out every timer that is due at `now`, in the order of their deadlines.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Waker>) {
        let now = self.nanos(now);
        while self.heap.first().is_some_and(|first| first.deadline <= now && first.deadline < NEVER) {
            due.extend(self.take(0));
        }
    }

    /// All wakers, for the end of the executor.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.slots.into_iter().filter_map(|slot| slot.waker)
    }

    fn nanos(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.base).as_nanos()).unwrap_or(NEVER)
    }

    fn place(&self, deadline: Instant, key: TimerKey) -> Option<usize> {
        let place = self.slots.get(key.slot())?.place as usize;
        let entry = Entry { deadline: self.nanos(deadline), key };
        (self.heap.get(place) == Some(&entry)).then_some(place)
    }

    /// Takes the entry at `place` out; the last one fills the hole.
    fn take(&mut self, place: usize) -> Option<Waker> {
        let taken = self.heap.swap_remove(place);
        if let Some(&moved) = self.heap.get(place) {
            if moved < taken {
                self.sift_up(place, moved);
            } else {
                self.sift_down(place, moved);
            }
        }
        self.free.push(taken.key.slot() as u32);
        self.slots[taken.key.slot()].waker.take()
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.slots[entry.key.slot()].place = place as u32;
    }

    /// Puts `entry` into the hole at `place`, or above it.
    fn sift_up(&mut self, mut place: usize, entry: Entry) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            let above = self.heap[parent];
            if above < entry {
                break;
            }
            self.put(place, above);
            place = parent;
        }
        self.put(place, entry);
    }

    /// Puts `entry` into the hole at `place`, or below it.
    fn sift_down(&mut self, mut place: usize, entry: Entry) {
        loop {
            let first = place * ARITY + 1;
            let end = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..end).min_by_key(|&child| self.heap[child]) else { break };
            let below = self.heap[least];
            if entry < below {
                break;
            }
            self.put(place, below);
            place = least;
        }
        self.put(place, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    /// A waker that says which timer it was given to.
    struct Named(u64, Arc<AtomicU64>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0, Relaxed);
        }
    }

    /// A table beside a set that is searched plainly.
    struct Pair {
        timers: Timers,
        model: BTreeSet<(Instant, u64)>,
        keys: Vec<(Instant, u64, TimerKey)>,
        last: Arc<AtomicU64>,
    }

    impl Pair {
        fn set(&mut self, deadline: Instant) {
            let number = self.keys.len() as u64 + 1;
            let waker = Waker::from(Arc::new(Named(number, self.last.clone())));
            let key = self.timers.set(deadline, number, waker);
            self.model.insert((deadline, number));
            self.keys.push((deadline, number, key));
        }

        /// Takes one of all that were ever set out; it may have fired or be gone.
        fn remove(&mut self, index: usize) {
            let (deadline, number, key) = self.keys[index];
            let is_set = self.model.remove(&(deadline, number));
            assert_eq!(self.timers.waker(deadline, key).is_some(), is_set);
            assert_eq!(self.timers.remove(deadline, key).is_some(), is_set);
        }

        /// Takes the next of those that are set out.
        fn remove_next(&mut self) {
            if let Some(&(_, number)) = self.model.first() {
                self.remove(number as usize - 1);
            }
        }

        fn fire(&mut self, now: Instant) {
            let mut due = Vec::new();
            self.timers.take_due(now, &mut due);
            let mut fired = Vec::new();
            for waker in due {
                waker.wake();
                fired.push(self.last.load(Relaxed));
            }
            let later = self.model.split_off(&(now, u64::MAX));
            let expected: Vec<_> =
                std::mem::replace(&mut self.model, later).iter().map(|(_, number)| *number).collect();
            assert_eq!(fired, expected, "by deadline, then by age");
        }
    }

    #[test]
    fn it_does_what_a_sorted_set_does() {
        let timers = Timers::new();
        let start = timers.base;
        let mut pair = Pair { timers, model: BTreeSet::new(), keys: Vec::new(), last: Arc::default() };
        let (mut now, mut seed) = (start, 1_u64);
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..20_000 {
            match random(8) {
                // Few moments, so that many timers share one.
                0..=3 => pair.set(now + Duration::from_nanos(1 + random(50))),
                4..=5 if !pair.keys.is_empty() => pair.remove(random(pair.keys.len() as u64) as usize),
                6 => pair.remove_next(),
                _ => {
                    now += Duration::from_nanos(random(5));
                    pair.fire(now);
                }
            }
            assert_eq!(pair.timers.next_deadline(), pair.model.first().map(|(deadline, _)| *deadline));
            assert_eq!(pair.timers.len(), pair.model.len());
        }
        assert!(pair.timers.slots.len() < 1_000, "slots are used again: {}", pair.timers.slots.len());
    }

    #[test]
    fn a_deadline_beyond_the_table_never_comes() {
        let mut timers = Timers::new();
        let century = Duration::from_secs(100 * 365 * 86_400);
        let far = timers.base + 6 * century;
        let key = timers.set(far, 1, Waker::noop().clone());
        assert_eq!(timers.next_deadline(), None);
        let mut due = Vec::new();
        timers.take_due(far, &mut due);
        assert!(due.is_empty());
        timers.set(timers.base + 5 * century, 2, Waker::noop().clone());
        assert_eq!(timers.next_deadline(), Some(timers.base + 5 * century));
        assert!(timers.remove(far, key).is_some());
    }
}
