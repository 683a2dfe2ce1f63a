//! Wrong: a server that keeps what is to be sent under the descriptor's number, and forgets it there.
//!
//! ```text
//! cargo run --release --example stale_fd
//! yes mine | nc 127.0.0.1 7007 | sleep 1000    # sends, and does not read: its answers wait in the table; end it
//! nc 127.0.0.1 7007                            # type a line: what comes back is not yours
//! ```
//!
//! What one sees: a client gets what another one has sent.
//!
//! Why: the kernel gives the lowest number that is free, so the next connection has the number of the one that has just
//! been closed. Whatever is kept under the number, or names a connection by it, has to go with the connection: table
//! entries, events that were fetched and not yet handled, answers that another thread is still working on.

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
    let mut unsent: HashMap<RawFd, Vec<u8>> = HashMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in events.drain(..) {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                epoll::add(&epoll, &stream, EventData::new_u64(stream.as_raw_fd() as u64), EventFlags::IN)?;
                streams.insert(stream.as_raw_fd(), stream);
                continue;
            }
            let rest = unsent.entry(fd).or_default();
            if echo(&streams[&fd], rest).is_ok() {
                // Who does not read what it gets is not read from.
                let interest = if rest.is_empty() { EventFlags::IN } else { EventFlags::OUT };
                epoll::modify(&epoll, &streams[&fd], event.data, interest)?;
            } else {
                // Its entry in `unsent` stays.
                streams.remove(&fd);
            }
        }
    }
}

/// Sends what is left from before, or else what has come. Fails at the end of the connection.
fn echo(mut stream: &TcpStream, rest: &mut Vec<u8>) -> io::Result<()> {
    if rest.is_empty() {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => rest.extend_from_slice(&buffer[..count]),
        }
    }
    match stream.write(rest) {
        Ok(count) => drop(rest.drain(..count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
