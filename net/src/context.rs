//! Which reactor turns on this thread, and where those of other threads are.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Registry;
use pollywog_executor::driver::{ExecutorId, Key, MAX_EXECUTORS, Sequence};

use crate::io::exchange;
use crate::reactor::Shared;

thread_local! {
    /// Const and without a destructor, so that a socket in another thread-local can still be dropped at the thread's
    /// end. The guard empties it.
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Shared>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Runs `f` on the reactor of this thread. The cell is borrowed meanwhile: `f` calls nothing foreign.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Rc<Shared>>) -> R) -> R {
    CURRENT.with(|current| f(current.borrow().as_ref()))
}

/// The reactor of this thread, if it is the one that `key` belongs to.
pub(crate) fn owner_of(key: Key) -> Option<Rc<Shared>> {
    with(|shared| shared.filter(|shared| shared.id == key.executor()).cloned())
}

/// Puts the one before back when dropped.
pub(crate) struct Entered {
    previous: Option<Rc<Shared>>,
    _not_send: PhantomData<*const ()>,
}

/// Makes `shared` the reactor of this thread, whichever was before.
pub(crate) fn enter(shared: Rc<Shared>) -> Entered {
    let buffer = exchange(shared.buffer.take());
    let previous = CURRENT.with(|current| current.borrow_mut().replace(shared));
    if let Some(previous) = &previous {
        previous.buffer.set(buffer);
    }
    Entered { previous, _not_send: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let buffer = exchange(self.previous.as_ref().and_then(|previous| previous.buffer.take()));
        let ours = CURRENT.with(|current| mem::replace(&mut *current.borrow_mut(), self.previous.take()));
        if let Some(ours) = &ours {
            ours.buffer.set(buffer);
        }
        drop(ours);
    }
}

/// What other threads may know of a reactor, by the number of its executor.
struct Known {
    registry: Option<Arc<Registry>>,
    /// Goes on when the number is given to another executor, so that old keys stay stale.
    sequence: Sequence,
}

static REACTORS: [Mutex<Known>; MAX_EXECUTORS] =
    [const { Mutex::new(Known { registry: None, sequence: Sequence::START }) }; MAX_EXECUTORS];

fn known(executor: ExecutorId) -> MutexGuard<'static, Known> {
    REACTORS[executor.index()].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a reactor known; returns the sequence that its keys go on with.
pub(crate) fn publish(executor: ExecutorId, registry: Arc<Registry>) -> Sequence {
    let mut known = known(executor);
    known.registry = Some(registry);
    known.sequence
}

/// The reactor registers nothing any more.
pub(crate) fn withdraw(executor: ExecutorId, sequence: Sequence) {
    let mut known = known(executor);
    known.sequence = sequence;
    let registry = known.registry.take();
    drop(known);
    drop(registry);
}

/// The selector that `key` is registered with, if it is still there.
pub(crate) fn registry_of(key: Key) -> Option<Arc<Registry>> {
    known(key.executor()).registry.clone()
}
