//! Opening a connection.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use crate::source::{Left, Source};
use crate::sources::Direction;
use crate::waiter::Waiter;

/// Linux's `EINPROGRESS`, for which std's kind is not stable.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const EINPROGRESS: i32 = 115;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const EINPROGRESS: i32 = 36;

/// Waits until the connection of a stream is there, or has failed.
pub(super) async fn connect(source: &Source<mio::net::TcpStream>) -> io::Result<()> {
    let waiter = Waiter::new(Direction::Write);
    poll_fn(|cx| source.poll_io(cx, Direction::Write, Some(&waiter), is_connected)).await
}

/// A socket that is writable need not be connected yet: the peer's address tells. The error is asked for first, and
/// once, since reading it clears it.
fn is_connected(stream: &mio::net::TcpStream) -> io::Result<Left<()>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Left::Maybe(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected || error.raw_os_error() == Some(EINPROGRESS) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// What to say where no address, of at least one, could be connected to: the error of a single one as it is; of several
/// an error that lists them, with the kind of the last.
pub(super) fn no_connection(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let (addr, last) = failures.pop().expect("there is an address");
    if failures.is_empty() {
        return last;
    }
    let kind = last.kind();
    failures.push((addr, last));
    io::Error::new(kind, NoConnection(failures))
}

#[derive(Debug)]
struct NoConnection(Vec<(SocketAddr, io::Error)>);

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection to any of {} addresses", self.0.len())?;
        for (index, (addr, error)) in self.0.iter().enumerate() {
            write!(f, "{} {addr}: {error}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl Error for NoConnection {}
