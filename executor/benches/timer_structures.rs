//! Candidates for the table of timers, compared: this is what `src/time/table.rs` was chosen by.
//!
//! `cargo bench -p pollywog-executor --bench timer_structures`
//!
//! Nanoseconds for each operation, and bytes alive for each timer. The clock is virtual: moments are computed from one
//! base, so that only the table is measured.

use std::collections::VecDeque;
use std::hint::black_box;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

#[path = "timer_structures/btree_map.rs"]
mod btree_map;
#[path = "timer_structures/check.rs"]
mod check;
#[path = "support/counting.rs"]
mod counting;
#[path = "timer_structures/heap.rs"]
mod heap;
#[path = "support/random.rs"]
mod random;
#[path = "support/rounds.rs"]
mod rounds;
#[path = "timer_structures/wheel.rs"]
mod wheel;

use self::btree_map::Tree;
use self::check::check;
use self::counting::{Count, Counting};
use self::heap::Heap;
use self::random::Random;
use self::rounds::Measure;
use self::wheel::Wheel;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a loop asks of its timers.
pub(crate) trait TimerTable {
    const NAME: &'static str;
    /// Deadlines are rounded up to a multiple of this.
    const TICK: Duration;
    /// Names one timer; that of a timer which fired or was removed finds nothing.
    type Key: Copy;

    /// A table for deadlines from `base` on.
    fn new(base: Instant) -> Self;
    fn set(&mut self, deadline: Instant, waker: Waker) -> Self::Key;
    fn remove(&mut self, key: Self::Key) -> Option<Waker>;
    fn next_deadline(&self) -> Option<Instant>;
    /// Takes out what is due at `now`.
    fn take_due(&mut self, now: Instant, out: &mut Vec<Waker>);
}

/// A waker as the executor's are: a number and a table of functions that do nothing to it.
pub(crate) fn numbered(number: usize) -> Waker {
    fn clone(data: *const ()) -> RawWaker {
        RawWaker::new(data, &VTABLE)
    }
    fn ignore(_: *const ()) {}
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, ignore, ignore, ignore);
    // SAFETY: the functions keep `RawWakerVTable`'s contract for any data: none looks at it, and there is nothing to
    // keep alive.
    unsafe { Waker::new(ptr::without_provenance(number), &VTABLE) }
}

pub(crate) fn number_of(waker: &Waker) -> usize {
    waker.data().addr()
}

const SECOND: Duration = Duration::from_secs(1);
/// How far away a timer is that never fires.
const LIMIT: Duration = Duration::from_secs(30);

/// The deadlines of the timers that are there already.
#[derive(Clone, Copy)]
enum Others {
    /// Spread at random over 1 to 120 seconds.
    Spread,
    /// All 30 seconds after they were set, one each microsecond, as the timeouts of a server are.
    Limits,
}

impl Others {
    fn deadlines(self, base: Instant, count: usize) -> Vec<Instant> {
        let mut random = Random::new(1);
        (0..count as u64)
            .map(|number| match self {
                Self::Spread => base + SECOND + Duration::from_nanos(random.below(119 * SECOND.as_nanos() as u64)),
                Self::Limits => base + LIMIT + Duration::from_micros(number),
            })
            .collect()
    }
}

/// A table of `count` timers, and their keys.
fn filled<T: TimerTable>(base: Instant, others: Others, count: usize) -> (T, Vec<T::Key>) {
    let mut table = T::new(base);
    let deadlines = others.deadlines(base, count);
    let keys = deadlines.iter().enumerate().map(|(number, &at)| table.set(at, numbered(number))).collect();
    (table, keys)
}

fn nanos_each(count: usize, operations: impl FnOnce()) -> f64 {
    let start = Instant::now();
    operations();
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Create a timer that does not fire, and drop the one that was created `flight` timers before: what a timeout costs
/// that is not needed, in a server with as many requests under way.
fn create_and_drop<T: TimerTable + 'static>(others: Others, count: usize, flight: usize, operations: usize) -> Measure {
    let base = Instant::now();
    let (mut table, keys) = filled::<T>(base, others, count);
    let mut now = base + Duration::from_micros(count as u64);
    let mut under_way = VecDeque::with_capacity(flight);
    Box::new(move || {
        black_box(&keys);
        nanos_each(operations, || {
            for number in 0..operations {
                now += Duration::from_nanos(100);
                under_way.push_back(table.set(now + LIMIT, numbered(number)));
                if under_way.len() == flight {
                    let key = under_way.pop_front().expect("it is not empty");
                    black_box(table.remove(black_box(key)));
                }
            }
        })
    })
}

/// Move the deadline of a timer, any of `count`.
fn reset<T: TimerTable + 'static>(others: Others, count: usize, operations: usize) -> Measure {
    let base = Instant::now();
    let (mut table, mut keys) = filled::<T>(base, others, count);
    let mut now = base + Duration::from_micros(count as u64);
    let mut random = Random::new(2);
    Box::new(move || {
        nanos_each(operations, || {
            for number in 0..operations {
                now += Duration::from_nanos(100);
                let key = &mut keys[random.below(count as u64) as usize];
                black_box(table.remove(*key)).expect("it has not fired");
                let ahead = match others {
                    Others::Spread => SECOND + Duration::from_nanos(random.below(119 * SECOND.as_nanos() as u64)),
                    Others::Limits => LIMIT,
                };
                *key = table.set(now + ahead, numbered(number));
            }
        })
    })
}

/// Set `count` timers, then step through a second by milliseconds until all have fired.
fn fire<T: TimerTable + 'static>(spread: bool, count: usize) -> Measure {
    let base = Instant::now();
    let mut random = Random::new(3);
    let deadlines: Vec<_> = (0..count)
        .map(|_| base + if spread { Duration::from_nanos(random.below(SECOND.as_nanos() as u64)) } else { SECOND / 2 })
        .collect();
    let mut due = Vec::new();
    Box::new(move || {
        let mut table = T::new(base);
        nanos_each(count, || {
            for (number, &deadline) in deadlines.iter().enumerate() {
                table.set(deadline, numbered(number));
            }
            let mut fired = 0;
            for milliseconds in 1..=1_000 {
                let now = base + Duration::from_millis(milliseconds);
                if table.next_deadline().is_some_and(|deadline| deadline <= now) {
                    table.take_due(now, &mut due);
                    fired += due.len();
                    due.drain(..).for_each(|waker| waker.wake());
                }
            }
            assert_eq!(fired, count);
        })
    })
}

/// Bytes alive for each of `count` timers.
fn bytes<T: TimerTable + 'static>(others: Others, count: usize) -> Measure {
    Box::new(move || {
        let base = Instant::now();
        let deadlines = others.deadlines(base, count);
        let before = Count::now();
        let mut table = T::new(base);
        for (number, deadline) in deadlines.into_iter().enumerate() {
            table.set(deadline, numbered(number));
        }
        // The list of deadlines was alive before and is gone now.
        let list = (count * size_of::<Instant>()) as isize;
        let bytes = (before.since().bytes + list) as f64 / count as f64;
        drop(table);
        bytes
    })
}

/// One row: the same measure for each candidate.
macro_rules! row {
    ($name:expr, $measure:ident($($argument:expr),*)) => {
        rounds::row($name, &mut [
            $measure::<Tree>($($argument),*),
            $measure::<Heap>($($argument),*),
            $measure::<Wheel>($($argument),*),
        ])
    };
}

fn main() {
    // A round is some ten milliseconds: long beside the clock, short beside the machine's moods.
    let scale = if rounds::is_smoke() { 100 } else { 1 };
    let thousands = |count: usize| count * 1_000 / scale;

    let steps = if rounds::is_smoke() { 2_000 } else { 20_000 };
    check::<Tree>(steps);
    check::<Heap>(steps);
    check::<Wheel>(steps);

    let names = [Tree::NAME, Heap::NAME, Wheel::NAME];
    rounds::header("nanoseconds for each operation", &names);
    row!("create + drop, alone", create_and_drop(Others::Spread, 0, 1, thousands(200)));
    row!("create + drop, 1,000 under way", create_and_drop(Others::Spread, 0, 1_000, thousands(200)));
    for (count, name) in [(thousands(100), "100,000"), (thousands(1_000), "1,000,000")] {
        for (others, kind) in [(Others::Spread, "over 1–120 s"), (Others::Limits, "of 30 s each")] {
            row!(&format!("create + drop, among {name} {kind}"), create_and_drop(others, count, 1, thousands(100)));
            row!("… with 1,000 under way", create_and_drop(others, count, 1_000, thousands(100)));
            row!(&format!("reset any of {name} {kind}"), reset(others, count, thousands(50)));
        }
    }
    row!("set and fire 100,000 within a second", fire(true, thousands(100)));
    row!("set and fire 100,000 at one instant", fire(false, thousands(100)));
    println!();
    rounds::header("bytes alive for each timer", &names);
    for (count, name) in [(thousands(100), "100,000"), (thousands(1_000), "1,000,000")] {
        row!(&format!("{name} over 1–120 s"), bytes(Others::Spread, count));
        row!(&format!("{name} of 30 s each"), bytes(Others::Limits, count));
    }
}
