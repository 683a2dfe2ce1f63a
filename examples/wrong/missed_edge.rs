//! Wrong: an edge-triggered server that reads once for each event.
//!
//! ```text
//! cargo run --release --example missed_edge
//! nc 127.0.0.1 7007                        # a short line comes back; of a longer one the first 16 bytes do
//! ```
//!
//! What one sees: the client waits for the rest of its line, and the server waits for the client. Another line brings
//! the next 16 bytes.
//!
//! Why: under `EPOLLET` an event tells that bytes have arrived, once. What a read leaves behind has arrived already: it
//! stands in the socket's buffer, and nobody is told again before another byte comes. Who waits for an edge has to read
//! until `WouldBlock` first.

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
    epoll::add(&epoll, &listener, EventData::new_u64(listener.as_raw_fd() as u64), EventFlags::IN)?;
    let mut streams = HashMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in events.drain(..) {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let data = EventData::new_u64(stream.as_raw_fd() as u64);
                epoll::add(&epoll, &stream, data, EventFlags::IN | EventFlags::ET)?;
                streams.insert(stream.as_raw_fd(), stream);
            } else if !goes_on(&streams[&fd]) {
                streams.remove(&fd);
            }
        }
    }
}

/// Sends back what has come, and tells whether the connection goes on. A client that does not read is let go.
fn goes_on(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 16];
    // Once, where it has to be `loop`.
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => stream.write_all(&buffer[..count]).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
