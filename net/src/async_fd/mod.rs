//! Any other descriptor: pipes, terminals, timers, and what else can be waited for.

mod fd;
mod guard;
mod io;

pub use self::fd::AsyncFd;
pub use self::guard::{AsyncFdReadyGuard, TryIoError};
