//! One thread tells the kernel once whom to watch, and `epoll` says who is ready for as long as they are.
//!
//! ```text
//! cargo run --release --example epoll_level
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x epoll_level)        # in a third: no list goes in, only those who are ready come out
//! ```
//!
//! What to look at: the kernel remembers. It has a list of those whom it watches, and `epoll_ctl` changes an entry; a
//! wait brings no more than those who are ready. Each comes again at the next wait if it still is (level-triggered), so
//! one read a turn is enough. Since there is room to write nearly always, the entry is changed whenever a client begins
//! or ceases to be owed something.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use pollywog_examples::unsent::{Client, Turn};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// How long the listener is left out after it had no descriptor for a client, who waits in the kernel's queue.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // What comes back with an event is a number of ours: here the descriptor.
    let door = EventData::new_u64(listener.as_raw_fd() as u64);
    epoll::add(&epoll, &listener, door, EventFlags::IN)?;
    let mut clients = HashMap::new();
    let mut accepting = true;
    let mut events = Vec::with_capacity(256);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), if accepting { None } else { Some(&PAUSE) }) {
            // A signal.
            Err(Errno::INTR) => continue,
            result => result?,
        };
        if !accepting {
            epoll::modify(&epoll, &listener, door, EventFlags::IN)?;
            accepting = true;
        }
        for event in events.drain(..) {
            let number = event.data.u64();
            if number == door.u64() {
                accepting = accept(&epoll, &listener, &mut clients);
            } else if clients.get_mut(&number).is_some_and(|client| turn(&epoll, number, client) == Turn::Over) {
                // Closing the descriptor takes it off the kernel's list.
                clients.remove(&number);
            }
        }
        if !accepting {
            epoll::modify(&epoll, &listener, door, EventFlags::empty())?;
        }
    }
}

/// One step for a client that is ready. What it is watched for is changed when that has become another thing.
fn turn(epoll: &OwnedFd, number: u64, client: &mut Client<TcpStream>) -> Turn {
    let before = interest(client);
    let turn = client.turn();
    let after = interest(client);
    if after != before && epoll::modify(epoll, &client.stream, EventData::new_u64(number), after).is_err() {
        return Turn::Over;
    }
    turn
}

/// What to watch a client for. An error or a reset comes unasked.
fn interest(client: &Client<TcpStream>) -> EventFlags {
    if client.is_owed() { EventFlags::OUT } else { EventFlags::IN }
}

/// `false` when there is no descriptor for the next client.
fn accept(epoll: &OwnedFd, listener: &TcpListener, clients: &mut HashMap<u64, Client<TcpStream>>) -> bool {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        // It has gone again.
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    let number = stream.as_raw_fd() as u64;
    // The number of watched descriptors has a limit too: who is above it is sent away.
    if stream.set_nonblocking(true).is_ok()
        && epoll::add(epoll, &stream, EventData::new_u64(number), EventFlags::IN).is_ok()
    {
        clients.insert(number, Client::new(stream));
    }
    true
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
