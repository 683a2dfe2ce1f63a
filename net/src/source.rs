//! A descriptor and how its operations wait.
//!
//! The rules, each one a bug in somebody's runtime:
//!
//! - **Try first.** An operation runs before anything else; only 'would block' registers the source (edge-triggered,
//!   both directions, once) and parks the waker. Registering an already ready descriptor delivers its edge, so
//!   nothing is lost, and a connection that never blocks is never registered.
//! - **Short reads.** See [`Io::SHORT_MEANS_DRAINED`]. Where one comes before the registration, the next operation
//!   registers without trying: the selector reports what the try would have found.
//! - **Ids, not descriptors.** What is told to another thread names a slot and its generation. A late message about a
//!   descriptor number could silence the number's next owner.
//! - **Threads.** Each direction is registered with the reactor of the thread that polls it. A second thread that
//!   polls the same direction takes it over, and a future that waited on the first gets an error.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use mio::event::Source as _;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use pollywog_executor::budget;
use pollywog_executor::driver::{self, Key, wake_all};

use crate::context;
use crate::reactor::Shared;
use crate::sources::{Direction, POLL, Sources};
use crate::waiter::Waiter;

/// A descriptor that can be a source.
pub(crate) trait Io: AsFd {
    /// A read or write that moved less than it could has left nothing to move, so the next one need not be tried
    /// before an edge says so: that saves the system call which would only say 'would block'.
    ///
    /// This is more than mio promises. It holds for stream sockets on epoll and kqueue; not for datagrams, peeking,
    /// Unix sockets with passed descriptors or credentials, nor other descriptors. Closing and urgent data are taken
    /// care of in [`Sources::drained`](crate::sources::Sources::drained).
    const SHORT_MEANS_DRAINED: bool;
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

/// A descriptor and, for each direction, where it is registered.
pub(crate) struct Source<S: Io> {
    io: S,
    /// The key of each direction; [`NONE`] while it has none, [`DRAINED`] if moreover there is nothing to try for.
    /// Relaxed: a key is plain data, and what it names is reached only on its own thread.
    keys: [AtomicU64; 2],
}

pub(crate) const NONE: u64 = 0;

/// No key: its slot number is one more than a table has.
const DRAINED: u64 = u64::MAX;

/// Whether an operation is worth a try.
enum Prospect {
    /// It may succeed, or nothing is known.
    Try,
    /// It would block, and an event will say when no more.
    Wait,
    /// It would block, but no event will say so before the source is registered.
    Register,
}

/// Whether an operation left something behind.
pub(crate) enum Left<R> {
    /// Perhaps: try again before waiting.
    Maybe(R),
    /// It moved less than it could.
    Nothing(R),
}

impl<S: Io> Source<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, keys: [AtomicU64::new(NONE), AtomicU64::new(NONE)] }
    }

    #[inline]
    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    #[inline]
    fn state(&self, direction: Direction) -> u64 {
        self.keys[direction as usize].load(Ordering::Relaxed)
    }

    #[inline]
    fn key(&self, direction: Direction) -> Option<Key> {
        Key::from_u64(self.state(direction)).filter(|key| key.get() != DRAINED)
    }

    /// Runs `operation` until it does not block, waiting in between.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&Waiter>,
        mut operation: impl FnMut(&S) -> io::Result<Left<R>>,
    ) -> Poll<io::Result<R>> {
        budget::charge(cx, |cx| {
            loop {
                match self.prospect(direction) {
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
                            self.drained(direction);
                        }
                        return Poll::Ready(Ok(result));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Err(error) = self.enter(direction, waiter) {
                            return Poll::Ready(Err(error));
                        }
                        self.note(direction, Sources::would_block);
                        return self.wait(cx, direction, waiter);
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        })
    }

    /// Waits until `direction` was reported ready since it last blocked. It can be wrong: the operation tells.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiter: Option<&Waiter>,
    ) -> Poll<io::Result<()>> {
        budget::charge(cx, |cx| {
            // A direction that is not registered here may have been reported all the same, to the other's slot.
            if let Err(error) = self.enter(direction, waiter) {
                return Poll::Ready(Err(error));
            }
            match self.prospect(direction) {
                Prospect::Wait => self.wait(cx, direction, waiter),
                Prospect::Try | Prospect::Register => Poll::Ready(Ok(())),
            }
        })
    }

    /// Runs `operation` once.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<Left<R>>,
    ) -> io::Result<R> {
        if let Prospect::Wait = self.prospect(direction) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match operation(self.io()) {
            Ok(Left::Maybe(result)) => Ok(result),
            Ok(Left::Nothing(result)) => {
                if S::SHORT_MEANS_DRAINED {
                    self.drained(direction);
                }
                Ok(result)
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.note(direction, Sources::would_block);
                }
                Err(error)
            }
        }
    }

    /// What this thread's reactor knows of `direction`.
    #[inline]
    fn prospect(&self, direction: Direction) -> Prospect {
        match self.state(direction) {
            NONE => Prospect::Try,
            // Where it cannot be registered, trying is all that can be done.
            DRAINED if context::with(|reactor| reactor.is_none()) => Prospect::Try,
            DRAINED => Prospect::Register,
            key => context::with(|reactor| match (reactor, Key::from_u64(key)) {
                (Some(reactor), Some(key)) if reactor.id == key.executor() => {
                    if reactor.sources.borrow().is_ready(key, direction) { Prospect::Try } else { Prospect::Wait }
                }
                _ => Prospect::Try,
            }),
        }
    }

    /// Notes in this thread's table what an operation said; `false` if `direction` is not registered there.
    #[inline]
    fn note(&self, direction: Direction, what: impl FnOnce(&mut Sources, Key, Direction)) -> bool {
        let Some(key) = self.key(direction) else { return false };
        context::with(|reactor| match reactor {
            Some(reactor) if reactor.id == key.executor() => {
                what(&mut reactor.sources.borrow_mut(), key, direction);
                true
            }
            _ => false,
        })
    }

    #[inline]
    fn drained(&self, direction: Direction) {
        if !self.note(direction, Sources::drained) {
            self.drained_before_registration(direction);
        }
    }

    #[cold]
    #[inline(never)]
    fn drained_before_registration(&self, direction: Direction) {
        // It fails where the direction is registered, with the reactor of another thread.
        let cell = &self.keys[direction as usize];
        let _ = cell.compare_exchange(NONE, DRAINED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Registers `direction` with this thread's reactor, where it is not.
    #[cold]
    #[inline(never)]
    fn enter(&self, direction: Direction, waiter: Option<&Waiter>) -> io::Result<()> {
        let Some(reactor) = context::with(|reactor| reactor.cloned()) else {
            return Err(io::Error::other(
                "a socket has to wait, but no Pollywog runtime runs on this thread: poll it inside \
                 `pollywog_net::run` or `Runtime::block_on`",
            ));
        };
        // A key of this thread's is one of its own other waits, after the runtime before it is gone.
        let elsewhere = self.key(direction).filter(|key| key.executor() != reactor.id);
        if waiter.is_some_and(|waiter| waiter.was_handed_over(elsewhere)) {
            return Err(handed_over());
        }
        self.register(&reactor, direction)
    }

    /// Notes who waits for `direction`, which is registered here.
    fn wait<R>(&self, cx: &Context<'_>, direction: Direction, waiter: Option<&Waiter>) -> Poll<io::Result<R>> {
        // Cloned and dropped with nothing borrowed: it may be foreign.
        let mut waker = Some(cx.waker().clone());
        let mut old = None;
        self.note(direction, |sources, key, direction| {
            let place = waiter.map_or(POLL, |waiter| waiter.park(key, sources));
            old = sources.wait(key, direction, place, &mut waker);
        });
        drop(old);
        // A key that is stale, or that another thread has just replaced: ask again.
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Pending
    }

    /// Gives `direction` a key at `reactor`, registering the source there if need be.
    fn register(&self, reactor: &Rc<Shared>, direction: Direction) -> io::Result<()> {
        let is_live = |key: &Key| key.executor() == reactor.id && reactor.sources.borrow().contains(*key);
        // From here on the source is in the hands of one thread: what is read of the other direction holds, and nobody
        // adds a descriptor that is about to be taken out.
        let _registering = registering(self);
        let expected = self.state(direction);
        let before = self.key(direction);
        if before.is_some_and(|key| is_live(&key)) {
            return Ok(());
        }
        let other = self.key(direction.other());
        if let Some(stale) = other.filter(|key| key.executor() == reactor.id && !is_live(key)) {
            // Of a runtime before this one, which had its number. It goes, so that no source has two keys of a number.
            let cell = &self.keys[direction.other() as usize];
            let _ = cell.compare_exchange(stale.get(), NONE, Ordering::Relaxed, Ordering::Relaxed);
        }
        let (key, is_shared) = match other.filter(is_live) {
            Some(key) => (key, true),
            None => (self.add(reactor, direction)?, false),
        };
        let cell = &self.keys[direction as usize];
        if cell.compare_exchange(expected, key.get(), Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Another thread polls the same direction at the same moment, and was first.
            if !is_shared {
                self.remove(key, true);
            }
            return Err(handed_over());
        }
        // A key with this reactor's number that is not live is of a runtime before this one, and gone with it.
        if let Some(before) = before.filter(|before| before.executor() != reactor.id) {
            // The other direction may be registered under the same key: who waits there is woken, and registers anew.
            self.remove(before, true);
        }
        Ok(())
    }

    /// Registers both directions with the selector: one system call for the life of the connection.
    fn add(&self, reactor: &Shared, blocked: Direction) -> io::Result<Key> {
        if reactor.is_closing() {
            return Err(io::Error::other("the runtime of this thread is shutting down"));
        }
        let key = reactor.sources.borrow_mut().insert(blocked);
        let key = key.ok_or_else(|| io::Error::other("2^24 - 1 sockets are registered, the most that can be"))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        let descriptor = self.io().as_fd().as_raw_fd();
        if let Err(error) = SourceFd(&descriptor).register(&reactor.registry, Token(key.get() as usize), interest) {
            let wakers = reactor.sources.borrow_mut().remove(key);
            drop(wakers);
            return Err(error);
        }
        Ok(key)
    }

    /// Frees a slot, wherever it is. `deregister` where the descriptor lives on: it is done here, by who holds the
    /// descriptor, before the message.
    fn remove(&self, key: Key, deregister: bool) {
        if deregister && let Some(registry) = context::registry_of(key) {
            let descriptor = self.io().as_fd().as_raw_fd();
            // It fails only where the descriptor is not registered, which is what we want.
            let _ = SourceFd(&descriptor).deregister(&registry);
        }
        match context::owner_of(key) {
            Some(reactor) => free(&reactor, key),
            None => driver::post(key.executor(), move || {
                if let Some(reactor) = context::owner_of(key) {
                    free(&reactor, key);
                }
            }),
        }
    }

    fn remove_all(&self) {
        let [read, write] = [Direction::Read, Direction::Write].map(|direction| self.key(direction));
        for key in read.into_iter().chain(write.filter(|_| write != read)) {
            self.remove(key, false);
        }
    }
}

/// Registering is cold, but goes on at all threads: the locks are many, chosen by the source's address. No foreign code
/// runs under them but the unparker of a reactor that is told to forget a slot.
fn registering<S: Io>(source: &Source<S>) -> MutexGuard<'static, ()> {
    static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];
    let lock = &LOCKS[(ptr::from_ref(source).addr() / size_of::<Source<S>>()) % LOCKS.len()];
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees a slot of this thread's reactor. Who still waits there is woken, to find out.
fn free(reactor: &Shared, key: Key) {
    let wakers = reactor.sources.borrow_mut().remove(key);
    wake_all(wakers);
}

fn handed_over() -> io::Error {
    io::Error::other("another thread polls this direction of the socket now: let one thread read and one write")
}

impl<S: Io> Drop for Source<S> {
    fn drop(&mut self) {
        // Closing the only descriptor takes it out of the selector. Were there a duplicate, its events would name a
        // stale key.
        self.remove_all();
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
