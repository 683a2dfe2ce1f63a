//! That every candidate fires the right timers at the right moments, before anything is measured.

use std::time::{Duration, Instant};

use crate::random::Random;
use crate::{TimerTable, number_of, numbered};

/// The script ends here: a number of nanoseconds in 64 bits lasts for 584 years.
const AGES: Duration = Duration::from_secs(400 * 365 * 86_400);

/// A timer as the check knows it: when it has to fire, and its key.
struct Expected<K> {
    fires: Instant,
    number: usize,
    key: K,
}

/// Runs a random script on a table, and beside it on a plain list. Both must fire the same numbers at each step: in
/// order of deadline, then of setting, or, with a tick above a nanosecond, in any order.
pub(crate) fn check<T: TimerTable>(steps: usize) {
    for span in [1_000, 1_000_000, 1_000_000_000, 100_000_000_000, 1 << 57] {
        let mut random = Random::new(span);
        script::<T>(&mut random, steps, span);
    }
}

fn script<T: TimerTable>(random: &mut Random, steps: usize, span: u64) {
    let base = Instant::now();
    let mut table = T::new(base);
    let mut expected: Vec<Expected<T::Key>> = Vec::new();
    let mut stale = Vec::new();
    let mut now = base;
    for number in 0..steps {
        if now - base > AGES {
            break;
        }
        match random.below(8) {
            0..4 => {
                // One time in four a deadline that another timer has, one time in sixteen one that has passed.
                let mut deadline = match random.below(16) {
                    0 => now - (now - base).min(Duration::from_nanos(random.below(span))),
                    1..5 if !expected.is_empty() => expected[random.below(expected.len() as u64) as usize].fires,
                    _ => now + Duration::from_nanos(random.below(span)),
                };
                deadline = deadline.max(base);
                let key = table.set(deadline, numbered(number));
                expected.push(Expected { fires: rounded_up::<T>(base, deadline), number, key });
            }
            4..6 if !expected.is_empty() => {
                let timer = expected.remove(random.below(expected.len() as u64) as usize);
                let waker = table.remove(timer.key).expect("the timer has not fired");
                assert_eq!(number_of(&waker), timer.number);
                stale.push(timer.key);
            }
            6 => {
                // As an idle loop does, to the next deadline; the table may ask for a look too early, not too late.
                let next = expected.iter().map(|timer| timer.fires).min();
                assert_eq!(table.next_deadline().is_some(), next.is_some());
                if let (Some(asked), Some(next)) = (table.next_deadline(), next) {
                    assert!(asked <= next, "{}: {asked:?} is later than {next:?}", T::NAME);
                    assert!(T::TICK.as_nanos() > 1 || asked == next, "{}: not exact", T::NAME);
                    now = now.max(asked);
                }
            }
            _ => now += Duration::from_nanos(random.below(span / 4 + 1)),
        }
        let mut fired = Vec::new();
        table.take_due(now, &mut fired);
        let mut fired: Vec<usize> = fired.iter().map(number_of).collect();
        let mut due: Vec<_> = expected.extract_if(.., |timer| timer.fires <= now).collect();
        stale.extend(due.iter().map(|timer| timer.key));
        due.sort_by_key(|timer| (timer.fires, timer.number));
        if T::TICK.as_nanos() > 1 {
            due.sort_by_key(|timer| timer.number);
            fired.sort_unstable();
        }
        assert!(fired.iter().eq(due.iter().map(|timer| &timer.number)), "{}: step {number} of {span}", T::NAME);
        if !stale.is_empty() {
            let key = stale[random.below(stale.len() as u64) as usize];
            assert!(table.remove(key).is_none(), "{}: a key went stale and found a timer", T::NAME);
        }
    }
    for timer in expected {
        assert!(table.remove(timer.key).is_some());
    }
    assert_eq!(table.next_deadline(), None);
}

/// The first moment, in whole ticks of the table, that is not before `deadline`.
fn rounded_up<T: TimerTable>(base: Instant, deadline: Instant) -> Instant {
    let ticks = (deadline - base).as_nanos().div_ceil(T::TICK.as_nanos());
    base + Duration::from_nanos((ticks * T::TICK.as_nanos()) as u64)
}
