//! The mailboxes of all executors of the process, found by the executor bits of an id.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::contain::contain_quietly;
use crate::core::Core;
use crate::key::{ExecutorId, MAX_EXECUTORS};
use crate::mailbox::Mailbox;

/// What a thread asks of another thread's executor: run there, in its context, with nothing borrowed.
pub(crate) type Command = Box<dyn FnOnce(&Rc<Core>) + Send>;

/// A mailbox stays when its executor goes, since ids that name it may be anywhere; the next executor with that number
/// takes it over.
static MAILBOXES: [OnceLock<Mailbox<Command>>; MAX_EXECUTORS] = [const { OnceLock::new() }; MAX_EXECUTORS];

/// Bit `n` of word `n / 64`: the number is taken.
static TAKEN: Mutex<[u64; MAX_EXECUTORS / 64]> = Mutex::new([0; MAX_EXECUTORS / 64]);

/// The error of a process that already has as many executors alive as ids can tell apart (1,024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyExecutors(());

impl fmt::Display for TooManyExecutors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAX_EXECUTORS} executors are alive in this process, the most there can be: drop one first")
    }
}

impl Error for TooManyExecutors {}

/// Takes the lowest free number.
pub(crate) fn claim() -> Result<(ExecutorId, &'static Mailbox<Command>), TooManyExecutors> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (word, bits) = taken.iter_mut().enumerate().find(|(_, bits)| **bits != u64::MAX).ok_or(TooManyExecutors(()))?;
    let bit = bits.trailing_ones();
    *bits |= 1 << bit;
    let index = word * 64 + bit as usize;
    Ok((ExecutorId::new(index), MAILBOXES[index].get_or_init(Mailbox::closed)))
}

/// Gives a number back; its mailbox is closed.
pub(crate) fn release(executor: ExecutorId) {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    taken[executor.index() / 64] &= !(1 << (executor.index() % 64));
}

/// The mailbox of an executor that is or was.
pub(crate) fn mailbox(executor: ExecutorId) -> Option<&'static Mailbox<Command>> {
    MAILBOXES[executor.index()].get()
}

/// Posts a command to the owner that gave out the number `since`, or drops it (with nothing locked) where that one will
/// not run it.
pub(crate) fn send(executor: ExecutorId, since: u64, command: Command) {
    if let Some(Err(command)) = mailbox(executor).map(|mailbox| mailbox.post_command(since, command)) {
        contain_quietly(|| drop(command));
    }
}

/// Has `command` run on the thread of `executor`, between two polls. It is dropped without being run when that
/// executor is gone, or goes before it came to it.
pub fn post(executor: ExecutorId, command: impl FnOnce() + Send + 'static) {
    send(executor, u64::MAX, Box::new(move |_| command()));
}
