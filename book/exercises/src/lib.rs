//! The exercises of the book. Each chapter that has some has a file in `tests/`, called after it:
//!
//! ```console
//! $ cargo test -p pollywog-exercises --test chapter-2
//! ```
//!
//! It fails, and says what to do, until the functions in the file do what their comments ask for. Then it passes, and
//! you are done. A solution stands below each of them, under `#[cfg(feature = "solutions")]`; the tests run with those
//! by `--features solutions`.
//!
//! This file holds what the tests of several chapters share.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Runs `body`, and fails with `hint` if it takes longer than `limit`. What goes on for ever would hang the test
/// without it.
///
/// ```
/// use std::time::Duration;
/// use pollywog_exercises::bounded;
///
/// assert_eq!(bounded(Duration::from_secs(10), "it adds for ever", || 1 + 1), 2);
/// ```
///
/// # Panics
///
/// When it takes longer, or when `body` panics.
pub fn bounded<T: Send + 'static>(limit: Duration, hint: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(body());
    });
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("it takes longer than {limit:?}: {hint}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the thread sends before it ends"),
        },
    }
}
