//! The bytes that are alive: what was asked of the allocator and not given back, without what the allocator adds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use super::Peer;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALIVE: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator, counted while a row asks for it: so the count costs the other rows one load.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: isize) {
    if COUNTING.load(Relaxed) {
        ALIVE.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: every call is passed on to `System` unchanged, which keeps `GlobalAlloc`'s contract; the count beside it
// touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: `pointer` came from above with this `layout`, so from `System`; `size` is the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `pointer` came from above with this `layout`, so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

async fn bytes<P: Peer, F: Future<Output = ()> + 'static>(tasks: usize, future: impl Fn() -> F) -> f64 {
    let mut handles = Vec::with_capacity(tasks);
    COUNTING.store(true, Relaxed);
    handles.extend((0..tasks).map(|_| P::spawn(future())));
    // Whoever was spawned before has been polled when this one has run.
    P::spawn(ready(())).await;
    COUNTING.store(false, Relaxed);
    ALIVE.load(Relaxed) as f64 / tasks as f64
}

static POLLED: AtomicUsize = AtomicUsize::new(0);

/// Takes no bytes and never ends.
struct Trivial;

impl Future for Trivial {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        POLLED.fetch_add(1, Relaxed);
        Poll::Pending
    }
}

/// The bytes alive for each of so many tasks whose future is empty and never ends. All have been polled, and the handle
/// of each is held; what the handles themselves take is not counted.
pub async fn trivial<P: Peer>(tasks: usize) -> f64 {
    let result = bytes::<P, _>(tasks, || Trivial).await;
    assert_eq!(POLLED.load(Relaxed), tasks);
    result
}

/// The same for tasks that sleep: the future, which is the timer's, and what the timer takes are counted.
pub async fn sleeping<P: Peer>(tasks: usize) -> f64 {
    bytes::<P, _>(tasks, || P::sleep(Duration::from_secs(3600))).await
}
