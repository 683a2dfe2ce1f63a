//! One thread tells the kernel once whom to watch, and `epoll` says once when somebody becomes ready.
//!
//! ```text
//! cargo run --release --example epoll_edge
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x epoll_edge)         # in a third: one epoll_ctl for each client
//! ```
//!
//! What to look at: each client is registered once, for everything, and never again. News come once (edge-triggered),
//! so a client that has been reported is the program's to remember until the kernel has said `WouldBlock`: read until
//! then, write until then, accept until then. To stop earlier is to wait for news that have been told. A client that
//! sends without end never gets there, so after some steps it stays on the list `ready`, behind the others.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use pollywog_examples::unsent::{Client, Turn};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// How long we sleep at most while a client waits in the kernel's queue for a descriptor: it is not told again.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// How many steps a client makes before the others have their turn.
const STEPS: usize = 16;

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // What comes back with an event is a number of ours: here the descriptor.
    let door = listener.as_raw_fd() as u64;
    epoll::add(&epoll, &listener, EventData::new_u64(door), EventFlags::IN | EventFlags::ET)?;
    let mut clients = HashMap::new();
    let mut ready = BTreeSet::new();
    let mut knocking = false;
    let mut events = Vec::with_capacity(256);
    loop {
        let timeout = if !ready.is_empty() {
            Some(&NO_TIME)
        } else if knocking {
            Some(&PAUSE)
        } else {
            None
        };
        match epoll::wait(&epoll, spare_capacity(&mut events), timeout) {
            // A signal.
            Err(Errno::INTR) => continue,
            result => result?,
        };
        for event in events.drain(..) {
            ready.insert(event.data.u64());
        }
        if ready.remove(&door) || knocking {
            knocking = !accept_all(&epoll, &listener, &mut clients);
        }
        ready.retain(|number| {
            // None of that number: it has ended since.
            let Some(client) = clients.get_mut(number) else { return false };
            let turn = turns(client);
            if turn == Turn::Over {
                // Closing the descriptor takes it off the kernel's list.
                clients.remove(number);
            }
            turn == Turn::Moved
        });
    }
}

/// Steps until the kernel says `WouldBlock`, and no more than [`STEPS`].
fn turns(client: &mut Client<TcpStream>) -> Turn {
    let mut turns = (0..STEPS).map(|_| client.turn());
    turns.find(|turn| *turn != Turn::Moved).unwrap_or(Turn::Moved)
}

/// Accepts until the kernel says `WouldBlock`; `false` when there is no descriptor for the next client.
fn accept_all(epoll: &OwnedFd, listener: &TcpListener, clients: &mut HashMap<u64, Client<TcpStream>>) -> bool {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let number = stream.as_raw_fd() as u64;
        let everything = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        // The number of watched descriptors has a limit too: who is above it is sent away.
        if stream.set_nonblocking(true).is_ok()
            && epoll::add(epoll, &stream, EventData::new_u64(number), everything).is_ok()
        {
            clients.insert(number, Client::new(stream));
        }
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
