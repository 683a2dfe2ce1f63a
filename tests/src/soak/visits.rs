//! The clients' thread.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use pollywog_net::cancel::CancelToken;
use pollywog_net::task::yield_now;
use pollywog_net::time::{sleep, timeout};
use pollywog_net::{Metrics, Runtime, TcpStream, spawn};

use super::descriptors::take_all;
use super::echo::{Ended, echo};
use super::handler::{ECHO, FAIL, PANIC};
use super::tally::Tally;
use crate::memory::live;
use crate::net::Random;

const CLIENTS: usize = 48;
const EMFILE: i32 = 24;
/// A visit that takes longer hangs: the server does not let anybody stay so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The runtime is gone, too.
const KEPT: isize = 32 << 10;

/// Visits the server until `stop`, from many tasks at once, and checks that nothing of them is left.
pub fn visit_all(addr: SocketAddr, seed: u64, tally: &Arc<Tally>, stop: &CancelToken) {
    let before = live();
    let runtime = Runtime::new().expect("nobody has taken the descriptors yet");
    runtime.block_on(async {
        let visitor = |number: usize| {
            let (tally, stop) = (tally.clone(), stop.clone());
            spawn(async move { visit_again_and_again(addr, seed ^ (number as u64) << 32, &tally, &stop).await })
        };
        let visitors: Vec<_> = (0..CLIENTS).map(visitor).collect();
        take_all(Random::new(!seed), tally, stop).await;
        for visitor in visitors {
            visitor.await.expect("what it says is wrong");
        }
        let metrics = Metrics::current();
        assert_eq!((metrics.alive, metrics.timers), (0, 0), "tasks and timers of clients that have gone");
    });
    drop(runtime);
    let kept = live() - before;
    assert!(kept < KEPT, "{kept} bytes are left by clients that have gone");
}

async fn visit_again_and_again(addr: SocketAddr, seed: u64, tally: &Tally, stop: &CancelToken) {
    let mut random = Random::new(seed);
    while !stop.is_cancelled() {
        let seed = random.below(usize::MAX) as u64;
        timeout(PATIENCE, visit(addr, seed, tally)).await.unwrap_or_else(|_| panic!("the visit {seed} hangs"));
    }
}

/// A connection, or `None` where there is none to be had now.
async fn connect(addr: SocketAddr, tally: &Tally) -> Option<TcpStream> {
    let error = match TcpStream::connect(addr).await {
        Ok(stream) => return Some(stream),
        Err(error) => error,
    };
    let (what, pause) = match (error.kind(), error.raw_os_error()) {
        // Between two servers.
        (ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset, _) => ("refused", 1),
        (_, Some(EMFILE)) => ("connects without a descriptor", 1),
        // So many rest after their end.
        (ErrorKind::AddrNotAvailable, _) => ("connects without a port", 50),
        _ => panic!("{addr}: {error}"),
    };
    tally.add(what, 1);
    sleep(Duration::from_millis(pause)).await;
    None
}

/// Reads until the server ends it, in whatever way.
async fn until_the_end(stream: &mut TcpStream) {
    while !matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
}

fn count(ended: Ended, tally: &Tally) {
    let what = match ended {
        Ended::Whole => "whole",
        Ended::TurnedAway => "turned away",
        Ended::Cut => "cut",
    };
    tally.add(what, 1);
}

/// One visit, of the kind that `seed` draws.
async fn visit(addr: SocketAddr, seed: u64, tally: &Tally) {
    let mut random = Random::new(seed);
    let kind = random.below(12);
    if kind == 0 {
        let clients = (0..1 + random.below(20)).map(async |_| {
            let stream = connect(addr, tally).await?;
            let mut text = [ECHO, b'p', b'i', b'n', b'g'];
            (&stream).write_all(&text).await.ok()?;
            (&stream).read_exact(&mut text[1..]).await.ok()?;
            assert_eq!(&text[1..], b"ping");
            Some(())
        });
        let answered = join_all(clients).await.into_iter().flatten().count();
        tally.add("of bursts", answered as u64);
        return;
    }
    if kind == 1 {
        // Connected by its first poll or not, it is dropped after that.
        drop(TcpStream::connect(addr).now_or_never());
        tally.add("gone at once", 1);
        return yield_now().await;
    }
    let Some(mut stream) = connect(addr, tally).await else { return };
    match kind {
        2 => {
            let _ = stream.close().await;
            until_the_end(&mut stream).await;
            tally.add("closed at once", 1);
        }
        3 => {
            until_the_end(&mut stream).await;
            tally.add("silent", 1);
        }
        4 => {
            let _ = stream.write_all(&[ECHO]).await;
            while stream.write_all(&[0; 1 << 14]).await.is_ok() {}
            tally.add("never read", 1);
        }
        5 => {
            let (request, what) = [(PANIC, "asked to panic"), (FAIL, "asked to fail")][random.below(2)];
            tally.add(what, 1);
            let _ = stream.write_all(&[request]).await;
            until_the_end(&mut stream).await;
        }
        6 | 7 => {
            let patience = Duration::from_micros(random.below(3_000) as u64);
            match timeout(patience, echo(stream, seed)).await {
                Ok(ended) => count(ended, tally),
                Err(_) => tally.add("cancelled", 1),
            }
        }
        _ => count(echo(stream, seed).await, tally),
    }
}
