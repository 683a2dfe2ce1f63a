//! Wrong: an edge-triggered server that takes a short read for the last one, even when the peer has closed.
//!
//! ```text
//! cargo run --release --example short_read_eof
//! echo hello | nc -N 127.0.0.1 7007        # 'hello' comes back, and then nc does not end
//! ```
//!
//! What one sees: where a client sends its last line and closes at once, the server answers and never closes. Where it
//! closes a moment later, all is well. The connection stays in `CLOSE_WAIT` (`ss -tan`), and its descriptor stays open.
//!
//! Why: a read that gives less than there was room for has emptied the buffer, so the next one would say `WouldBlock`,
//! and need not be made. That holds for bytes. The end of the stream may stand behind them, told by the same event, and
//! it brings no second one. The event's `EPOLLRDHUP` says so; with it, only a read that gives 0 is the last.

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
                epoll::add(&epoll, &stream, data, EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)?;
                streams.insert(stream.as_raw_fd(), stream);
            } else if !goes_on(&streams[&fd]) {
                streams.remove(&fd);
            }
        }
    }
}

/// Sends back what has come, and tells whether the connection goes on. A client that does not read is let go.
fn goes_on(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return false;
                }
                // Right only where the event does not say RDHUP.
                if count < buffer.len() {
                    return true;
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
