//! The reactor's buffer for whoever reads and keeps nothing: one for all, large, and warm.

use std::cell::Cell;
use std::mem::{self, ManuallyDrop};

use crate::context;

/// How large it is.
const SIZE: usize = 64 * 1024;

thread_local! {
    /// That of the reactor which turns on this thread, unless somebody has it. Const and without a destructor: whoever
    /// makes another reactor the thread's [exchanges](exchange) it, and nothing is left at the end.
    static AT_HAND: ManuallyDrop<Cell<Option<Box<[u8]>>>> = const { ManuallyDrop::new(Cell::new(None)) };
}

/// Puts `buffer` in the place of what is there.
pub(crate) fn exchange(buffer: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
    AT_HAND.with(|at_hand| at_hand.replace(buffer))
}

/// The buffer, which goes back when this is dropped, also where the borrower panics.
pub(crate) struct Lent {
    pub(crate) buffer: Box<[u8]>,
}

impl Lent {
    /// `None` where no runtime runs. While somebody has the buffer there is another.
    #[inline]
    pub(crate) fn take() -> Option<Self> {
        match AT_HAND.with(|at_hand| at_hand.take()) {
            Some(buffer) => Some(Self { buffer }),
            None => Self::another(),
        }
    }

    #[cold]
    #[inline(never)]
    fn another() -> Option<Self> {
        context::with(|reactor| reactor.is_some()).then(|| Self { buffer: vec![0; SIZE].into_boxed_slice() })
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        exchange(Some(mem::take(&mut self.buffer)));
    }
}

/// Calls `f` with the buffer that [`read_with`](crate::TcpStream::read_with) lends, or with a small one where no runtime
/// runs.
#[inline]
pub(crate) fn with_lent<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    match Lent::take() {
        Some(mut lent) => f(&mut lent.buffer),
        None => with_small(f),
    }
}

/// For streams that lie in memory. Apart, so that nobody else has it on the stack.
#[cold]
#[inline(never)]
fn with_small<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    f(&mut [0; 4096])
}
