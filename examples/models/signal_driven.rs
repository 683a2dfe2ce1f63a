//! One thread asks for a signal when something happens, and is free until it comes.
//!
//! ```text
//! cargo run --release --example signal_driven
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x signal_driven)      # in a third: one signal, and all clients are asked
//! ```
//!
//! What to look at: SIGIO says that something has happened, and not where. A signal that waits to be delivered is not
//! sent a second time, so one may stand for a thousand clients. The program therefore asks everybody, until all of them
//! have said `WouldBlock`. Real-time signals do carry the number of the descriptor (`F_SETSIG`), one signal for each
//! event, in a queue; when that is full, plain SIGIO comes instead, and everybody has to be asked all the same.
//!
//! The signal is blocked and waited for, not handled: a handler runs between any two instructions of the program, and
//! may do next to nothing there.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use pollywog_examples::unsent::{Client, Turn};
use rustix::fs::{OFlags, fcntl_setfl};

/// How long we sleep while a client waits in the kernel's queue for a descriptor: it is not told again.
const PAUSE: Duration = Duration::from_millis(100);

fn serve(listener: TcpListener) -> io::Result<()> {
    let mut news = SigSet::empty();
    news.add(Signal::SIGIO);
    // From here on it waits for `wait`. Unblocked, it would end the process.
    news.thread_block()?;
    ask_for_signals(&listener)?;
    let mut clients = Vec::new();
    loop {
        let knocking = ask_everybody(&listener, &mut clients);
        // A signal that came while we were asking is kept, and `wait` returns at once.
        if knocking {
            thread::sleep(PAUSE);
        } else {
            news.wait()?;
        }
    }
}

/// Steps until nobody moves; `true` when there was no descriptor for a client.
fn ask_everybody(listener: &TcpListener, clients: &mut Vec<Client<TcpStream>>) -> bool {
    loop {
        let knocking = !accept_all(listener, clients);
        let mut moved = false;
        clients.retain_mut(|client| {
            let turn = client.turn();
            moved |= turn == Turn::Moved;
            turn != Turn::Over
        });
        if !moved {
            return knocking;
        }
    }
}

/// Accepts until the kernel says `WouldBlock`; `false` when there is no descriptor for the next client.
fn accept_all(listener: &TcpListener, clients: &mut Vec<Client<TcpStream>>) -> bool {
    loop {
        match listener.accept() {
            // What the client has sent before this is found by the first step.
            Ok((stream, _)) if ask_for_signals(&stream).is_ok() => clients.push(Client::new(stream)),
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// SIGIO, to this process, whenever there is more to read or, after a refused write, room again.
fn ask_for_signals(socket: &impl AsFd) -> io::Result<()> {
    let fd = socket.as_fd();
    // SAFETY: The descriptor is borrowed, so it is open. This command takes a number, and no memory of ours.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETOWN, process::id() as libc::pid_t) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(fcntl_setfl(fd, OFlags::NONBLOCK | OFlags::ASYNC)?)
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
