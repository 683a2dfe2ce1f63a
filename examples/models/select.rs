//! One thread hands its clients to the kernel in three sets, and waits until `select` says who is ready.
//!
//! ```text
//! cargo run --release --example select
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x select)             # in a third: what goes in, and what comes out
//! ```
//!
//! What to look at: the sets are in and out. They say what to watch, the call overwrites them with what is ready, and
//! so they are filled anew for the next one. A client is asked for room to write only when it is owed something: there
//! is room nearly always, and the call would return at once. The third set is for urgent data: a byte that overtakes
//! the others and does not come with a `read`; here it is sent back as any other.
//!
//! A set is an array of 1,024 bits, so there is none for descriptor 1,024. Who gets it is sent away, which is said.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::libc::FD_SETSIZE;
use nix::sys::select::{FdSet, select};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::time::{TimeVal, TimeValLike};
use pollywog_examples::unsent::{Client, Turn};
use pollywog_examples::warn;

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut clients = BTreeMap::new();
    let mut accepting = true;
    loop {
        let [mut to_read, mut to_write, mut urgent] = sets(&clients);
        // When there was no descriptor for a client, it waits in the kernel's queue, and the next call leaves the
        // listener out, for as long as a tenth of a second.
        let mut pause = TimeVal::milliseconds(100);
        let timeout = if accepting { None } else { Some(&mut pause) };
        if accepting {
            to_read.insert(listener.as_fd());
        }
        match select(None, &mut to_read, &mut to_write, &mut urgent, timeout) {
            // A signal; the sets say nothing.
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        let [to_read, to_write, urgent] = [to_read, to_write, urgent].map(|set| numbers(&set));
        accepting = true;
        for fd in urgent {
            fetch_urgent(&mut clients, fd);
        }
        for fd in to_read.into_iter().chain(to_write) {
            if fd == listener.as_raw_fd() {
                accepting = accept(&listener, &mut clients);
            } else if clients.get_mut(&fd).is_some_and(|client| client.turn() == Turn::Over) {
                clients.remove(&fd);
            }
        }
    }
}

/// Whom to watch for something to read, for room to write, and for an urgent byte.
fn sets(clients: &BTreeMap<RawFd, Client<TcpStream>>) -> [FdSet<'_>; 3] {
    let [mut to_read, mut to_write, mut urgent] = [FdSet::new(); 3];
    for client in clients.values() {
        let fd = client.stream.as_fd();
        if client.is_owed() {
            to_write.insert(fd);
        } else {
            to_read.insert(fd);
            urgent.insert(fd);
        }
    }
    [to_read, to_write, urgent]
}

/// Who is in the set: each bit is looked at.
fn numbers(set: &FdSet<'_>) -> Vec<RawFd> {
    set.fds(None).map(|fd| fd.as_raw_fd()).collect()
}

fn fetch_urgent(clients: &mut BTreeMap<RawFd, Client<TcpStream>>, fd: RawFd) {
    let mut byte = [0];
    if let Some(client) = clients.get_mut(&fd)
        && recv(fd, &mut byte, MsgFlags::MSG_OOB) == Ok(1)
    {
        client.owe(&byte);
    }
}

/// `false` when there is no descriptor for the next client.
fn accept(listener: &TcpListener, clients: &mut BTreeMap<RawFd, Client<TcpStream>>) -> bool {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        // It has gone again.
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    let fd = stream.as_raw_fd();
    if fd as usize >= FD_SETSIZE {
        warn(format_args!("a client is sent away: select cannot watch descriptor {fd}, only those below {FD_SETSIZE}"));
    } else if stream.set_nonblocking(true).is_ok() {
        clients.insert(fd, Client::new(stream));
    }
    true
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
