//! A `BTreeMap` by deadline, then by number.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::TimerTable;

pub(crate) struct Tree {
    by_deadline: BTreeMap<Place, Waker>,
    sequence: u64,
}

type Place = (Instant, u64);

impl TimerTable for Tree {
    const NAME: &'static str = "BTreeMap";
    const TICK: Duration = Duration::from_nanos(1);
    type Key = Place;

    fn new(_base: Instant) -> Self {
        Self { by_deadline: BTreeMap::new(), sequence: 0 }
    }

    fn set(&mut self, deadline: Instant, waker: Waker) -> Place {
        self.sequence += 1;
        let place = (deadline, self.sequence);
        self.by_deadline.insert(place, waker);
        place
    }

    fn remove(&mut self, place: Place) -> Option<Waker> {
        self.by_deadline.remove(&place)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    fn take_due(&mut self, now: Instant, out: &mut Vec<Waker>) {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let later = self.by_deadline.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.by_deadline, later);
        out.extend(due.into_values());
    }
}
