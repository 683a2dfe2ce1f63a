//! Which executor runs on this thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::rc::Rc;

use crate::core::Core;

thread_local! {
    /// Const and without a destructor, so that it still answers while the destructors of other thread-locals run. The
    /// guard empties it, so nothing is left to drop.
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Core>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Runs `f` on the core of this thread. The cell is borrowed meanwhile: `f` calls nothing foreign (invariant 10).
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Rc<Core>>) -> R) -> R {
    CURRENT.with(|current| f(current.borrow().as_ref()))
}

/// The core of this thread.
pub(crate) fn current() -> Option<Rc<Core>> {
    with(|core| core.cloned())
}

/// The core of this thread, for what cannot do without.
#[track_caller]
pub(crate) fn expect(who: &str) -> Rc<Core> {
    match current() {
        Some(core) => core,
        None => panic!("{who} outside a Pollywog executor: no `block_on`, `run` or `tick` is under way on this thread"),
    }
}

/// Puts the one before back when dropped.
pub(crate) struct Entered {
    previous: Option<Rc<Core>>,
    _not_send: PhantomData<*const ()>,
}

/// Makes `core` the core of this thread, whichever was before.
pub(crate) fn enter(core: Rc<Core>) -> Entered {
    let previous = CURRENT.with(|current| (*current.borrow_mut()).replace(core));
    Entered { previous, _not_send: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| mem::replace(&mut *current.borrow_mut(), self.previous.take()));
        drop(ours);
    }
}
