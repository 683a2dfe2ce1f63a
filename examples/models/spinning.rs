//! One thread asks every client in turn, without ever waiting for one.
//!
//! ```text
//! cargo run --release --example spinning
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! top -p $(pgrep -x spinning)              # in a third: the processor is busy though nobody types
//! ```
//!
//! What to look at: a non-blocking call that has nothing to do says `WouldBlock`, which is no error but 'not now'. So
//! one thread can look after many clients. It looks after all of them all the time, at the price of a system call for
//! each: nobody tells it when there is something to see.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

/// A client, and what of its bytes has not gone back yet.
struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
}

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut clients = Vec::new();
    loop {
        // Nobody is there, or no descriptor is free: either way we ask again after having asked the clients. The loop
        // spins as it always does.
        if let Ok((stream, _)) = listener.accept() {
            // An accepted connection blocks, whatever the listener does.
            if stream.set_nonblocking(true).is_ok() {
                clients.push(Client { stream, unsent: Vec::new() });
            }
        }
        clients.retain_mut(|client| match client.ask() {
            Ok(open) => open,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}

impl Client {
    /// Sends what is unsent, or else reads once. `false` is the end; most of the time the answer is `WouldBlock`.
    fn ask(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(false);
            }
            self.unsent.extend_from_slice(&buffer[..count]);
        }
        let count = self.stream.write(&self.unsent)?;
        self.unsent.drain(..count);
        Ok(true)
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
