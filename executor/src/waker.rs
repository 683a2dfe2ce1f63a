//! Task ids as wakers.
//!
//! Invariant 1: a task's memory is reached only from its executor's thread. A waker carries no pointer: its data word
//! *is* the id, so cloning and dropping it do nothing, and one that outlives its task, its executor or the process's
//! luck names a stale id, which every table ignores (invariant 4).

use std::fmt;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::context;
use crate::key::{ExecutorId, Key};
use crate::registry;
use crate::trace;

/// The id of a task as its wakers carry it.
///
/// A [`Driver`](crate::driver::Driver) stores it in place of a waker, where a waker is one of ours, and hands it back
/// when the task is ready.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(pub(crate) Key);

impl TaskId {
    /// The task that `waker` wakes, or `None` when it is not a waker of this crate.
    #[inline]
    pub fn of(waker: &Waker) -> Option<Self> {
        if !ptr::eq(waker.vtable(), &VTABLE) {
            return None;
        }
        Key::from_u64(waker.data().addr() as u64).map(Self)
    }

    /// The executor that runs the task.
    #[inline]
    pub fn executor(self) -> ExecutorId {
        self.0.executor()
    }

    /// A waker for the task.
    #[inline]
    pub fn waker(self) -> Waker {
        let data = ptr::without_provenance(self.0.get() as usize);
        // SAFETY: `Waker::new` asks that `VTABLE`'s functions keep `RawWakerVTable`'s contract for `data`. They are
        // safe to call from any thread with any data, as none dereferences it. `raw_clone` gives a waker for the same
        // task; there is no resource to keep alive or to release, so `raw_wake` and `raw_drop` release none. The
        // data is an id that `Key::get` gave, which is all that `raw_wake_by_ref` relies on.
        unsafe { Waker::new(data, &VTABLE) }
    }

    /// Wakes the task, from any thread: its next poll comes after this call. Waking a task that is done does nothing.
    #[inline]
    pub fn wake(self) {
        let local = context::with(|core| match core {
            Some(core) if core.id == self.executor() => {
                core.schedule(self);
                true
            }
            _ => false,
        });
        if !local {
            wake_remote(self);
        }
        trace::wake(self, local);
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({:?})", self.0)
    }
}

/// A `static`: `Waker::will_wake` compares its address.
static VTABLE: RawWakerVTable = RawWakerVTable::new(raw_clone, raw_wake, raw_wake_by_ref, raw_drop);

fn raw_clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn raw_wake(data: *const ()) {
    raw_wake_by_ref(data);
}

fn raw_wake_by_ref(data: *const ()) {
    if let Some(key) = Key::from_u64(data.addr() as u64) {
        TaskId(key).wake();
    }
}

fn raw_drop(_: *const ()) {}

/// The way to another thread: the only place of the wake path with a lock or an atomic read-modify-write.
#[cold]
#[inline(never)]
fn wake_remote(task: TaskId) {
    if let Some(mailbox) = registry::mailbox(task.executor()) {
        mailbox.post_wake(task.0);
    }
}
