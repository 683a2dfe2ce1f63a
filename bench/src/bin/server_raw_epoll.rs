//! A bare epoll loop, edge-triggered: nothing between the program and its system calls. It is the limit that the others
//! are measured against.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use pollywog_bench::connection::{Connection, Shared};
use pollywog_bench::options::Options;
use pollywog_bench::{listening_on, uninterrupted};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

const LISTENER: u64 = u64::MAX;

struct Stream(OwnedFd);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, buffer, RecvFlags::empty())?.0)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let listener = options.listen_nonblocking()?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ET)?;
    listening_on(listener.local_addr()?);
    let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    let mut connections: Vec<Option<Connection<Stream>>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut shared = Shared::new(options.mode);
    loop {
        let waited = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None);
        uninterrupted(waited.map(drop).map_err(Into::into))?;
        for Event { flags, data } in events.drain(..) {
            if data.u64() == LISTENER {
                while let Ok(socket) = accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    sockopt::set_tcp_nodelay(&socket, true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    epoll::add(&epoll, &socket, EventData::new_u64(place as u64), interest)?;
                    connections[place] = Some(Connection::new(Stream(socket)));
                }
                continue;
            }
            let place = data.u64() as usize;
            let Some(connection) = &mut connections[place] else { continue };
            let has_ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if !connection.turn(has_ended, &mut shared) {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}
