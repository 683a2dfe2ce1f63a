//! What the measured servers share: their command line and their listener, the parse and the answer of HTTP, and the
//! connection of those that are bare loops; and what is measured of executors.

pub mod connection;
pub mod http;
pub mod options;
pub mod requests;
pub mod tasks;

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;

/// How large the buffer of a connection is, on every server.
pub const BUFFER: usize = 4096;

/// A wait that a signal has ended is over, and nothing is the matter.
pub fn uninterrupted(waited: io::Result<()>) -> io::Result<()> {
    waited.or_else(|error| if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) })
}

/// Says on standard output that the server accepts.
pub fn listening_on(addr: SocketAddr) {
    println!("listening on {addr}");
    io::stdout().flush().expect("standard output is open");
}
