//! An allocator that counts, so that memory is measured and not computed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Install it with `#[global_allocator]`.
pub(crate) struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);
static ALLOCATIONS: AtomicIsize = AtomicIsize::new(0);

/// What a program has asked for, as opposed to what the allocator rounds it up to.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    /// The bytes that are alive.
    pub(crate) bytes: isize,
    /// Allocations ever made; one that grows counts once more.
    pub(crate) allocations: isize,
}

impl Count {
    pub(crate) fn now() -> Self {
        Self { bytes: BYTES.load(Relaxed), allocations: ALLOCATIONS.load(Relaxed) }
    }

    /// What was added since this count was taken.
    pub(crate) fn since(self) -> Self {
        let now = Self::now();
        Self { bytes: now.bytes - self.bytes, allocations: now.allocations - self.allocations }
    }
}

// SAFETY: every call is passed on to `System` unchanged, which keeps `GlobalAlloc`'s contract; the counts beside it
// touch no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: `pointer` came from this allocator with this `layout`, so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size as isize - layout.size() as isize, Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as in `dealloc`, and the caller's promise about `size` is the one that `System` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
