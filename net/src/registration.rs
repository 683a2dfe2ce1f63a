//! Where a descriptor is registered: each direction with the reactor of the thread that polls it.
//!
//! - **Ids, not descriptors.** What is told to another thread names a slot and its generation. A late message about a
//!   descriptor number could silence the number's next owner.
//! - **Threads.** A second thread that polls a direction takes it over. Who waited for it on the first is woken: a
//!   future of an async method gets an error then. A `poll_*` method, which cannot know whether it is called by who
//!   waited before, takes the direction back, and gets the error where that goes to and fro.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use mio::event::Source as _;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use pollywog_executor::driver::{self, Key, TaskId, wake_all};
use pollywog_executor::spawn;

use crate::context;
use crate::interest::Ready;
use crate::reactor::Shared;
use crate::source::{Io, Left};
use crate::sources::{Direction, Sources};
use crate::waiter::Waiter;

/// The key of each direction.
pub(crate) struct Registration {
    /// [`NONE`] while there is none, [`DRAINED`] if moreover there is nothing to try for. Relaxed: a key is plain data,
    /// and what it names is reached only on its own thread.
    keys: [AtomicU64; 2],
    /// How often a direction was taken back at once through `poll_*`, less how often later. Two threads may lose a count.
    taken_back: [AtomicU8; 2],
}

/// So many times are a fight, and no accident: that a task gets a socket back in the very poll in which it learns that
/// it was taken.
const FIGHT: u8 = 8;

pub(crate) const NONE: u64 = 0;

/// No key: its slot number is one more than a table has.
const DRAINED: u64 = u64::MAX;

/// What is registered.
#[derive(Clone, Copy)]
pub(crate) struct Descriptor<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    /// Nobody else can register this number.
    pub(crate) is_owned: bool,
}

/// Whether an operation is worth a try.
pub(crate) enum Prospect {
    /// It may succeed, or nothing is known.
    Try,
    /// It would block, and an event will wake who waits.
    Wait,
    /// It would block, but no event will say so before the source is registered.
    Register,
}

/// What became of an operation.
pub(crate) enum Outcome<R> {
    Done(io::Result<R>),
    /// It would block, and an event will wake who waits now. What stood in its place is to be dropped.
    Waits {
        displaced: Option<Waker>,
    },
}

impl Registration {
    pub(crate) fn new() -> Self {
        Self { keys: [AtomicU64::new(NONE), AtomicU64::new(NONE)], taken_back: [AtomicU8::new(0), AtomicU8::new(0)] }
    }

    #[inline]
    fn state(&self, direction: Direction) -> u64 {
        self.keys[direction as usize].load(Ordering::Relaxed)
    }

    #[inline]
    fn key(&self, direction: Direction) -> Option<Key> {
        Key::from_u64(self.state(direction)).filter(|key| key.get() != DRAINED)
    }

    /// What this thread's reactor knows of `direction`.
    pub(crate) fn prospect(&self, direction: Direction, waiter: Option<&Waiter>) -> Prospect {
        match self.state(direction) {
            NONE => Prospect::Try,
            // Where it cannot be registered, trying is all that can be done.
            DRAINED if context::with(|reactor| reactor.is_none()) => Prospect::Try,
            DRAINED => Prospect::Register,
            key => context::with(|reactor| match (reactor, Key::from_u64(key)) {
                (Some(reactor), Some(key)) if reactor.id == key.executor() => {
                    match reactor.sources.borrow().is_worth_a_try(key, direction, waiter) {
                        true => Prospect::Try,
                        false => Prospect::Wait,
                    }
                }
                _ => Prospect::Try,
            }),
        }
    }

    /// As [`Sources::attempt`], which borrows the table while `operation` runs. `None` also where `direction` is not
    /// registered with this thread's reactor, or `waker` is of another make.
    #[inline(always)]
    pub(crate) fn attempt<S: Io, R>(
        &self,
        direction: Direction,
        waiter: Option<&Waiter>,
        waker: &Waker,
        operation: impl FnMut() -> io::Result<Left<R>>,
    ) -> Option<Outcome<R>> {
        let key = self.key(direction)?;
        let task = TaskId::of(waker)?;
        context::with(|reactor| {
            let reactor = reactor.filter(|reactor| reactor.id == key.executor())?;
            reactor.sources.borrow_mut().attempt::<S, R>(key, direction, waiter, task, operation)
        })
    }

    /// What this thread's table says of `direction`; nothing where it is not registered there.
    pub(crate) fn ready(&self, direction: Direction) -> Option<Ready> {
        let key = self.key(direction)?;
        context::with(|reactor| {
            let reactor = reactor.filter(|reactor| reactor.id == key.executor())?;
            reactor.sources.borrow().ready(key, direction)
        })
    }

    /// Where `direction` is registered with this thread's reactor, and how many events it has had there.
    pub(crate) fn events(&self, direction: Direction) -> Option<(Key, u32)> {
        let key = self.key(direction)?;
        context::with(|reactor| {
            let reactor = reactor.filter(|reactor| reactor.id == key.executor())?;
            Some((key, reactor.sources.borrow().events(key, direction)))
        })
    }

    /// Notes in this thread's table what an operation said; `false` if `direction` is not registered there.
    #[inline]
    pub(crate) fn note(&self, direction: Direction, what: impl FnOnce(&mut Sources, Key, Direction)) -> bool {
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
    pub(crate) fn drained(&self, direction: Direction) {
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
    pub(crate) fn enter(&self, fd: Descriptor<'_>, direction: Direction, waiter: Option<&Waiter>) -> io::Result<()> {
        let Some(reactor) = context::with(|reactor| reactor.cloned()) else {
            return Err(io::Error::other(
                "a socket has to wait, but no Pollywog runtime runs on this thread: poll it inside \
                 `pollywog_net::run` or `Runtime::block_on`",
            ));
        };
        // A key of this thread's is one of its own other waits, after the runtime before it is gone. Where the runtime of
        // another is gone, nobody polls.
        let elsewhere = self.key(direction).filter(|key| key.executor() != reactor.id);
        if let Some(elsewhere) = elsewhere.filter(|key| context::registry_of(*key).is_some()) {
            let is_lost = match waiter {
                Some(waiter) => waiter.was_handed_over(elsewhere),
                None => {
                    let at_once = reactor.handed_over.borrow_mut().remove(&(elsewhere, direction));
                    self.is_fought_for(direction, at_once)
                }
            };
            if is_lost {
                return Err(handed_over());
            }
        }
        self.register(fd, &reactor, direction)
    }

    /// Counts how often `direction` is taken back by who has just been told that it was taken, rather than later.
    fn is_fought_for(&self, direction: Direction, at_once: bool) -> bool {
        let count = &self.taken_back[direction as usize];
        let times = count.load(Ordering::Relaxed);
        let times = if at_once { times + 1 } else { times.saturating_sub(1) };
        let is_fight = times == FIGHT;
        count.store(if is_fight { 0 } else { times }, Ordering::Relaxed);
        is_fight
    }

    /// Gives `direction` a key at `reactor`, registering the descriptor there if need be.
    fn register(&self, fd: Descriptor<'_>, reactor: &Rc<Shared>, direction: Direction) -> io::Result<()> {
        let is_live = |key: &Key| key.executor() == reactor.id && reactor.sources.borrow().contains(*key);
        // From here on the source is in the hands of one thread: what is read of the other direction holds, and nobody
        // adds a descriptor that is about to be taken out.
        let registering = registering(self);
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
            None => (add(fd, reactor, direction)?, false),
        };
        let cell = &self.keys[direction as usize];
        if cell.compare_exchange(expected, key.get(), Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Another thread polls the same direction at the same moment, and was first.
            if !is_shared {
                deregister(fd.fd, key);
                drop(registering);
                remove(key, None);
            }
            return Err(handed_over());
        }
        // A key with this reactor's number that is not live is of a runtime before this one, and gone with it.
        if let Some(before) = before.filter(|before| before.executor() != reactor.id) {
            // The other direction may be registered under the same key: who waits there is woken, and registers anew.
            deregister(fd.fd, before);
            // It may wake an outer loop, and that anything.
            drop(registering);
            remove(before, Some((key, direction)));
        }
        Ok(())
    }

    /// Takes the descriptor, which lives on, out of the selectors.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        self.keys().for_each(|key| deregister(fd, key));
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let [read, write] = [Direction::Read, Direction::Write].map(|direction| self.key(direction));
        read.into_iter().chain(write.filter(|_| write != read))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Closing the only descriptor takes it out of the selector. Were there a duplicate, its events would name a
        // stale key.
        self.keys().for_each(|key| remove(key, None));
    }
}

/// Registering is cold, but goes on at all threads: the locks are many, chosen by the source's address. No foreign code
/// runs under them.
fn registering(registration: &Registration) -> MutexGuard<'static, ()> {
    static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];
    let lock = &LOCKS[(ptr::from_ref(registration).addr() / size_of::<Registration>()) % LOCKS.len()];
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers both directions with the selector: one system call for the life of the connection.
fn add(fd: Descriptor<'_>, reactor: &Shared, blocked: Direction) -> io::Result<Key> {
    if reactor.is_closing() {
        return Err(io::Error::other("the runtime of this thread is shutting down"));
    }
    let key = reactor.sources.borrow_mut().insert(blocked);
    let key = key.ok_or_else(|| io::Error::other("2^24 - 1 sockets are registered, the most that can be"))?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let interest = interest | Interest::PRIORITY;
    let (descriptor, token) = (fd.fd.as_raw_fd(), Token(key.get() as usize));
    let added = match SourceFd(&descriptor).register(&reactor.registry, token, interest) {
        // What was registered under this number lives on in a duplicate, or it would be gone: its entry is a ghost.
        // Unless somebody has borrowed the descriptor.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists && fd.is_owned && !reactor.is_borrowed(descriptor) =>
        {
            SourceFd(&descriptor).reregister(&reactor.registry, token, interest)
        }
        added => added,
    };
    if let Err(error) = explain(added) {
        let wakers = reactor.sources.borrow_mut().remove(key);
        drop(wakers);
        return Err(error);
    }
    if !fd.is_owned {
        reactor.borrowed.borrow_mut().insert(key, descriptor);
    }
    Ok(key)
}

/// What a selector says when it takes no descriptor, for people.
pub(crate) fn explain(added: io::Result<()>) -> io::Result<()> {
    added.map_err(|error| match error.kind() {
        // The one meaning that it has for epoll.
        io::ErrorKind::PermissionDenied => io::Error::new(
            io::ErrorKind::Unsupported,
            "this descriptor cannot be waited for: it is that of a regular file, a directory, or a device like \
             /dev/null, which the system calls ready at any time; use it on the blocking pool, with `spawn_blocking` \
             or the feature `fs`",
        ),
        io::ErrorKind::AlreadyExists => io::Error::new(
            io::ErrorKind::AlreadyExists,
            "this descriptor is waited for already, through another owner: let each have a duplicate (`try_clone`)",
        ),
        _ => error,
    })
}

/// Takes a descriptor out of the selector of `key`: done by who holds the descriptor, before any message.
fn deregister(fd: BorrowedFd<'_>, key: Key) {
    if let Some(registry) = context::registry_of(key) {
        // It fails only where the descriptor is not registered, which is what we want.
        let _ = SourceFd(&fd.as_raw_fd()).deregister(&registry);
    }
}

/// Frees a slot, wherever it is. `taken` is the direction that another thread has taken over, and its key there.
fn remove(key: Key, taken: Option<(Key, Direction)>) {
    match context::owner_of(key) {
        Some(reactor) => free(&reactor, key, taken),
        None => driver::post(key.executor(), move || {
            if let Some(reactor) = context::owner_of(key) {
                free(&reactor, key, taken);
            }
        }),
    }
}

/// Frees a slot of this thread's reactor. Who still waits there is woken, to find out.
fn free(reactor: &Rc<Shared>, key: Key, taken: Option<(Key, Direction)>) {
    let taken = taken.filter(|(_, direction)| reactor.sources.borrow().is_polled(key, *direction));
    let wakers = reactor.sources.borrow_mut().remove(key);
    reactor.borrowed.borrow_mut().remove(&key);
    wake_all(wakers);
    let Some(taken) = taken.filter(|_| !reactor.is_closing()) else { return };
    // Who waits through `poll_*` has nothing of its own that could remember the key. So the next poll is told, as long as
    // it may come from the task that was just woken: until the task after that runs.
    reactor.handed_over.borrow_mut().insert(taken);
    let reactor = Rc::downgrade(reactor);
    drop(spawn(async move {
        if let Some(reactor) = reactor.upgrade() {
            reactor.handed_over.borrow_mut().remove(&taken);
        }
    }));
}

fn handed_over() -> io::Error {
    io::Error::other("another thread polls this direction of the socket now: let one thread read and one write")
}
