//! The keys and their values.
//!
//! Reading changes nothing: a key that has expired is not there, and its memory comes back with the next write to it or
//! with the sweep, whichever is first.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use super::expiry::{Expiring, Place};
use super::memory::{Full, Memory};

/// What a key takes beside its bytes: its entry in the table, where there is room for others, and two allocations.
const ENTRY: usize = 128;
/// What it takes to expire.
const EXPIRY: usize = 64;
/// Tables smaller than this are kept.
const SMALL_TABLE: usize = 1 << 10;

/// All keys. Their names are shared with the list of those that expire.
#[derive(Debug)]
pub(super) struct Store {
    entries: HashMap<Rc<[u8]>, Entry>,
    expiring: Expiring,
    pub(super) memory: Memory,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// Its place among those that expire.
    place: Option<Place>,
}

impl Entry {
    fn has_expired(&self, now: Instant) -> bool {
        self.place.is_some_and(|place| place.deadline <= now)
    }

    fn cost(&self, key: &[u8]) -> usize {
        cost(key, self.value.capacity(), self.place.is_some())
    }
}

fn cost(key: &[u8], value: usize, expires: bool) -> usize {
    ENTRY + key.len() + value + if expires { EXPIRY } else { 0 }
}

/// When a value that is set will expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    /// As the value that was there.
    Keep,
    At(Instant),
}

impl Store {
    pub(super) fn new(max_memory: usize) -> Self {
        Self { entries: HashMap::new(), expiring: Expiring::default(), memory: Memory::new(max_memory) }
    }

    /// How many keys there are, with those that have expired and are not swept yet.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them expire.
    pub(super) fn expiring(&self) -> usize {
        self.expiring.len()
    }

    pub(super) fn get(&self, key: &[u8], now: Instant) -> Option<&[u8]> {
        let entry = self.entries.get(key).filter(|entry| !entry.has_expired(now))?;
        Some(&entry.value)
    }

    /// When a key expires, if it does; `None` where there is no key.
    pub(super) fn deadline(&self, key: &[u8], now: Instant) -> Option<Option<Instant>> {
        let entry = self.entries.get(key).filter(|entry| !entry.has_expired(now))?;
        Some(entry.place.map(|place| place.deadline))
    }

    /// Nothing changes when it does not fit.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry, now: Instant) -> Result<(), Full> {
        self.drop_expired(key, now);
        match self.entries.get_mut(key) {
            Some(entry) => {
                let held = entry.value.capacity();
                // A value much shorter than the one before does not keep its memory.
                let stays = value.len() <= held && held <= 2 * value.len() + 64;
                let expires = matches!(expiry, Expiry::At(_)) || (expiry == Expiry::Keep && entry.place.is_some());
                let capacity = if stays { held } else { value.len() };
                self.memory.exchange(entry.cost(key), cost(key, capacity, expires))?;
                if stays {
                    entry.value.clear();
                    entry.value.extend_from_slice(value);
                } else {
                    entry.value = value.to_vec();
                }
                if expiry != Expiry::Keep
                    && let Some(place) = entry.place.take()
                {
                    self.expiring.remove(place);
                }
            }
            None => {
                self.memory.claim(cost(key, value.len(), matches!(expiry, Expiry::At(_))))?;
                self.entries.insert(key.into(), Entry { value: value.to_vec(), place: None });
            }
        }
        if let Expiry::At(deadline) = expiry {
            self.put_among_the_expiring(key, deadline);
        }
        Ok(())
    }

    /// Whether all of them can be set. Where memory is short, one that is named twice is counted twice.
    pub(super) fn has_room_for<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> bool {
        let free = self.memory.most() - self.memory.used();
        let as_new = pairs.clone().map(|(key, value)| cost(key, value.len(), false)).sum::<usize>();
        // Only if it could matter is looked at what is there.
        as_new <= free || pairs.map(|(key, value)| self.growth(key, value)).sum::<usize>() <= free
    }

    fn growth(&self, key: &[u8], value: &[u8]) -> usize {
        match self.entries.get(key) {
            Some(entry) => value.len().saturating_sub(entry.value.capacity()),
            None => cost(key, value.len(), false),
        }
    }

    /// Adds to the end of a value, and gives its length.
    pub(super) fn append(&mut self, key: &[u8], more: &[u8], now: Instant) -> Result<usize, Full> {
        self.drop_expired(key, now);
        let Some(entry) = self.entries.get_mut(key) else {
            return self.set(key, more, Expiry::Never, now).map(|()| more.len());
        };
        let (held, length) = (entry.value.capacity(), entry.value.len() + more.len());
        if length > held {
            // Twice as much, so that many small pieces are not a copy of the whole each.
            let room = length.max(2 * held);
            self.memory.exchange(held, room)?;
            entry.value.reserve_exact(room - entry.value.len());
        }
        entry.value.extend_from_slice(more);
        Ok(length)
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        self.forget(key).is_some_and(|entry| !entry.has_expired(now))
    }

    /// Whether there is such a key.
    pub(super) fn expire(&mut self, key: &[u8], deadline: Instant, now: Instant) -> Result<bool, Full> {
        self.drop_expired(key, now);
        let Some(entry) = self.entries.get_mut(key) else { return Ok(false) };
        match entry.place.take() {
            Some(place) => self.expiring.remove(place),
            None => self.memory.claim(EXPIRY)?,
        }
        self.put_among_the_expiring(key, deadline);
        Ok(true)
    }

    /// Whether there was a key that would have expired.
    pub(super) fn persist(&mut self, key: &[u8], now: Instant) -> bool {
        self.drop_expired(key, now);
        let Some(place) = self.entries.get_mut(key).and_then(|entry| entry.place.take()) else { return false };
        self.expiring.remove(place);
        self.memory.release(EXPIRY);
        true
    }

    pub(super) fn clear(&mut self) {
        self.expiring = Expiring::default();
        for (key, entry) in std::mem::take(&mut self.entries) {
            self.memory.release(entry.cost(&key));
        }
    }

    /// Takes out keys that have expired, at most `most`, and gives how many.
    pub(super) fn sweep(&mut self, most: usize, now: Instant) -> usize {
        let mut swept = 0;
        while swept < most
            && let Some(key) = self.expiring.first(now)
        {
            self.forget(&key);
            swept += 1;
        }
        if self.is_much_too_large() {
            self.entries.shrink_to(2 * self.entries.len());
        }
        swept
    }

    /// Whether there is something to sweep, or will be.
    pub(super) fn is_to_be_swept(&self) -> bool {
        self.expiring.len() > 0 || self.is_much_too_large()
    }

    /// Whether the table itself is to go back, too.
    fn is_much_too_large(&self) -> bool {
        self.entries.capacity() > SMALL_TABLE && self.entries.len() < self.entries.capacity() / 8
    }

    /// `key` is there, and its cost is claimed.
    fn put_among_the_expiring(&mut self, key: &[u8], deadline: Instant) {
        let Some((name, _)) = self.entries.get_key_value(key) else { return };
        let place = self.expiring.insert(name.clone(), deadline);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.place = Some(place);
        }
    }

    fn drop_expired(&mut self, key: &[u8], now: Instant) {
        // Where nothing expires, this costs no look.
        if self.expiring.len() > 0 && self.entries.get(key).is_some_and(|entry| entry.has_expired(now)) {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.memory.release(entry.cost(key));
        if let Some(place) = entry.place {
            self.expiring.remove(place);
        }
        Some(entry)
    }
}
