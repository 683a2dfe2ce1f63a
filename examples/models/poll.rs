//! One thread hands its clients to the kernel in one list, and waits until `poll` says who is ready.
//!
//! ```text
//! cargo run --release --example poll
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x poll)               # in a third: the whole list, at each call
//! ```
//!
//! What to look at: an entry of the list is a descriptor, what it is watched for, and, in a field of its own, what came.
//! A descriptor is a number; the table from it to the client is the program's to keep. A client is asked for room to
//! write only when it is owed something: there is room nearly always, and the call would return at once.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::ExitCode;

use pollywog_examples::unsent::{Client, Turn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long the listener is left out after it had no descriptor for a client, who waits in the kernel's queue.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut clients = BTreeMap::new();
    let mut accepting = true;
    loop {
        let mut list: Vec<_> = clients.values().map(entry).collect();
        if accepting {
            list.push(PollFd::new(&listener, PollFlags::IN));
        }
        match poll(&mut list, if accepting { None } else { Some(&PAUSE) }) {
            // A signal.
            Err(Errno::INTR) => continue,
            result => result?,
        };
        let came = list.iter().filter(|entry| !entry.revents().is_empty());
        let ready: Vec<RawFd> = came.map(|entry| entry.as_fd().as_raw_fd()).collect();
        accepting = true;
        for fd in ready {
            if fd == listener.as_raw_fd() {
                accepting = accept(&listener, &mut clients);
            } else if clients.get_mut(&fd).is_some_and(|client| client.turn() == Turn::Over) {
                clients.remove(&fd);
            }
        }
    }
}

/// What to watch a client for. An error or a reset comes unasked.
fn entry(client: &Client<TcpStream>) -> PollFd<'_> {
    PollFd::new(&client.stream, if client.is_owed() { PollFlags::OUT } else { PollFlags::IN })
}

/// `false` when there is no descriptor for the next client.
fn accept(listener: &TcpListener, clients: &mut BTreeMap<RawFd, Client<TcpStream>>) -> bool {
    match listener.accept() {
        Ok((stream, _)) => {
            if stream.set_nonblocking(true).is_ok() {
                clients.insert(stream.as_raw_fd(), Client::new(stream));
            }
            true
        }
        // It has gone again.
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
