//! A server that says that it is about to stop, and goes on for a while.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures::channel::oneshot;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use pollywog_net::server::{Connection, Server};
use pollywog_net::time::{self, advance, hold, pause, sleep};
use pollywog_net::{TcpStream, spawn};
use pollywog_tests::net::{run, turns};

const DELAY: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// Sends back what it gets, until it is told to stop; then it says so.
async fn echo(mut connection: Connection) -> io::Result<()> {
    let shutdown = connection.shutdown_token().clone();
    let mut byte = [0];
    while let Some(count) = shutdown.run_until_cancelled(connection.read(&mut byte)).await {
        match count? {
            0 => return Ok(()),
            _ => connection.write_all(&byte).await?,
        }
    }
    connection.write_all(b"bye").await
}

async fn connect(addr: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    ask(&mut client).await;
    client
}

async fn ask(client: &mut TcpStream) {
    client.write_all(b"x").await.unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"x");
}

#[test]
fn for_the_delay_only_the_status_changes() {
    run(async {
        pause();
        let held = hold();
        let server = Server::bind("127.0.0.1:0").await.unwrap().drain_delay(DELAY);
        let (addr, status) = (server.listener().local_addr().unwrap(), server.status());
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = spawn(server.serve_until(stopped, echo));
        let mut old = connect(addr).await;
        assert!(!status.is_draining());
        drop(stop);
        turns(3).await;
        assert!(status.is_draining(), "it is said at once");
        let mut new = connect(addr).await;
        ask(&mut old).await;
        advance(DELAY - TICK).await;
        let mut last = connect(addr).await;
        assert!((&mut serving).now_or_never().is_none());
        assert_eq!(status.active(), 3, "nobody was told to stop");
        advance(2 * TICK).await;
        for client in [&mut old, &mut new, &mut last] {
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "bye");
        }
        assert!(serving.await.unwrap().unwrap().is_complete());
        assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(held);
    });
}

#[test]
fn the_deadline_counts_from_the_end_of_the_delay() {
    run(async {
        pause();
        let held = hold();
        let server = Server::bind("127.0.0.1:0").await.unwrap().drain_delay(DELAY).drain_timeout(TIMEOUT);
        let addr = server.listener().local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = spawn(server.serve_until(stopped, |mut connection: Connection| async move {
            connection.write_all(b"x").await?;
            pending().await
        }));
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        drop((stop, held));
        let start = time::now();
        let drained = serving.await.unwrap().unwrap();
        assert_eq!(drained.left().len(), 1);
        let took = time::now() - start;
        assert!((DELAY + TIMEOUT..DELAY + TIMEOUT + 10 * TICK).contains(&took), "{took:?}");
    });
}

/// As at any other time: whoever ends makes room.
#[test]
fn the_limit_of_connections_holds_in_the_delay() {
    run(async {
        pause();
        let held = hold();
        let server = Server::bind("127.0.0.1:0").await.unwrap().drain_delay(DELAY).max_connections(1);
        let (addr, status) = (server.listener().local_addr().unwrap(), server.status());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = spawn(server.serve_until(stopped, echo));
        let first = connect(addr).await;
        drop(stop);
        turns(3).await;
        let mut second = TcpStream::connect(addr).await.unwrap();
        turns(3).await;
        assert_eq!((status.is_draining(), status.accepted()), (true, 1));
        drop(first);
        ask(&mut second).await;
        assert_eq!(status.accepted(), 2);
        drop((second, held));
        sleep(DELAY).await;
        assert!(serving.await.unwrap().unwrap().is_complete());
    });
}
