//! The first step of a server's process, taken in the process itself: it binds itself to a core and to the life of
//! the program that started it, and then becomes the server.
//!
//! Both outlast `exec`. Between `fork` and `exec`, where a program has no safe way to do anything, nothing is done.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use super::machine::stay_on;
use crate::program::explain;
use crate::terminal::warn;

/// The first argument of a process that is to become a server.
const BECOME: &str = "--become-server";
/// The parent whose number is not known beforehand.
const ANYBODY: i32 = 0;

/// Becomes the server that the command line asks for: what `command` makes. Returns where it asks for none, or where
/// that failed.
pub fn become_server() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != BECOME {
        return None;
    }
    if let Err(error) = exec(arguments) {
        warn(error);
    }
    Some(ExitCode::FAILURE)
}

fn exec(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let mut number = || arguments.next()?.to_str()?.parse::<i32>().ok();
    let (Some(core), Some(parent)) = (number(), number()) else {
        return Err(io::Error::other(format!("{BECOME} is for this program itself")));
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // From here on its end is seen; it must not have come before.
    if parent != ANYBODY && getppid() != Pid::from_raw(parent) {
        return Err(io::Error::other("who asked for the server is gone"));
    }
    stay_on(core as usize)?;
    let program = arguments.next().unwrap_or_default();
    let error = Command::new(&program).args(arguments).exec();
    Err(explain(program.to_string_lossy(), &error))
}

/// How to start `words` as a server: on `core`, in a process group of its own.
///
/// # Errors
///
/// When this program does not find its own file.
pub(super) fn command(words: &[OsString], core: usize) -> io::Result<Command> {
    let first = first_step(words, core, getpid().as_raw_nonzero().get())?;
    let mut command = Command::new(&first[0]);
    command.args(&first[1..]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    Ok(command)
}

/// What a program between this one and the server starts in the place of `words`: the server lives no longer than that
/// program.
///
/// # Errors
///
/// When this program does not find its own file.
pub(super) fn words(words: &[OsString], core: usize) -> io::Result<Vec<OsString>> {
    first_step(words, core, ANYBODY)
}

fn first_step(words: &[OsString], core: usize, parent: i32) -> io::Result<Vec<OsString>> {
    let own = [env::current_exe()?.into_os_string(), BECOME.into(), core.to_string().into(), parent.to_string().into()];
    Ok(own.into_iter().chain(words.iter().cloned()).collect())
}
