//! A burst, then nothing: what stays of many tasks and of many connections.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::cancel::CancelToken;
use pollywog_net::task::yield_now;
use pollywog_net::{TcpListener, TcpStream, spawn};
use pollywog_tests::limits::{limit_descriptors, may_have_descriptors};
use pollywog_tests::memory::{Counting, live};
use pollywog_tests::net::{alone, descriptors, read, run, turns};
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
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            burst_of_connections(&listener, 1).await;
            let (open, before) = (descriptors(), live());
            burst_of_connections(&listener, CONNECTIONS).await;
            let kept = live() - before;
            assert_kept(kept, 2 * CONNECTIONS * (BYTES_PER_TASK + BYTES_PER_SOCKET));
            assert_eq!(descriptors(), open);
            burst_of_connections(&listener, CONNECTIONS).await;
            assert_eq!(live() - before, kept, "the next burst takes the same slots");
        });
    });
}
