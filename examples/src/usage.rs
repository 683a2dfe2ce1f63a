//! What a piece of work costs: how long it takes, and where that time goes.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What one thread used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How long it took, by the clock on the wall.
    pub wall: Duration,
    /// On a processor, in the program.
    pub user: Duration,
    /// On a processor, in the kernel, on behalf of the program.
    pub system: Duration,
    /// How often it left the processor since it had to wait.
    pub voluntary: u64,
    /// How often it was taken off the processor although it could have gone on.
    pub involuntary: u64,
}

impl Usage {
    /// Measures `work`, on this thread.
    ///
    /// # Errors
    ///
    /// Those of `work`, or of `getrusage`.
    pub fn of<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Self)> {
        let (before, start) = (so_far()?, Instant::now());
        let result = work()?;
        let (wall, after) = (start.elapsed(), so_far()?);
        let usage = Self {
            wall,
            user: after.user - before.user,
            system: after.system - before.system,
            voluntary: after.voluntary - before.voluntary,
            involuntary: after.involuntary - before.involuntary,
        };
        Ok((result, usage))
    }

    /// Neither in the program nor in the kernel: on no processor.
    pub fn off(&self) -> Duration {
        // The two clocks do not agree to the microsecond.
        self.wall.saturating_sub(self.user + self.system)
    }

    /// What stands above the columns of [`Usage`] when it is shown.
    pub const COLUMNS: &str = "   wall   user system    off  voluntary involuntary";
}

/// A line of a table; times are in milliseconds.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for time in [self.wall, self.user, self.system, self.off()] {
            write!(f, "{:>7.0}", time.as_secs_f64() * 1e3)?;
        }
        write!(f, " {:>10} {:>11}", self.voluntary, self.involuntary)
    }
}

/// Since the thread began. The clock on the wall is not among it.
fn so_far() -> io::Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let time = |time: TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1_000);
    Ok(Usage {
        wall: Duration::ZERO,
        user: time(usage.user_time()),
        system: time(usage.system_time()),
        voluntary: usage.voluntary_context_switches() as u64,
        involuntary: usage.involuntary_context_switches() as u64,
    })
}
