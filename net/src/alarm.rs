//! What ends a sleep at its deadline, with no timer set for that sleep.
//!
//! A timeout of `epoll_wait` is a timer that the kernel sets before each sleep and takes out after it. But the sleeps
//! of a busy server end with an event, and their deadline stays where it was, or moves away with every request that
//! resets a timeout. So on Linux the deadline is told to a timer of its own, a timerfd that the selector watches, and
//! only when it is nearer than what that is set for; then nothing limits the sleep. Once the timer rings for a
//! deadline that has moved away, the executor finds nothing due, and its next sleep sets it anew.
//!
//! Its time is rounded up to whole milliseconds, as the timeout of `epoll_wait` is: deadlines that are close together
//! share a wake, where each would cost one.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::reactor::ALARM;

/// A timer of the kernel, and what it is set for until it rings.
pub(crate) struct Alarm {
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Alarm {
    /// An alarm whose events `registry` reports under [`ALARM`].
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        // The clock of `Instant`.
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), ALARM, Interest::READABLE)?;
        Ok(Self { timer, set_for: None })
    }

    /// How long the selector may sleep so as to be awake at `deadline`: without limit where the alarm ends the sleep.
    #[inline]
    pub(crate) fn timeout(&mut self, deadline: Instant) -> Option<Duration> {
        match self.set_for {
            Some(moment) if moment <= deadline => None,
            _ => self.set(deadline),
        }
    }

    fn set(&mut self, deadline: Instant) -> Option<Duration> {
        let rest = deadline.saturating_duration_since(Instant::now());
        // A timer that is set to zero never rings.
        if rest.is_zero() {
            return Some(rest);
        }
        let time = Itimerspec { it_interval: Timespec::default(), it_value: whole_millis(rest) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time).expect("the time is valid");
        self.set_for = Some(deadline);
        None
    }

    /// It has rung. Nothing is read from it: each time it rings is an edge of its own.
    pub(crate) fn rang(&mut self) {
        self.set_for = None;
    }
}

/// Rounded up.
fn whole_millis(rest: Duration) -> Timespec {
    let millis = i64::from(rest.subsec_nanos().div_ceil(1_000_000));
    // The farthest deadline is centuries away.
    Timespec { tv_sec: rest.as_secs() as i64 + millis / 1_000, tv_nsec: millis % 1_000 * 1_000_000 }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};
    use rustix::time::timerfd_gettime;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn alarm() -> (Poll, Alarm) {
        let poll = Poll::new().unwrap();
        let alarm = Alarm::new(poll.registry()).unwrap();
        (poll, alarm)
    }

    /// How long it is until it rings.
    fn rest(alarm: &Alarm) -> Duration {
        timerfd_gettime(&alarm.timer).unwrap().it_value.try_into().unwrap()
    }

    /// Sleeps until something happens.
    fn sleep(poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [ALARM]);
    }

    #[test]
    fn it_ends_a_sleep_when_the_deadline_has_come_and_not_before_and_again_though_nothing_is_read() {
        let (mut poll, mut alarm) = alarm();
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_millis(20);
            assert_eq!(alarm.timeout(deadline), None);
            sleep(&mut poll);
            assert!(Instant::now() >= deadline);
            alarm.rang();
        }
    }

    #[test]
    fn it_is_set_when_a_deadline_is_nearer_and_left_alone_when_it_is_not() {
        let (_poll, mut alarm) = alarm();
        let start = Instant::now();
        assert_eq!(alarm.timeout(start + 2 * HOUR), None);
        assert!(rest(&alarm) > HOUR);
        assert_eq!(alarm.timeout(start + HOUR), None);
        assert!(rest(&alarm) <= HOUR);
        let since = rest(&alarm);
        for later in [0, 1, 2] {
            assert_eq!(alarm.timeout(start + HOUR + later * HOUR), None);
            assert!(rest(&alarm) <= since);
        }
        alarm.rang();
        assert_eq!(alarm.timeout(start + 3 * HOUR), None);
        assert!(rest(&alarm) > 2 * HOUR, "it has rung for the nearer one");
    }

    #[test]
    fn its_time_is_rounded_up_to_whole_milliseconds() {
        let millis =
            [(0, 1, 1), (0, 999_999, 1), (0, 1_000_000, 1), (0, 1_000_001, 2), (7, 999_000_001, 8_000), (7, 0, 7_000)];
        for (seconds, nanos, expected) in millis {
            let rounded = Duration::try_from(whole_millis(Duration::new(seconds, nanos))).unwrap();
            assert_eq!(rounded, Duration::from_millis(expected), "{seconds} s, {nanos} ns");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_is_a_look_and_leaves_it_set() {
        let (_poll, mut alarm) = alarm();
        assert_eq!(alarm.timeout(Instant::now() + HOUR), None);
        assert_eq!(alarm.timeout(Instant::now()), Some(Duration::ZERO));
        assert!(rest(&alarm) > HOUR / 2);
    }

    #[test]
    fn the_farthest_deadline_can_be_told() {
        let (_poll, mut alarm) = alarm();
        let mut far = Duration::from_secs(u64::MAX);
        let deadline = loop {
            match Instant::now().checked_add(far) {
                Some(deadline) => break deadline,
                None => far /= 2,
            }
        };
        assert_eq!(alarm.timeout(deadline), None);
        assert!(rest(&alarm) > HOUR);
    }
}
