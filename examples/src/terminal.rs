//! Lines on the terminal.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether a line is dropped where there is no room for it.
static NEVER_WAITS: AtomicBool = AtomicBool::new(false);

/// From now on a line is dropped where it meets a pipe that is full. A server that waited for a reader would serve nobody
/// meanwhile, and each client could have it say something. (A terminal that takes nothing holds it up all the same.)
pub(crate) fn never_wait() {
    NEVER_WAITS.store(true, Ordering::Relaxed);
}

/// A line on standard output, at once. Nobody needs to read it.
pub fn say(line: impl Display) {
    write(io::stdout().lock(), format_args!("{line}\n"));
}

/// A line on standard error, after the program's name.
pub fn warn(line: impl Display) {
    write(io::stderr().lock(), format_args!("{}: {line}\n", name()));
}

/// In one piece: a pipe that is not full has room for a line, and not for another.
fn write(mut to: impl Write + AsFd, line: impl Display) {
    if takes_more(&to) {
        // Whoever closed the terminal does not want it any more.
        let _ = to.write_all(line.to_string().as_bytes()).and_then(|()| to.flush());
    }
}

/// Whether a line can be written without waiting, or may wait.
fn takes_more(to: impl AsFd) -> bool {
    let mut asked = [PollFd::new(&to, PollFlags::OUT)];
    !NEVER_WAITS.load(Ordering::Relaxed) || poll(&mut asked, Some(&Timespec::default())) == Ok(1)
}

/// Standard error for what `tracing` tells, each piece of which is a whole line.
#[derive(Debug)]
pub(crate) struct StandardError {
    /// Whether it waits for a reader in any case.
    pub(crate) waits: bool,
}

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut to = io::stderr().lock();
        if self.waits || takes_more(&to) { to.write(line) } else { Ok(line.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The program's name: that of its file.
pub(crate) fn name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let file = std::path::Path::new(&program).file_stem().unwrap_or("program".as_ref());
    file.to_string_lossy().into_owned()
}
