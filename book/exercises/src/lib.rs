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

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;

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

/// A thread as others see it: does it sleep, and has it started more threads? `/proc` tells (`proc(5)`).
#[derive(Clone, Debug)]
pub struct Watched {
    number: String,
    name: String,
}

impl Watched {
    /// The thread that calls this. It gets a name of its own, and whom it starts has the same, unless `thread::Builder`
    /// gives another.
    ///
    /// ```
    /// use pollywog_exercises::Watched;
    ///
    /// assert_eq!(Watched::this_thread().threads(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`.
    pub fn this_thread() -> Self {
        let number = gettid().as_raw_nonzero().to_string();
        let name = format!("watched-{number}");
        fs::write(format!("/proc/self/task/{number}/comm"), &name).expect("Linux lets a thread name itself");
        Self { number, name }
    }

    /// How many threads there are of that name.
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`.
    pub fn threads(&self) -> usize {
        let threads = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
        threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok())
            .filter(|name| name.trim_end() == self.name)
            .count()
    }

    /// Waits until the thread sleeps, and does not wake up to look about every now and then; `false` when it has not
    /// come to that within five seconds.
    pub fn falls_asleep(&self) -> bool {
        let start = Instant::now();
        let (mut last, mut same) = (None, 0);
        while start.elapsed() < Duration::from_secs(5) && same < 5 {
            let now = self.naps();
            same = if now.is_some() && now == last { same + 1 } else { 0 };
            last = now;
            thread::sleep(Duration::from_millis(50));
        }
        same == 5
    }

    /// How often it has fallen asleep, if it is asleep.
    fn naps(&self) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/self/task/{}/status", self.number)).ok()?;
        let field = |name| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        field("State:")?.starts_with('S').then(|| field("voluntary_ctxt_switches:").unwrap_or_default().to_owned())
    }
}
