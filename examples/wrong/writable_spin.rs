//! Wrong: a level-triggered server that always asks for writable, too.
//!
//! ```text
//! cargo run --release --example writable_spin
//! nc 127.0.0.1 7007                        # answered, and fast
//! top                                      # in a second terminal: a whole core, for one client that does nothing
//! ```
//!
//! What one sees: right answers and a processor at full load. The program says how many waits have brought nothing to
//! read.
//!
//! Why: writable means that there is room in the socket's buffer, and that is nearly always so. A level is told as long
//! as it holds, so every wait returns at once. Ask for writable only while there is something to write that did not fit.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::retry_on_intr;

fn serve(listener: TcpListener) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(listener.as_raw_fd() as u64), EventFlags::IN)?;
    let mut streams = HashMap::new();
    let mut events = Vec::with_capacity(64);
    let mut for_nothing = 0_u64;
    loop {
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        if events.iter().all(|event| !asks_to_read(event)) {
            for_nothing += 1;
            if for_nothing.is_multiple_of(10_000) {
                pollywog_examples::say(format_args!("{for_nothing} waits for nothing"));
            }
        }
        for event in events.drain(..) {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let data = EventData::new_u64(stream.as_raw_fd() as u64);
                // Never to be taken back.
                epoll::add(&epoll, &stream, data, EventFlags::IN | EventFlags::OUT)?;
                streams.insert(stream.as_raw_fd(), stream);
            } else if asks_to_read(&event) && !goes_on(&streams[&fd]) {
                streams.remove(&fd);
            }
        }
    }
}

/// Whether the event says more than that there is room.
fn asks_to_read(event: &Event) -> bool {
    let flags = event.flags;
    flags != EventFlags::OUT
}

/// Sends back what has come, and tells whether the connection goes on. A client that does not read is let go.
fn goes_on(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => stream.write_all(&buffer[..count]).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
