//! What a listener does when a connection cannot be accepted.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pollywog_executor::time::{Sleep, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Linux's numbers for the errors that std has no kind for; other systems share the first two.
mod errno {
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const ENOBUFS: i32 = 105;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const EPROTO: i32 = 71;
    /// ENONET, ENOPROTOOPT, EOPNOTSUPP, EHOSTDOWN: accept(2) has them retried, too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const PENDING: [i32; 4] = [64, 92, 95, 112];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const PENDING: [i32; 0] = [];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const ENOBUFS: i32 = 55;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const EPROTO: i32 = 100;
}

/// What an error of `accept` is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// One connection, which is gone: the next may be fine.
    Connection,
    /// The process or the machine lacks something. The connection stays in the queue, where an edge will not announce
    /// it again, so only time helps.
    Resources,
    /// The listener itself.
    Listener,
}

impl Trouble {
    /// Sorts by accept(2): Linux passes on network errors that are already pending on the new connection.
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;

        match error.raw_os_error() {
            Some(errno::EMFILE | errno::ENFILE | errno::ENOBUFS) => return Self::Resources,
            Some(errno::EPROTO) => return Self::Connection,
            Some(error) if errno::PENDING.contains(&error) => return Self::Connection,
            _ => {}
        }
        match error.kind() {
            Kind::OutOfMemory => Self::Resources,
            Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::TimedOut => Self::Connection,
            _ => Self::Listener,
        }
    }
}

/// Pauses that double, from a millisecond to a second, while resources are lacking.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    sleep: Option<Sleep>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { pause: FIRST_PAUSE, sleep: None }
    }

    /// Starts the next pause and says how long it is.
    pub(super) fn start(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.sleep = Some(sleep(pause));
        pause
    }

    /// Ready when no pause is under way.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            std::task::ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }

    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_helps() {
        for (errno, trouble) in [
            (errno::EMFILE, Trouble::Resources),
            (errno::ENFILE, Trouble::Resources),
            (errno::ENOBUFS, Trouble::Resources),
            (12, Trouble::Resources), // ENOMEM
            (errno::EPROTO, Trouble::Connection),
            (113, Trouble::Connection), // EHOSTUNREACH
            (9, Trouble::Listener),     // EBADF
            (22, Trouble::Listener),    // EINVAL
        ] {
            assert_eq!(Trouble::of(&io::Error::from_raw_os_error(errno)), trouble, "errno {errno}");
        }
        assert_eq!(Trouble::of(&io::ErrorKind::ConnectionAborted.into()), Trouble::Connection);
        assert_eq!(Trouble::of(&io::ErrorKind::NetworkDown.into()), Trouble::Connection);
    }

    #[test]
    fn pauses_double_up_to_a_second_and_start_anew_after_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..12).map(|_| backoff.start().as_millis()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.start(), FIRST_PAUSE);
    }
}
