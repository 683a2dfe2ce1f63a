//! What the measured servers share: the line that says where they listen, and the service of those that speak HTTP.

pub mod http;

use std::io::Write;
use std::net::SocketAddr;

/// How large the buffer of a connection is, on every server.
pub const BUFFER: usize = 4096;

/// Says on standard output that the server accepts.
pub fn listening_on(addr: SocketAddr) {
    println!("listening on {addr}");
    std::io::stdout().flush().expect("standard output is open");
}
