//! Wrong: a poll loop whose sockets block.
//!
//! ```text
//! cargo run --release --example blocking_send
//! nc 127.0.0.1 7007                        # answered
//! head -c 100M /dev/zero | nc 127.0.0.1 7007 | sleep 1000
//! nc 127.0.0.1 7007                        # in a third terminal: not answered, and neither is the first any more
//! ```
//!
//! What one sees: one client that sends and does not read stops the server for everybody.
//!
//! Why: `poll` promises that one read will not block. It promises nothing about the answer: the buffers towards a client
//! that does not read fill up, and then a blocking write waits until it reads. That is the only thread there is.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

fn serve(listener: TcpListener) -> io::Result<()> {
    let mut streams = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&listener, PollFlags::IN)];
        fds.extend(streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)));
        retry_on_intr(|| poll(&mut fds, None))?;
        let mut ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let somebody_comes = ready.remove(0);
        let mut ready = ready.into_iter();
        streams.retain(|stream| ready.next() != Some(true) || goes_on(stream));
        if somebody_comes {
            streams.push(listener.accept()?.0);
        }
    }
}

/// Sends back what has come, and tells whether the connection goes on.
fn goes_on(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) | Err(_) => false,
        // Nobody has asked whether there is room.
        Ok(count) => stream.write_all(&buffer[..count]).is_ok(),
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
