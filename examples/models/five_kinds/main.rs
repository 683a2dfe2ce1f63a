//! One slow pipe, read in five ways: who waits, and what can the program do meanwhile?
//!
//! ```text
//! cargo run --example five_kinds
//! cargo run --example five_kinds -- blocking            # one of them alone, for strace
//! cargo run --example five_kinds -- --svg phases.svg
//! ```
//!
//! What to look at: the five functions. Each of them reads the same pieces until the end. `diary.call` is a system call,
//! `diary.work` is what the program does for itself, a few milliseconds of it at a time.

mod diary;
mod drawing;

use std::fs;
use std::io::{self, ErrorKind, PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::sys::signal::{SigSet, Signal};
use pollywog_examples::{blocking_main, explain, say, warn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use self::diary::Diary;

/// What comes through the pipe, and how long one waits for each of them, and for the end.
const PIECES: [&str; 3] = ["one ", "two ", "three"];
const PAUSE: Duration = Duration::from_millis(30);

/// Asks, and sleeps inside the call until the bytes are in the buffer.
fn blocking(mut pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        let count = diary.call("read", || pipe.read(&mut buffer))?;
        if diary.took(&buffer[..count]) {
            return Ok(());
        }
    }
}

/// Asks again and again, and has time for itself in between.
fn non_blocking(mut pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
    fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    let mut buffer = [0; 64];
    loop {
        match diary.call("read", || pipe.read(&mut buffer)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => diary.work(),
            result => {
                if diary.took(&buffer[..result?]) {
                    return Ok(());
                }
            }
        }
    }
}

/// Sleeps until the pipe is ready, and so might any of a thousand others be; then asks.
fn multiplexed(mut pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        diary.call("poll", || Ok(poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None)?))?;
        let count = diary.call("read", || pipe.read(&mut buffer))?;
        if diary.took(&buffer[..count]) {
            return Ok(());
        }
    }
}

/// Does its own work until a signal interrupts it; then asks until the kernel has no more.
fn signal_driven(mut pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
    let news = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGIO, Arc::clone(&news))?;
    ask_for_signals(pipe.as_fd())?;
    let mut buffer = [0; 64];
    loop {
        match diary.call("read", || pipe.read(&mut buffer)) {
            // A look at memory, and no call.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                while !news.swap(false, Ordering::SeqCst) {
                    diary.work();
                }
            }
            result => {
                if diary.took(&buffer[..result?]) {
                    return Ok(());
                }
            }
        }
    }
}

/// SIGIO, to this process, whenever there is more to read.
fn ask_for_signals(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: The descriptor is borrowed, so it is open. This command takes a number, and no memory of ours.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETOWN, process::id() as libc::pid_t) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(fcntl_setfl(fd, OFlags::NONBLOCK | OFlags::ASYNC)?)
}

/// Hands the buffer over, and does its own work until it comes back with the bytes in it.
fn asynchronous(pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
    let mut ring = IoUring::new(1)?;
    let mut buffer = vec![0; 64];
    loop {
        let read = opcode::Read::new(Fd(pipe.as_raw_fd()), buffer.as_mut_ptr(), buffer.len() as u32).build();
        // SAFETY: The loop below does not end before the result is there, and until then nobody touches the buffer.
        unsafe { ring.submission().push(&read) }.expect("it is empty");
        diary.call("io_uring_enter", || ring.submit())?;
        let result = loop {
            // A look at memory that the kernel writes to, and no call.
            match ring.completion().next() {
                Some(entry) => break entry.result(),
                None => diary.work(),
            }
        };
        let count = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))?;
        if diary.took(&buffer[..count]) {
            return Ok(());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Kind {
    Blocking,
    NonBlocking,
    Multiplexed,
    SignalDriven,
    Asynchronous,
}

impl Kind {
    fn read(self, pipe: PipeReader, diary: &mut Diary) -> io::Result<()> {
        match self {
            Self::Blocking => blocking(pipe, diary),
            Self::NonBlocking => non_blocking(pipe, diary),
            Self::Multiplexed => multiplexed(pipe, diary),
            Self::SignalDriven => signal_driven(pipe, diary),
            Self::Asynchronous => asynchronous(pipe, diary),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

/// Reads the pipe in one way. The next piece is sent a while after the one before was taken.
fn record(kind: Kind) -> io::Result<Diary> {
    let (reader, mut writer) = pipe()?;
    let (taken, is_taken) = channel();
    let mut diary = Diary::new(taken);
    let writing = thread::spawn(move || -> io::Result<Vec<Instant>> {
        // The signals of the pipe are for the other thread.
        SigSet::from_iter([Signal::SIGIO]).thread_block()?;
        let mut came = Vec::new();
        for piece in PIECES {
            thread::sleep(PAUSE);
            came.push(Instant::now());
            writer.write_all(piece.as_bytes())?;
            if is_taken.recv().is_err() {
                break;
            }
        }
        thread::sleep(PAUSE);
        came.push(Instant::now());
        drop(writer);
        Ok(came)
    });
    let result = kind.read(reader, &mut diary);
    // Where the reading has failed, nobody takes the rest.
    diary.end();
    diary.came = writing.join().expect("it does not panic")?;
    result.map(|()| diary)
}

/// Reads a slow pipe in five ways, and shows who waited when.
#[derive(Parser)]
struct Options {
    /// This one alone
    kind: Option<Kind>,

    /// Draw it, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn run(options: Options) -> io::Result<()> {
    let kinds = options.kind.as_ref().map_or(Kind::value_variants(), std::slice::from_ref);
    say(format_args!("{:<15}= at work   . asleep in a call   v bytes come   * they are taken   (2 ms each)", ""));
    let mut lanes = Vec::new();
    for &kind in kinds {
        match record(kind) {
            Ok(diary) => {
                say(format_args!("{:<15}{}", kind.name(), diary.lane()));
                say(format_args!("{:<15}{}", "", diary.calls()));
                lanes.push((kind.name(), diary));
            }
            Err(error) if kind == Kind::Asynchronous => {
                warn(explain("this kernel has no io_uring, or forbids it", &error));
            }
            Err(error) => return Err(explain(kind.name(), &error)),
        }
    }
    if let Some(path) = options.svg {
        fs::write(&path, drawing::phases(&lanes)).map_err(|error| explain(path.display(), &error))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    blocking_main(run)
}
