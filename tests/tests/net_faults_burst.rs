//! A burst, then nothing: what stays of many tasks and of many connections.

use std::cell::Cell;
use std::future::Future;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::cancel::CancelToken;
use pollywog_net::task::yield_now;
use pollywog_net::time::timeout;
use pollywog_net::{Runtime, TcpListener, TcpStream, spawn};
use pollywog_tests::limits::{limit_descriptors, may_have_descriptors};
use pollywog_tests::memory::{Counting, live};
use pollywog_tests::net::{LIMIT, Watchdog, alone, descriptors, inside, read, run, run_injected, turns, with_peer};
use socket2::SockRef;

#[global_allocator]
static COUNTING: Counting = Counting;

/// What the two crates say that they keep, for each that was there at once.
const BYTES_PER_TASK: usize = 48;
const BYTES_PER_SOCKET: usize = 72;

/// A table doubles when it is full.
#[track_caller]
fn assert_kept(kept: isize, bytes: usize) {
    assert!(kept <= 2 * bytes as isize, "{kept} bytes were kept, where the slots take {bytes}");
}

#[test]
fn a_burst_of_tasks_leaves_its_slots() {
    const TASKS: usize = 100_000;
    run(async {
        let burst = async || {
            let tasks: Vec<_> = (0..TASKS).map(|_| spawn(yield_now())).collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        let before = live();
        burst().await;
        let kept = live() - before;
        assert_kept(kept, TASKS * BYTES_PER_TASK);
        burst().await;
        assert_eq!(live() - before, kept, "the next burst takes the same slots");
    });
}

/// Answers once, and waits until the peer has gone.
async fn serve(mut stream: TcpStream) {
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    stream.write_all(&text).await.unwrap();
    assert_eq!(stream.read(&mut text).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// `count` connections, both ends here: all are open at once, and all wait.
async fn burst_of_connections(listener: &TcpListener, count: usize) {
    let addr = listener.local_addr().unwrap();
    let (go, waiting) = (CancelToken::new(), Rc::new(Cell::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..count {
        let (go, waiting) = (go.clone(), waiting.clone());
        tasks.push(spawn(async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            // Ports that rest would be missed by the next burst.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            waiting.set(waiting.get() + 1);
            go.cancelled().await;
            stream.write_all(b"hello").await.unwrap();
            let mut text = [0; 5];
            assert_eq!(read(&stream, &mut text).await.unwrap(), text.len());
            assert_eq!(&text, b"hello");
        }));
        let (stream, _) = listener.accept().await.unwrap();
        tasks.push(spawn(serve(stream)));
    }
    while waiting.get() < count {
        turns(1).await;
    }
    go.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Each burst has its time: it is not short in a debug build.
fn within_the_limit<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(async { timeout(LIMIT, future).await.expect("it hangs") })
}

#[test]
fn a_burst_of_connections_leaves_its_slots() {
    const NAME: &str = "a_burst_of_connections_leaves_its_slots";
    const CONNECTIONS: usize = 8_000;
    const DESCRIPTORS: u64 = 17_000;
    if !may_have_descriptors(NAME, DESCRIPTORS) {
        return;
    }
    alone(NAME, || {
        limit_descriptors(DESCRIPTORS);
        let _watchdog = Watchdog::start();
        let runtime = Runtime::new().unwrap();
        let listener = within_the_limit(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            burst_of_connections(&listener, 1).await;
            listener
        });
        let (open, before) = (descriptors(), live());
        let kept = [(); 2].map(|()| {
            within_the_limit(&runtime, burst_of_connections(&listener, CONNECTIONS));
            assert_eq!(descriptors(), open);
            live() - before
        });
        assert_kept(kept[0], 2 * CONNECTIONS * (BYTES_PER_TASK + BYTES_PER_SOCKET));
        assert_eq!(kept[1], kept[0], "the next burst takes the same slots");
    });
}

/// The runtime registers two descriptors of its own; all others are refused.
#[test]
fn a_registration_that_fails_leaves_no_slot() {
    const NAME: &str = "a_registration_that_fails_leaves_no_slot";
    if inside(NAME).is_none() {
        return run_injected("epoll_ctl:error=ENOSPC:when=3+", NAME, "");
    }
    run(async {
        let (stream, _peer) = with_peer().await;
        let fail = async || assert!(stream.readable().await.is_err());
        fail().await;
        let before = live();
        for _ in 0..100 {
            fail().await;
        }
        assert_eq!(live(), before);
    });
}
