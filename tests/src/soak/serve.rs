//! The server's thread.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use pollywog_net::cancel::CancelToken;
use pollywog_net::server::Server;
use pollywog_net::time::sleep;
use pollywog_net::{Metrics, Runtime};
use socket2::{Domain, Socket, Type};

use super::handler::handle;
use super::tally::Tally;
use crate::memory::live;
use crate::net::Random;

/// How many connections it serves at once.
const LIMIT: usize = 40;
const EMFILE: i32 = 24;
/// What a peer may take its time for.
const IDLE: Duration = Duration::from_millis(250);
/// What a connection may take.
const TOTAL: Duration = Duration::from_secs(1);
/// What a shutdown may take, in milliseconds: some are over before those who are idle are.
const DRAIN: Range<usize> = 20..400;
/// What one server may leave more than the one before: tables grow with what was there at once.
const KEPT: isize = 32 << 10;

/// A port that nobody else gets while no server listens on it: it is bound, and does not listen.
#[derive(Debug)]
pub struct Port {
    _socket: Socket,
    addr: SocketAddr,
}

impl Port {
    /// Has the system pick one.
    pub fn new() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let addr = socket.local_addr()?.as_socket().expect("it is of IPv4");
        Ok(Self { _socket: socket, addr })
    }

    /// The address with the port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Serves until `stop`, by one server after the other, and checks at the end of each that nothing of it is left.
pub fn serve(addr: SocketAddr, seed: u64, tally: &Arc<Tally>, stop: &CancelToken) {
    let runtime = Runtime::new().expect("nobody has taken the descriptors yet");
    let registered = registrations(&runtime);
    let mut random = Random::new(seed);
    let mut first = None;
    runtime.block_on(async {
        while !stop.is_cancelled() {
            one(addr, &mut random, tally, stop).await;
            let metrics = Metrics::current();
            assert_eq!((metrics.alive, metrics.timers), (0, 0), "tasks and timers of a server that has ended");
            let kept = live() - *first.get_or_insert_with(live);
            assert!(kept < KEPT, "{kept} bytes more than after the first server");
        }
    });
    assert_eq!(registrations(&runtime), registered, "descriptors that the selector knows");
    let kept = live() - first.unwrap_or_else(live);
    tally.add("bytes more in the server's thread than after the first server", u64::try_from(kept).unwrap_or(0));
}

/// One server, from its start to its end.
async fn one(addr: SocketAddr, random: &mut Random, tally: &Arc<Tally>, stop: &CancelToken) {
    let server = loop {
        match Server::bind(addr).await {
            Ok(server) => break server,
            // Somebody has all descriptors, and gives them back.
            Err(error) if error.raw_os_error() == Some(EMFILE) => sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{addr}: {error}"),
        }
    };
    let drain = Duration::from_millis((DRAIN.start + random.below(DRAIN.len())) as u64);
    let server = server.max_connections(LIMIT).drain_timeout(drain);
    let server = server.idle_timeout(IDLE).connection_timeout(TOTAL);
    let status = server.status();
    let serving = Duration::from_millis(200 + random.below(2_000) as u64);
    let mut end = std::pin::pin!(stop.run_until_cancelled(sleep(serving)).fuse());
    let drained =
        server.serve_until(&mut end, |connection| handle(connection, tally.clone())).await.expect("the listener works");
    assert_eq!((status.active(), status.is_draining()), (0, true));
    assert_eq!(drained.left().len() as u64, status.aborted());
    tally.add("servers", 1);
    tally.add("accepted", status.accepted());
    tally.add("timed out", status.timed_out());
    tally.add("aborted", status.aborted());
    tally.add("panicked", status.panicked());
    for (kind, count) in status.errors() {
        let name = match kind {
            io::ErrorKind::ConnectionReset => "reset",
            io::ErrorKind::BrokenPipe => "broken pipe",
            io::ErrorKind::InvalidData => "failed",
            other => panic!("{count} handlers ended with {other:?}"),
        };
        tally.add(name, count);
    }
}

/// How many descriptors the selector of `runtime` knows.
fn registrations(runtime: &Runtime) -> usize {
    let info = loop {
        match fs::read_to_string(format!("/proc/self/fdinfo/{}", runtime.as_raw_fd())) {
            Ok(info) => break info,
            // There is no descriptor to read it with.
            Err(_) => std::thread::yield_now(),
        }
    };
    info.lines().filter(|line| line.starts_with("tfd:")).count()
}
