//! Wrong: a server that meets `EMFILE` as if it were `WouldBlock`, and waits for the next event.
//!
//! ```text
//! (ulimit -n 8; cargo run --release --example emfile_stall)
//! nc 127.0.0.1 7007                        # in several terminals: the first few are answered
//!                                          # end one of them: nobody of those that wait is accepted
//! (ulimit -n 8; cargo run --release --example emfile_stall -- --level)
//! ```
//!
//! What one sees: with more clients than descriptors, those that are left over wait, and go on waiting when there are
//! descriptors again. With `--level`, they get their turn, but until then the processor is busy for nothing.
//!
//! Why: `accept` failed, so the connection is still in the queue. Its edge has been, and a descriptor that becomes free
//! is no edge of the listener. Level-triggered, the listener is ready all the time, and every wait returns at once.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;

use clap::Args;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::retry_on_intr;

#[derive(Args)]
struct Listening {
    /// Watch the listener level-triggered: it spins where the other one stalls
    #[arg(long)]
    level: bool,
}

fn serve(listener: TcpListener, options: Listening) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    let interest = if options.level { EventFlags::IN } else { EventFlags::IN | EventFlags::ET };
    epoll::add(&epoll, &listener, EventData::new_u64(listener.as_raw_fd() as u64), interest)?;
    let mut streams = HashMap::new();
    let mut events = Vec::with_capacity(64);
    let mut failed = 0_u64;
    loop {
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in events.drain(..) {
            let fd = event.data.u64() as RawFd;
            if fd != listener.as_raw_fd() {
                if !goes_on(&streams[&fd]) {
                    streams.remove(&fd);
                }
                continue;
            }
            // Until any error, where it has to be until `WouldBlock`.
            while let Ok((stream, _)) = listener.accept().inspect_err(|error| count(error, &mut failed)) {
                stream.set_nonblocking(true)?;
                epoll::add(&epoll, &stream, EventData::new_u64(stream.as_raw_fd() as u64), EventFlags::IN)?;
                streams.insert(stream.as_raw_fd(), stream);
            }
        }
    }
}

fn count(error: &io::Error, failed: &mut u64) {
    if error.kind() != ErrorKind::WouldBlock {
        *failed += 1;
        if *failed == 1 || failed.is_multiple_of(10_000) {
            pollywog_examples::say(format_args!("failure {failed} of accept: {error}"));
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
    pollywog_examples::model_with(serve)
}
