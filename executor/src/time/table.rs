//! The timers of one executor, ordered by deadline.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// A timer's place: its deadline, then its number, which tells apart timers of the same moment.
pub(crate) type Place = (Instant, u64);

#[derive(Default)]
pub(crate) struct Timers {
    by_deadline: BTreeMap<Place, Waker>,
}

impl Timers {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_deadline.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Sets a timer; the waker it had before is given back, to be dropped with nothing borrowed.
    pub(crate) fn set(&mut self, place: Place, waker: Waker) -> Option<Waker> {
        self.by_deadline.insert(place, waker)
    }

    /// The waker of a timer that has not fired.
    pub(crate) fn get(&self, place: &Place) -> Option<&Waker> {
        self.by_deadline.get(place)
    }

    /// Takes a timer out, if it has not fired.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Waker> {
        self.by_deadline.remove(place)
    }

    /// Takes out every timer that is due at `now`.
    pub(crate) fn take_due(&mut self, now: Instant) -> BTreeMap<Place, Waker> {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return BTreeMap::new();
        }
        let later = self.by_deadline.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.by_deadline, later)
    }

    /// All wakers, for the end of the executor.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.by_deadline.into_values()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_is_taken_in_order_and_the_rest_stays() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, number) in [(3, 1), (1, 2), (2, 3), (2, 4)] {
            timers.set((at(ms), number), Waker::noop().clone());
        }
        assert_eq!(timers.next_deadline(), Some(at(1)));
        assert!(timers.take_due(start).is_empty());
        let due: Vec<_> = timers.take_due(at(2)).into_keys().map(|(_, number)| number).collect();
        assert_eq!(due, [2, 3, 4]);
        assert_eq!(timers.next_deadline(), Some(at(3)));
    }
}
