//! A descriptor and how its operations wait.
//!
//! The rules, each one a bug in somebody's runtime:
//!
//! - **Try first.** An operation runs before anything else; only 'would block' registers the source (edge-triggered,
//!   both directions, once) and parks the waker. Registering an already ready descriptor delivers its edge, so
//!   nothing is lost, and a connection that never blocks is never registered.
//! - **Short reads.** See [`Io::SHORT_MEANS_DRAINED`]. Where one comes before the registration, the next operation
//!   registers without trying: the selector reports what the try would have found.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use pollywog_executor::budget;
use pollywog_executor::driver::Key;

use crate::interest::{Interest, Ready};
use crate::registration::{Descriptor, Outcome, Prospect, Registration};
use crate::sources::{Direction, POLL};
use crate::waiter::{Waiter, Waiters};

/// A descriptor that can be a source.
pub(crate) trait Io: AsFd {
    /// A read or write that moved less than it could has left nothing to move, so the next one need not be tried
    /// before an edge says so: that saves the system call which would only say 'would block'.
    ///
    /// This is more than mio promises. It holds for stream sockets on epoll and kqueue; not for datagrams, peeking,
    /// Unix sockets with passed descriptors or credentials, nor other descriptors. Closing and urgent data are taken
    /// care of in [`Sources::drained`](crate::sources::Sources::drained).
    const SHORT_MEANS_DRAINED: bool;

    /// The descriptor is its own, and not borrowed from somebody who may register it, too.
    const OWNS_DESCRIPTOR: bool = true;
}

impl Io for mio::net::TcpStream {
    const SHORT_MEANS_DRAINED: bool = cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ));
}

impl Io for mio::net::TcpListener {
    const SHORT_MEANS_DRAINED: bool = false;
}

impl Io for mio::net::UnixStream {
    const SHORT_MEANS_DRAINED: bool = false;
}

impl Io for mio::net::UnixListener {
    const SHORT_MEANS_DRAINED: bool = false;
}

impl Io for mio::net::UnixDatagram {
    const SHORT_MEANS_DRAINED: bool = false;
}

/// A descriptor and where it is registered.
pub(crate) struct Source<S: Io> {
    // The first to be dropped.
    registration: Registration,
    io: S,
}

/// Whether an operation left something behind.
pub(crate) enum Left<R> {
    /// Perhaps: try again before waiting.
    Maybe(R),
    /// It moved less than it could.
    Nothing(R),
}

/// Where each direction was registered, and how many events it had had: what a readiness was based on.
pub(crate) struct Seen([Option<(Key, u32)>; 2]);

impl<S: Io> Source<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { registration: Registration::new(), io }
    }

    #[inline]
    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Gives the descriptor back, registered nowhere.
    pub(crate) fn into_io(self) -> S {
        self.registration.deregister(self.io.as_fd());
        self.io
    }

    /// The descriptor, which may be another one afterwards: it is registered nowhere now.
    pub(crate) fn io_mut(&mut self) -> &mut S {
        self.registration.deregister(self.io.as_fd());
        self.registration = Registration::new();
        &mut self.io
    }

    /// Runs `operation` until it does not block, waiting in between.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&Waiter>,
        operation: impl FnMut(&S) -> io::Result<Left<R>>,
    ) -> Poll<io::Result<R>> {
        budget::charge(cx, |cx| self.poll_step_by_step(cx, direction, waiter, operation))
    }

    /// As [`poll_io`](Self::poll_io), for an `operation` that is a system call and runs nothing foreign: one look at the
    /// table, which stays borrowed meanwhile, does for what is known, what the call said, and who waits.
    #[inline(always)]
    pub(crate) fn poll_syscall<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&Waiter>,
        mut operation: impl FnMut(&S) -> io::Result<Left<R>>,
    ) -> Poll<io::Result<R>> {
        budget::charge(cx, |cx| {
            match self.registration.attempt::<S, R>(direction, waiter, cx.waker(), || operation(&self.io)) {
                Some(Outcome::Done(result)) => Poll::Ready(result),
                Some(Outcome::Waits { displaced }) => {
                    drop(displaced);
                    Poll::Pending
                }
                None => self.poll_step_by_step(cx, direction, waiter, operation),
            }
        })
    }

    /// With nothing borrowed while `operation` runs, wherever the source is registered.
    #[inline(never)]
    fn poll_step_by_step<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&Waiter>,
        mut operation: impl FnMut(&S) -> io::Result<Left<R>>,
    ) -> Poll<io::Result<R>> {
        loop {
            match self.registration.prospect(direction, waiter) {
                Prospect::Try => {}
                Prospect::Wait => return self.wait(cx, direction, waiter),
                // Nothing to try for, as far as is known; what came since is reported now.
                Prospect::Register => match self.enter(direction, waiter) {
                    Ok(()) => continue,
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
            match operation(self.io()) {
                Ok(Left::Maybe(result)) => return Poll::Ready(Ok(result)),
                Ok(Left::Nothing(result)) => {
                    if S::SHORT_MEANS_DRAINED {
                        self.registration.drained(direction);
                    }
                    return Poll::Ready(Ok(result));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = self.enter(direction, waiter) {
                        return Poll::Ready(Err(error));
                    }
                    self.would_block(direction, Ready::of_operation(direction));
                    return self.wait(cx, direction, waiter);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Waits for something of `interest` that was reported since the operation last blocked. It can be wrong: the
    /// operation tells.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        waiters: Option<&Waiters>,
    ) -> Poll<io::Result<Ready>> {
        budget::charge(cx, |cx| {
            let mut ready = Ready::EMPTY;
            for direction in interest.directions() {
                let waiter = waiters.map(|waiters| waiters.of(direction));
                // A direction that is not registered here may have been reported all the same, to the other's slot.
                let known = match self.registration.ready(direction) {
                    Some(known) => known,
                    None => match self.enter(direction, waiter) {
                        Ok(()) => self.registration.ready(direction).unwrap_or(Ready::ALL),
                        Err(error) => return Poll::Ready(Err(error)),
                    },
                };
                ready = ready | (known & interest.mask());
            }
            if !ready.is_empty() {
                return Poll::Ready(Ok(ready));
            }
            for direction in interest.directions() {
                let waiter = waiters.map(|waiters| waiters.of(direction));
                let _: Poll<io::Result<()>> = self.wait(cx, direction, waiter);
            }
            Poll::Pending
        })
    }

    /// As [`poll_ready`](Self::poll_ready), in a place of its own.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let waiters = Waiters::new();
        poll_fn(|cx| self.poll_ready(cx, interest, Some(&waiters))).await
    }

    /// What has been reported so far.
    pub(crate) fn seen(&self) -> Seen {
        Seen([Direction::Read, Direction::Write].map(|direction| self.registration.events(direction)))
    }

    /// Takes back a readiness in the directions that had no event after `seen`.
    pub(crate) fn clear(&self, seen: &Seen, used_up: Ready) {
        for direction in [Direction::Read, Direction::Write] {
            if self.registration.events(direction) == seen.0[direction as usize] {
                self.would_block(direction, used_up);
            }
        }
    }

    /// Runs `operation` once.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce(&S) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        let is_hopeless = |direction| match self.registration.ready(direction) {
            Some(ready) => (ready & interest.mask()).is_empty(),
            None => false,
        };
        if interest.directions().all(is_hopeless) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match operation(self.io()) {
            Ok(Left::Maybe(result)) => Ok(result),
            Ok(Left::Nothing(result)) => {
                if S::SHORT_MEANS_DRAINED {
                    interest.directions().for_each(|direction| self.registration.drained(direction));
                }
                Ok(result)
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock {
                    interest.directions().for_each(|direction| self.would_block(direction, interest.mask()));
                }
                Err(error)
            }
        }
    }

    /// Runs `operation`, which may be anybody's, whenever something of `interest` is reported, until it does not block.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match self.try_io(interest, |io| operation(io).map(Left::Maybe)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn enter(&self, direction: Direction, waiter: Option<&Waiter>) -> io::Result<()> {
        let fd = Descriptor { fd: self.io.as_fd(), is_owned: S::OWNS_DESCRIPTOR };
        self.registration.enter(fd, direction, waiter)
    }

    fn would_block(&self, direction: Direction, used_up: Ready) {
        self.registration.note(direction, |sources, key, direction| sources.would_block(key, direction, used_up));
    }

    /// Notes who waits for `direction`, which is registered here.
    fn wait<R>(&self, cx: &Context<'_>, direction: Direction, waiter: Option<&Waiter>) -> Poll<io::Result<R>> {
        // Cloned and dropped with nothing borrowed: it may be foreign.
        let mut waker = Some(cx.waker().clone());
        let mut old = None;
        self.registration.note(direction, |sources, key, direction| {
            let place = waiter.map_or(POLL, |waiter| waiter.park(key, || sources.next_place()));
            old = sources.wait(key, direction, place, &mut waker);
        });
        drop(old);
        // A key that is stale, or that another thread has just replaced: ask again.
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Pending
    }
}

impl<S: Io + fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

impl<S: Io> AsFd for Source<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io().as_fd()
    }
}
