//! A process for each client: none of them waits for another.
//!
//! ```text
//! cargo run --release --example forking
//! nc 127.0.0.1 7007                        # type a line: it comes back
//! nc 127.0.0.1 7007                        # in a second terminal, at the same time: its lines come back too
//! ps --forest -C forking                   # in a third: a parent, and a child for each client
//! ```
//!
//! What to look at: `echo` is that of the iterative server. A fork copies the descriptors, so each side closes the one
//! that it does not need; else the client would never see the end. The parent asks which children have ended each time
//! that a client comes. Until then they are zombies (`Z` in `ps`): an entry in the table of processes each, no memory.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No descriptor is free, most likely. The client waits in the kernel's queue, and we try again.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        reap();
        // SAFETY: after a fork in a process with several threads, the child may do no more than a signal handler may,
        // since the locks of the other threads are held for ever. This process has a single thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(listener);
                let _ = echo(stream);
                return Ok(());
            }
            Ok(ForkResult::Parent { .. }) => drop(stream),
            // There are processes enough. This client is sent away; the others stay.
            Err(_) => drop(stream),
        }
    }
}

/// Takes note of the children that have ended.
fn reap() {
    while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {}
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
