//! What happens to the servers when this program is ended.

use std::io;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group, set_child_subreaper};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The process groups of the servers that run.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Has a signal that ends this program end its servers first, from this call on. What a server's process leaves behind
/// is waited for by this program too.
///
/// A signal that cannot be seen, SIGKILL, is seen by the servers: see `child.rs`.
///
/// # Errors
///
/// When the system refuses.
pub fn end_servers_at_a_signal() -> io::Result<()> {
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        // Never released: no server is started any more.
        let groups = groups();
        groups.iter().for_each(|group| {
            let _ = kill_process_group(*group, Signal::KILL);
        });
        eprintln!();
        process::exit(128 + signal);
    });
    Ok(())
}

/// The list, held: a server is started and put down in one step.
pub(super) fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}
