//! One address, and a listener on it for each core.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use pollywog_executor::spawn;

use super::Accepted;
use crate::tcp::BACKLOG;
use crate::trace;
use crate::{TcpListener, TcpSocket, TcpStream};

/// `count` listeners on `addr`, and the address with its port.
pub(super) fn listeners(addr: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = bound(addr)?;
    // The first has the system pick a port, the others take that one.
    let addr = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bound(addr)?);
    }
    // None listens before all are bound: closing one that listens resets who has connected to it.
    let listeners: io::Result<_> = sockets.into_iter().map(|socket| socket.listen(BACKLOG)).collect();
    Ok((addr, listeners?))
}

fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::for_addr(addr)?;
    socket.set_reuseaddr(true)?;
    share_port(&socket)?;
    socket.bind(addr)?;
    Ok(socket)
}

#[cfg(not(target_os = "freebsd"))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

/// Here `SO_REUSEPORT` alone gives all connections to one of the listeners.
#[cfg(target_os = "freebsd")]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket2::SockRef::from(socket).set_reuse_port_lb(true)
}

/// Serves what one core gets, until its runtime goes.
pub(super) async fn accept_all<H, F>(listener: TcpListener, handler: H, accepted: Arc<Accepted>)
where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future + 'static,
    F::Output: 'static,
{
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => return trace::accept_ended(&error),
        };
        accepted.count();
        // It is called here rather than in the connection's task, which would have to keep what it is called with. Its
        // panic is that of the task all the same.
        match catch_unwind(AssertUnwindSafe(|| handler(stream, peer))) {
            Ok(connection) => drop(spawn(connection)),
            Err(payload) => drop(spawn(async { resume_unwind(payload) })),
        }
    }
}
