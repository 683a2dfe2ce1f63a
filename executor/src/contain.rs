//! What foreign code panics with goes no further than here.
//!
//! Invariant 12: everything foreign that the loop calls (poll, the drop of a future, of an output and of a panic's
//! payload, the wake of a joiner) goes through [`contain`]. A payload whose own drop panics is forgotten.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

/// Runs `foreign` and catches its panic.
///
/// Asserting unwind safety is right because the executor never shares its own state with `foreign` (invariant 10),
/// and a future that panicked is never polled again.
#[inline]
pub(crate) fn contain<R>(foreign: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(foreign))
}

/// Runs `foreign`; a panic has been printed by the panic hook, and nobody else is there to hear of it.
#[inline]
pub(crate) fn contain_quietly(foreign: impl FnOnce()) {
    if let Err(payload) = contain(foreign) {
        discard(payload);
    }
}

/// Drops a payload, which can panic in its turn.
pub(crate) fn discard(payload: Payload) {
    if let Err(worse) = contain(|| drop(payload)) {
        std::mem::forget(worse);
    }
}
