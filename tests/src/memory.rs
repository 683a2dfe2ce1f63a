//! What a thread has allocated, counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, and a count of the bytes that each thread has allocated and not freed. A test file that
/// counts makes it its own:
///
/// ```
/// use pollywog_tests::memory::{Counting, live};
///
/// #[global_allocator]
/// static COUNTING: Counting = Counting;
///
/// # fn main() {
/// let before = live();
/// let bytes = vec![0_u8; 100];
/// assert_eq!(live() - before, 100);
/// drop(bytes);
/// assert_eq!(live(), before);
/// # }
/// ```
#[derive(Debug)]
pub struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The bytes that this thread has allocated, less those that it has freed: what is made here and freed elsewhere is
/// missed.
pub fn live() -> isize {
    LIVE.get()
}

// SAFETY: every call is passed on to `System` unchanged, which keeps `GlobalAlloc`'s contract; the count beside it is a
// thread-local without a destructor and allocates nothing. `realloc` is the default, which calls these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`, and `data` came from `System` with this layout.
        unsafe { System.dealloc(data, layout) }
    }
}
