//! A socket that goes on after the runtime it was registered with.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::time::timeout;
use pollywog_net::{Runtime, TcpListener, TcpStream};

/// One test at a time: the later runtime is to get the number of the one before.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The output of `future`, and how often it was polled.
async fn counted<T>(future: impl Future<Output = T>) -> (T, u32) {
    let mut future = pin!(future);
    let mut polls = 0;
    let output = std::future::poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    });
    (output.await, polls)
}

/// Lets the reactor turn a few times, then writes.
async fn write_later(stream: &mut TcpStream, bytes: &[u8]) {
    for _ in 0..20 {
        pollywog_net::task::yield_now().await;
    }
    stream.write_all(bytes).await.unwrap();
}

/// A pair whose server side waits for bytes at `runtime`, so that it is registered there.
fn waiting_pair(runtime: &Runtime) -> (TcpStream, TcpStream) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        assert!(timeout(Duration::ZERO, server.read(&mut [0; 8])).await.is_err());
        (client, server)
    })
}

#[test]
fn a_later_runtime_with_the_same_number_registers_it_anew() {
    let _alone = alone();
    let (mut client, mut server) = waiting_pair(&Runtime::new().unwrap());
    let later = Runtime::new().unwrap();
    later.block_on(async {
        let reader = pollywog_net::spawn(async move {
            let mut buffer = [0; 8];
            let (count, polls) = counted(server.read(&mut buffer)).await;
            (buffer[..count.unwrap()].to_vec(), polls)
        });
        write_later(&mut client, b"late").await;
        let (bytes, polls) = timeout(Duration::from_secs(10), reader).await.expect("the reader is woken").unwrap();
        assert_eq!(bytes, b"late");
        assert!(polls <= 3, "it waits for the event, and does not ask again and again: {polls} polls");
    });
}

#[test]
fn dropping_it_under_a_later_runtime_frees_nothing_of_that_one() {
    let _alone = alone();
    let first = Runtime::new().unwrap();
    let old = waiting_pair(&first);
    drop(first);
    let later = Runtime::new().unwrap();
    let (mut client, mut server) = waiting_pair(&later);
    later.block_on(async {
        drop(old);
        let reader = pollywog_net::spawn(async move { server.read(&mut [0; 8]).await });
        write_later(&mut client, b"here").await;
        let count = timeout(Duration::from_secs(10), reader).await.expect("the reader is woken").unwrap();
        assert_eq!(count.unwrap(), 4);
    });
}
