//! What the tests of `pollywog_net::server` share: a server under way, handlers, and a clock that stands still.

use std::fs;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::cancel::CancelToken;
use pollywog_net::server::{Connection, Drained, Server, Status};
use pollywog_net::time::{hold, pause};
use pollywog_net::{JoinHandle, TcpStream, spawn};

use crate::net::{Watchdog, turns};

/// A server that serves in a task of its own.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it says of itself.
    pub status: Status,
    /// Its signal.
    pub stop: CancelToken,
    /// Its task.
    pub task: JoinHandle<io::Result<Drained<SocketAddr>>>,
}

/// Starts a server on a port of its own.
pub async fn serve<H, F>(configure: impl FnOnce(Server) -> Server, handler: H) -> Serving
where
    H: FnMut(Connection) -> F + 'static,
    F: Future<Output = io::Result<()>> + 'static,
{
    let server = configure(Server::bind("127.0.0.1:0").await.unwrap());
    let (addr, status, stop) = (server.listener().local_addr().unwrap(), server.status(), CancelToken::new());
    let signal = stop.clone();
    let task = spawn(async move { server.serve_until(signal.cancelled(), handler).await });
    Serving { addr, status, stop, task }
}

impl Serving {
    /// Begins to stop it: everybody has been told when this is ready, as far as there is room.
    pub async fn stopping(&self) {
        self.stop.cancel();
        while !self.status.is_draining() {
            turns(1).await;
        }
        turns(10).await;
    }

    /// Stops it, and waits until it has.
    pub async fn stopped(self) -> Drained<SocketAddr> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }

    /// A client, which the server knows by its address.
    pub async fn client(&self) -> (TcpStream, SocketAddr) {
        let client = TcpStream::connect(self.addr).await.unwrap();
        let addr = client.local_addr().unwrap();
        (client, addr)
    }

    /// Waits until it has given `count` connections to its handler.
    pub async fn accepted(&self, count: u64) {
        while self.status.accepted() < count {
            turns(1).await;
        }
    }

    /// Waits until it serves `count` connections.
    pub async fn active(&self, count: u64) {
        while self.status.active() != count {
            turns(1).await;
        }
    }
}

/// Sends everything back, until the end or, between two reads, until it is told to stop.
pub async fn echo(mut connection: Connection) -> io::Result<()> {
    let shutdown = connection.shutdown_token().clone();
    let mut buffer = [0; 4096];
    while let Some(count) = shutdown.run_until_cancelled(connection.read(&mut buffer)).await {
        match count? {
            0 => break,
            count => connection.write_all(&buffer[..count]).await?,
        }
    }
    Ok(())
}

/// Sends `ping` and reads it back.
pub async fn ping(client: &mut TcpStream) {
    let mut answer = [0; 4];
    client.write_all(b"ping").await.unwrap();
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

/// A client of std that has connected and sent `ping`, which the server may not have seen yet.
pub fn pinged(addr: SocketAddr) -> std::net::TcpStream {
    all_pinged(addr, 1).remove(0)
}

/// `count` clients as of [`pinged`].
pub fn all_pinged(addr: SocketAddr, count: usize) -> Vec<std::net::TcpStream> {
    let clients: Vec<_> = (0..count).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
    clients.iter().for_each(|client| io::Write::write_all(&mut &*client, b"ping").unwrap());
    all_arrived(addr);
    clients
}

/// Blocks the thread until all that was sent to the server at `addr` has arrived: its clients stand in its queue by
/// then. A busy kernel puts that off, also on the loopback.
pub fn all_arrived(addr: SocketAddr) {
    let IpAddr::V4(ip) = addr.ip() else { panic!("{addr} is not of IPv4") };
    let remote = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), addr.port());
    let is_under_way = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        let (to, _state, queues) = (fields.next(), fields.next(), fields.next());
        to == Some(&remote) && queues.is_some_and(|queues| !queues.starts_with("00000000:"))
    };
    while fs::read_to_string("/proc/net/tcp").unwrap().lines().any(is_under_way) {
        thread::yield_now();
    }
}

/// Runs `future` on a runtime of its own whose clock stands still, but for `time::advance`: also while all wait.
pub fn still<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = Watchdog::start();
    let standing = async {
        pause();
        let _held = hold();
        future.await
    };
    pollywog_net::run(standing).expect("there are descriptors")
}
