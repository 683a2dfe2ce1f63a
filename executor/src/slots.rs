//! Generational slots: a table whose keys go stale instead of dangling.

use std::fmt;

use crate::key::{ExecutorId, Key, MAX_SLOTS};

/// A table of values, each named by a [`Key`].
///
/// A slot that was freed is used again under another generation, so a key of the value before finds nothing. The
/// memory of freed slots is kept for the next burst.
pub struct Slots<T> {
    executor: ExecutorId,
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

struct Entry<T> {
    /// The number of the value in this slot or, while the slot is free, of the value before it.
    sequence: u64,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// What one entry takes in the table.
    #[cfg(test)]
    pub(crate) const BYTES_PER_ENTRY: usize = size_of::<Entry<T>>();

    /// An empty table whose keys carry `executor`.
    pub fn new(executor: ExecutorId) -> Self {
        Self { executor, entries: Vec::new(), free: Vec::new() }
    }

    /// Stores `value` under a key made of a free slot and the generation of `sequence`.
    ///
    /// Gives the value back when the table is full (2^24 − 1 entries).
    pub fn insert(&mut self, sequence: u64, value: T) -> Result<Key, T> {
        let entry = Entry { sequence, value: Some(value) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None if self.entries.len() >= MAX_SLOTS => {
                return Err(entry.value.expect("the value was just put in"));
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        Ok(Key::new(self.executor, slot, sequence))
    }

    /// Whose keys these are.
    #[inline]
    pub(crate) fn executor(&self) -> ExecutorId {
        self.executor
    }

    #[inline]
    fn entry(&self, key: Key) -> Option<&Entry<T>> {
        self.entries.get(key.slot() as usize).filter(|entry| key.is_generation_of(entry.sequence))
    }

    /// The value of `key`, or `None` when the key is stale.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.entry(key)?.value.as_ref()
    }

    /// The value of `key`, or `None` when the key is stale.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.slot() as usize)?;
        if !key.is_generation_of(entry.sequence) {
            return None;
        }
        entry.value.as_mut()
    }

    /// As [`get_mut`](Self::get_mut), but tells apart even two values that are 2^30 generations from each other.
    #[inline]
    pub(crate) fn get_exact(&mut self, key: Key, sequence: u64) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.slot() as usize)?;
        if entry.sequence != sequence {
            return None;
        }
        entry.value.as_mut()
    }

    /// Takes the value of `key` out and frees its slot.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.slot() as usize)?;
        if !key.is_generation_of(entry.sequence) {
            return None;
        }
        let value = entry.value.take()?;
        self.free.push(key.slot());
        Some(value)
    }

    /// Every value, in the order of the slots.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|entry| entry.value.as_mut())
    }

    /// The value in slot number `slot`, with its full sequence number.
    #[inline]
    pub(crate) fn at(&mut self, slot: u32) -> Option<(u64, &mut T)> {
        let entry = self.entries.get_mut(slot as usize)?;
        entry.value.as_mut().map(|value| (entry.sequence, value))
    }

    /// The key of the value that now stands in `slot`.
    #[inline]
    pub(crate) fn key_at(&self, slot: u32, sequence: u64) -> Key {
        Key::new(self.executor, slot, sequence)
    }

    /// How many slots were ever in use at once: the bound of a walk over all of them.
    pub(crate) fn capacity_used(&self) -> u32 {
        self.entries.len() as u32
    }

    /// How many values the table holds.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether the table holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("executor", &self.executor).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_stale_when_its_slot_is_used_again() {
        let mut slots = Slots::new(ExecutorId::new(3));
        let first = slots.insert(1, "first").unwrap();
        assert_eq!(slots.remove(first), Some("first"));
        assert_eq!(slots.get(first), None);
        let second = slots.insert(2, "second").unwrap();
        assert_eq!(second.slot(), first.slot(), "the slot is used again");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn two_values_of_the_same_generation_are_told_apart_by_the_full_number() {
        let mut slots = Slots::new(ExecutorId::new(0));
        let old = slots.insert(5, "old").unwrap();
        slots.remove(old);
        let new = slots.insert((1 << 30) | 5, "new").unwrap();
        assert_eq!(old, new, "thirty bits of generation have wrapped");
        assert_eq!(slots.get_exact(new, 5), None);
        assert_eq!(slots.get_exact(new, (1 << 30) | 5), Some(&mut "new"));
    }
}
