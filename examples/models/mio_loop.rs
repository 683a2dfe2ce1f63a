//! One thread, and `mio` between it and the kernel: epoll on Linux, kqueue or something else on other systems.
//!
//! ```text
//! cargo run --release --example mio_loop
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x mio_loop)           # in a third: the calls of epoll_edge
//! ```
//!
//! What to look at: the program is `epoll_edge` without the names of Linux. What mio promises is what all its systems
//! have in common: an event is a hint, it may come once or too often, and after it the program goes on until it has
//! seen `WouldBlock`. A descriptor has become a token, which is a number of the program's own choice.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use pollywog_examples::unsent::{Client, Turn};

/// How long we sleep at most while a client waits in the kernel's queue for a descriptor: it is not told again.
const PAUSE: Duration = Duration::from_millis(100);
/// How many steps a client makes before the others have their turn.
const STEPS: usize = 16;

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    let door = Token(listener.as_raw_fd() as usize);
    poll.registry().register(&mut listener, door, Interest::READABLE)?;
    let mut clients = HashMap::new();
    let mut ready = BTreeSet::new();
    let mut knocking = false;
    let mut events = Events::with_capacity(256);
    loop {
        let timeout = if !ready.is_empty() {
            Some(Duration::ZERO)
        } else if knocking {
            Some(PAUSE)
        } else {
            None
        };
        match poll.poll(&mut events, timeout) {
            // A signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            ready.insert(event.token());
        }
        if ready.remove(&door) || knocking {
            knocking = !accept_all(poll.registry(), &listener, &mut clients);
        }
        ready.retain(|token| {
            // None of that name: it has ended since.
            let Some(client) = clients.get_mut(token) else { return false };
            let turn = turns(client);
            if turn == Turn::Over {
                // Closing the descriptor takes it off the kernel's list.
                clients.remove(token);
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
fn accept_all(registry: &Registry, listener: &TcpListener, clients: &mut HashMap<Token, Client<TcpStream>>) -> bool {
    loop {
        // Mio's connections are non-blocking from the start.
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let token = Token(stream.as_raw_fd() as usize);
        // The number of watched descriptors has a limit too: who is above it is sent away.
        if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
            clients.insert(token, Client::new(stream));
        }
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
