//! The keys that expire, in the order in which they do.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// When a key expires, and its number among those of the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) deadline: Instant,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Expiring {
    names: BTreeMap<Place, Rc<[u8]>>,
    numbers: u64,
}

impl Expiring {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn insert(&mut self, name: Rc<[u8]>, deadline: Instant) -> Place {
        self.numbers += 1;
        let place = Place { deadline, number: self.numbers };
        self.names.insert(place, name);
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.names.remove(&place);
    }

    /// The first one, if it has expired.
    pub(super) fn first(&self, now: Instant) -> Option<Rc<[u8]>> {
        let (place, name) = self.names.first_key_value()?;
        (place.deadline <= now).then(|| name.clone())
    }
}
