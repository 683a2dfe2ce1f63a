//! A bare mio loop: no tasks, no futures. What a runtime on mio adds is measured against this.

use std::io;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use pollywog_bench::connection::{Connection, Shared};
use pollywog_bench::options::Options;
use pollywog_bench::{listening_on, uninterrupted};

const LISTENER: Token = Token(usize::MAX);

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::from_std(options.listen_nonblocking()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    listening_on(listener.local_addr()?);
    let mut connections: Vec<Option<Connection<TcpStream>>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut shared = Shared::new(options.mode);
    loop {
        uninterrupted(poll.poll(&mut events, None))?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(place), interest)?;
                    connections[place] = Some(Connection::new(stream));
                }
                continue;
            }
            let place = event.token().0;
            let Some(connection) = &mut connections[place] else { continue };
            let has_ended = event.is_read_closed() || event.is_error();
            if !connection.turn(has_ended, &mut shared) {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}
