//! The one layout of every id: executor 10 bits, slot 24, generation 30.

use std::fmt;
use std::num::NonZeroU64;

const GENERATION_BITS: u32 = 30;
const SLOT_BITS: u32 = 24;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// How many executors one process may have alive at once.
pub const MAX_EXECUTORS: usize = 1 << 10;

/// How many entries one [`Slots`](super::driver::Slots) table can hold at once.
pub const MAX_SLOTS: usize = (1 << SLOT_BITS) - 1;

/// Which executor of this process an id belongs to: a number below [`MAX_EXECUTORS`].
///
/// The number of an executor that was dropped is given to a later one; the generations inside a [`Key`] go on, so
/// that an old id never names a new thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutorId(u16);

impl ExecutorId {
    pub(crate) fn new(index: usize) -> Self {
        debug_assert!(index < MAX_EXECUTORS);
        Self(index as u16)
    }

    /// The number itself, fit to index a table of [`MAX_EXECUTORS`] entries.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Debug for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecutorId({})", self.0)
    }
}

/// An id: the executor, the slot in one of its tables, and the generation that tells this entry of the slot from
/// those before and after it.
///
/// It is plain data (`Copy`, `Send`, `Sync`) and never zero, so that zero can mean 'none' in an atomic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(NonZeroU64);

impl Key {
    /// Packs a key. `sequence` is the full number of the entry; its low 30 bits, which must not all be zero, become
    /// the generation (see [`Sequence`]).
    #[inline]
    pub fn new(executor: ExecutorId, slot: u32, sequence: u64) -> Self {
        let bits = (executor.index() as u64) << (SLOT_BITS + GENERATION_BITS)
            | (u64::from(slot) & SLOT_MASK) << GENERATION_BITS
            | (sequence & GENERATION_MASK);
        Self(NonZeroU64::new(bits).expect("a sequence number never has generation zero"))
    }

    /// The key behind a number that [`Key::get`] gave, or `None` for zero.
    #[inline]
    pub fn from_u64(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// The key as one number, never zero.
    #[inline]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Whose table the key indexes.
    #[inline]
    pub fn executor(self) -> ExecutorId {
        ExecutorId((self.get() >> (SLOT_BITS + GENERATION_BITS)) as u16)
    }

    /// The slot in that table.
    #[inline]
    pub fn slot(self) -> u32 {
        ((self.get() >> GENERATION_BITS) & SLOT_MASK) as u32
    }

    /// Whether `sequence` has this key's generation.
    #[inline]
    pub(crate) fn is_generation_of(self, sequence: u64) -> bool {
        (self.get() ^ sequence) & GENERATION_MASK == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}:{}:{})", self.executor().0, self.slot(), self.get() & GENERATION_MASK)
    }
}

/// Counts the entries that a table ever had, skipping the numbers whose generation would be zero.
#[derive(Debug, Clone, Copy)]
pub struct Sequence(u64);

impl Sequence {
    /// A sequence whose first number is 1.
    pub const START: Self = Self(0);

    /// A sequence that goes on after `last`.
    pub fn after(last: u64) -> Self {
        Self(last)
    }

    /// The next number.
    #[inline]
    pub fn advance(&mut self) -> u64 {
        self.0 += 1;
        if !Self::is_valid(self.0) {
            self.0 += 1;
        }
        self.0
    }

    /// Whether a number has a generation that is not zero.
    #[inline]
    pub(crate) fn is_valid(sequence: u64) -> bool {
        sequence & GENERATION_MASK != 0
    }

    /// The number that [`advance`](Self::advance) gave last.
    pub fn last(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = Key::new(ExecutorId::new(1023), 0xFF_FFFE, (7 << 30) | 5);
        assert_eq!(key.executor().index(), 1023);
        assert_eq!(key.slot(), 0xFF_FFFE);
        assert!(key.is_generation_of(5));
        assert!(key.is_generation_of((9 << 30) | 5), "the generation is the low thirty bits");
        assert!(!key.is_generation_of(6));
        assert_eq!(Key::from_u64(key.get()), Some(key));
    }

    #[test]
    fn a_sequence_skips_generation_zero() {
        let mut sequence = Sequence((1 << 30) - 2);
        assert_eq!(sequence.advance(), (1 << 30) - 1);
        assert_eq!(sequence.advance(), (1 << 30) + 1);
    }
}
