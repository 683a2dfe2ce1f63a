//! Accepting, and what a listener does when a connection cannot be accepted.

use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pollywog_executor::time::{Sleep, sleep};

use crate::context;
use crate::source::{Io, Left, Source};
use crate::sources::Direction;
use crate::trace;
use crate::waiter::Waiter;

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
    /// ENONET, ENOPROTOOPT, EHOSTDOWN: accept(2) has them retried, too; and EOPNOTSUPP, which a descriptor that can
    /// accept nothing gives for ever.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const PENDING: [i32; 3] = [64, 92, 112];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const PENDING: [i32; 0] = [];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const ENOBUFS: i32 = 55;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const EPROTO: i32 = 100;
}

/// What an error of `accept` is about.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
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
    fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;

        match error.raw_os_error() {
            Some(errno::EMFILE | errno::ENFILE | errno::ENOBUFS) => return Self::Resources,
            Some(errno::EPROTO) => return Self::Connection,
            Some(error) if errno::PENDING.contains(&error) => return Self::Connection,
            _ => {}
        }
        match error.kind() {
            // What a firewall or a security module refuses may stay in the queue.
            Kind::OutOfMemory | Kind::PermissionDenied => Self::Resources,
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
pub(crate) struct Backoff {
    pause: Duration,
    sleep: Option<Sleep>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { pause: FIRST_PAUSE, sleep: None }
    }

    /// Starts the next pause and says how long it is.
    pub(crate) fn start(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.sleep = Some(sleep(pause));
        pause
    }

    /// Ready when no pause is under way.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if context::with(|reactor| reactor.is_none()) {
            // There is no timer to wait on.
            self.sleep = None;
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes the next connection off the queue of `source`. Trouble that passes is not reported.
pub(crate) fn poll_accept<S: Io, T>(
    source: &Source<S>,
    cx: &mut Context<'_>,
    waiter: Option<&Waiter>,
    backoff: &mut Backoff,
    accept: impl Fn(&S) -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(backoff.poll_over(cx));
        let accepted = source.poll_io(cx, Direction::Read, waiter, |io| accept(io).map(Left::Maybe));
        match ready!(accepted) {
            Ok(connection) => {
                backoff.reset();
                return Poll::Ready(Ok(connection));
            }
            Err(error) => match Trouble::of(&error) {
                Trouble::Connection => trace::accept_skipped(&error),
                // Without a runtime there is no timer to wait on.
                Trouble::Resources if context::with(|reactor| reactor.is_none()) => return Poll::Ready(Err(error)),
                Trouble::Resources => trace::accept_paused(&error, backoff.start()),
                Trouble::Listener => return Poll::Ready(Err(error)),
            },
        }
    }
}

/// What taking a connection off a queue at once came to.
#[derive(Debug)]
pub enum Attempt<T> {
    /// A connection.
    Accepted(T),
    /// The queue is empty.
    Empty,
    /// A connection broke: the next may be fine.
    Skipped,
    /// Something is lacking that only time or others bring.
    Lacking(io::Error),
    /// The listener is broken.
    Broken(io::Error),
}

/// Takes the next connection off the queue of `source`, where one is there, whatever is known of its readiness.
pub(crate) fn try_accept<S: Io, T>(source: &Source<S>, accept: impl Fn(&S) -> io::Result<T>) -> Attempt<T> {
    match accept(source.io()) {
        Ok(connection) => Attempt::Accepted(connection),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Attempt::Empty,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Attempt::Skipped,
        Err(error) => match Trouble::of(&error) {
            Trouble::Connection => Attempt::Skipped,
            Trouble::Resources => Attempt::Lacking(error),
            Trouble::Listener => Attempt::Broken(error),
        },
    }
}

/// The pauses of who accepts through a `poll_*` method, which remembers nothing itself.
#[derive(Debug, Default)]
pub(crate) struct PolledBackoff(Mutex<Backoff>);

impl PolledBackoff {
    /// Lends it to `poll`, which may run foreign code: it is taken out meanwhile.
    pub(crate) fn with<R>(&self, poll: impl FnOnce(&mut Backoff) -> R) -> R {
        let mut backoff = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let result = poll(&mut backoff);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = backoff;
        result
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
            (1, Trouble::Resources),    // EPERM
            (95, Trouble::Listener),    // EOPNOTSUPP
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
