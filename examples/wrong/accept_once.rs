//! Wrong: a server whose listener is edge-triggered, and that accepts once for each event.
//!
//! ```text
//! cargo run --release --example accept_once
//! for _ in 1 2 3 4; do nc 127.0.0.1 7007 </dev/zero >/dev/null & done
//! nc 127.0.0.1 7007                        # connected, and not answered
//! ```
//!
//! What one sees: all is well as long as clients come one at a time. Two that come at once leave one in the queue, and
//! from then on every client waits for the next one (`ss -tln` shows the length of the queue under `Recv-Q`).
//!
//! Why: the edge says that the queue is no longer as it was, once for all that came since. The queue has to be emptied,
//! until `accept` says `WouldBlock`.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::retry_on_intr;

fn serve(listener: TcpListener) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    let data = EventData::new_u64(listener.as_raw_fd() as u64);
    epoll::add(&epoll, &listener, data, EventFlags::IN | EventFlags::ET)?;
    let mut streams = HashMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in events.drain(..) {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                // Once, where it has to be `while let`.
                if let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    epoll::add(&epoll, &stream, EventData::new_u64(stream.as_raw_fd() as u64), EventFlags::IN)?;
                    streams.insert(stream.as_raw_fd(), stream);
                }
            } else if !goes_on(&streams[&fd]) {
                streams.remove(&fd);
            }
        }
    }
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
