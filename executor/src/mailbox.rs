//! The inbox of an executor: the only memory that another thread writes.
//!
//! It holds two queues under one lock, the ids of tasks to wake (each at most once) and commands (first in, first
//! out), and beside the lock one byte that says what the owner does.
//!
//! ```text
//!  AWAKE ──post──► DIRTY ──take (under the lock)──► AWAKE
//!  AWAKE ──try_park (owner, compare-exchange)──► PARKED ──end_park (owner, compare-exchange)──► AWAKE
//!                                                PARKED ──post──► DIRTY, and this poster unparks
//! ```
//!
//! - Invariant 5: every move to DIRTY is made under the lock, after the push that it announces. So whoever sees
//!   DIRTY and takes the lock finds the message.
//! - Invariant 6: the owner sleeps only through its own AWAKE → PARKED, taken after it has computed everything that
//!   could shorten the sleep. So a post between the computing and the sleeping makes `try_park` fail.
//! - Invariant 7: PARKED means 'whoever posts must call the unparker'. Exactly one poster turns PARKED into DIRTY,
//!   and it is the one that unparks; the unparker is sticky, so it may come before the sleep itself.
//! - Invariant 11: posting a wake holds one lock for one push, allocates at most to grow, and never panics.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use crate::contain::contain_quietly;
use crate::key::Key;
use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering};

/// The owner runs and the queues are empty.
const AWAKE: u8 = 0;
/// A message waits.
const DIRTY: u8 = 1;
/// The owner sleeps or is about to: whoever posts must call the unparker.
const PARKED: u8 = 2;

/// A table that could hold so many times what it holds is too large.
const SPARSE: usize = 16;

/// The inbox; `C` is the type of a command.
pub(crate) struct Mailbox<C> {
    state: AtomicU8,
    inbox: Mutex<Inbox<C>>,
}

struct Inbox<C> {
    open: bool,
    mail: Mail<C>,
    /// Shared, so that no code of the driver's waker runs under the lock (invariant 10).
    unparker: Option<Arc<Waker>>,
    /// The last sequence number that earlier owners of this mailbox gave out.
    sequence: u64,
}

/// What was posted, in the order of posting.
pub(crate) struct Mail<C> {
    pub(crate) wakes: Vec<Key>,
    pub(crate) commands: Vec<C>,
    /// The keys that stand in `wakes`.
    seen: HashSet<Key, BuildHasherDefault<DefaultHasher>>,
}

impl<C> Inbox<C> {
    fn is_owned_since(&self, sequence: u64) -> bool {
        self.open && sequence > self.sequence
    }
}

impl<C> Mail<C> {
    pub(crate) fn new() -> Self {
        Self { wakes: Vec::new(), commands: Vec::new(), seen: HashSet::default() }
    }
}

impl<C> Mailbox<C> {
    /// A mailbox without an owner: what is posted is given back.
    pub(crate) fn closed() -> Self {
        let inbox = Inbox { open: false, mail: Mail::new(), unparker: None, sequence: 0 };
        Self { state: AtomicU8::new(AWAKE), inbox: Mutex::new(inbox) }
    }

    /// The lock, whether or not somebody panicked under it: nothing foreign ever runs there.
    fn lock(&self) -> MutexGuard<'_, Inbox<C>> {
        self.inbox.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Begins the time of an owner; returns the last sequence number of those before it.
    pub(crate) fn open(&self) -> u64 {
        let mut inbox = self.lock();
        inbox.open = true;
        self.state.store(AWAKE, Ordering::Relaxed);
        inbox.sequence
    }

    /// Ends it: from now on what is posted is given back. The mail that nobody will read is returned, to be dropped
    /// without the lock.
    pub(crate) fn close(&self) -> Mail<C> {
        let mut inbox = self.lock();
        inbox.open = false;
        let unparker = inbox.unparker.take();
        let mail = mem::replace(&mut inbox.mail, Mail::new());
        self.state.store(AWAKE, Ordering::Relaxed);
        drop(inbox);
        contain_quietly(|| drop(unparker));
        mail
    }

    /// The last sequence number of an owner that has closed, and gives out no more.
    pub(crate) fn retire(&self, sequence: u64) {
        self.lock().sequence = sequence;
    }

    /// Whether the owner that gave out the number `sequence` is still there.
    pub(crate) fn is_owned_since(&self, sequence: u64) -> bool {
        self.lock().is_owned_since(sequence)
    }

    /// Sets what ends the owner's sleep, or nothing where it cannot sleep.
    pub(crate) fn set_unparker(&self, unparker: Option<Arc<Waker>>) {
        let old = mem::replace(&mut self.lock().unparker, unparker);
        contain_quietly(|| drop(old));
    }

    /// Posts the wake of a task, from any thread.
    pub(crate) fn post_wake(&self, task: Key) {
        let mut inbox = self.lock();
        if inbox.open && inbox.mail.seen.insert(task) {
            inbox.mail.wakes.push(task);
            self.announce(inbox);
        }
    }

    /// Posts a command, from any thread, to the owner that gave out the number `since`; or gives it back when that one
    /// will not run it.
    pub(crate) fn post_command(&self, since: u64, command: C) -> Result<(), C> {
        let mut inbox = self.lock();
        if !inbox.is_owned_since(since) {
            return Err(command);
        }
        inbox.mail.commands.push(command);
        self.announce(inbox);
        Ok(())
    }

    /// Tells the owner of what was just pushed (invariants 5 and 7).
    fn announce(&self, inbox: MutexGuard<'_, Inbox<C>>) {
        if self.state.swap(DIRTY, Ordering::Release) == PARKED {
            let unparker = inbox.unparker.clone();
            drop(inbox);
            if let Some(unparker) = unparker {
                contain_quietly(|| {
                    unparker.wake_by_ref();
                    drop(unparker);
                });
            }
        }
    }

    /// Owner: swaps what was posted so far with the empty `mail`; says whether there was anything.
    ///
    /// It looks at one byte, and takes the lock only when mail is there.
    #[inline]
    pub(crate) fn take(&self, mail: &mut Mail<C>) -> bool {
        // Acquire is not needed to see the mail, which the lock hands over; it keeps the reading thread from
        // running ahead of what the poster did before it posted.
        self.has_mail() && self.take_dirty(mail)
    }

    #[cold]
    fn take_dirty(&self, mail: &mut Mail<C>) -> bool {
        let mut inbox = self.lock();
        mem::swap(&mut inbox.mail, mail);
        // Clearing costs what the table could hold: after a burst it is given back.
        match mail.seen.capacity() > SPARSE * mail.wakes.len().max(SPARSE) {
            true => mail.seen = HashSet::default(),
            false => mail.seen.clear(),
        }
        self.state.store(AWAKE, Ordering::Relaxed);
        true
    }

    /// Owner: whether a message waits.
    pub(crate) fn has_mail(&self) -> bool {
        self.state.load(Ordering::Acquire) == DIRTY
    }

    /// Owner: announces the sleep (invariant 6). `false` means that mail came: do not sleep.
    pub(crate) fn try_park(&self) -> bool {
        self.state.compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Owner: the sleep is over, for whatever reason. `false` means that it was over already: a poster has ended it, and
    /// its mail is taken as ever.
    pub(crate) fn end_park(&self) -> bool {
        self.state.compare_exchange(PARKED, AWAKE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(all(test, pollywog_loom))]
mod loom;

#[cfg(all(test, not(pollywog_loom)))]
mod tests {
    use super::*;
    use crate::key::ExecutorId;

    fn key(slot: u32) -> Key {
        Key::new(ExecutorId::new(0), slot, 1)
    }

    #[test]
    fn a_wake_that_waits_is_not_queued_twice() {
        let mailbox = Mailbox::<()>::closed();
        mailbox.open();
        for _ in 0..3 {
            mailbox.post_wake(key(1));
            mailbox.post_wake(key(2));
        }
        let mut mail = Mail::new();
        assert!(mailbox.take(&mut mail));
        assert_eq!(mail.wakes, [key(1), key(2)]);
        mail.wakes.clear();
        assert!(!mailbox.take(&mut mail));
        mailbox.post_wake(key(1));
        assert!(mailbox.take(&mut mail), "once taken, it can be queued again");
        assert_eq!(mail.wakes, [key(1)]);
    }

    #[test]
    fn a_closed_mailbox_gives_commands_back_and_keeps_the_sequence() {
        let mailbox = Mailbox::closed();
        assert_eq!(mailbox.open(), 0);
        assert_eq!(mailbox.post_command(42, "read"), Ok(()));
        assert_eq!(mailbox.close().commands, ["read"]);
        mailbox.retire(41);
        mailbox.post_wake(key(1));
        assert_eq!(mailbox.post_command(42, "too late"), Err("too late"));
        assert_eq!(mailbox.open(), 41, "the next owner goes on from there");
        assert!(!mailbox.take(&mut Mail::new()));
        assert!(mailbox.is_owned_since(42) && !mailbox.is_owned_since(41));
    }
}
