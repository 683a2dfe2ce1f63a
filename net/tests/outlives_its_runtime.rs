//! A socket that goes on after the runtime it was registered with.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::time::timeout;
use pollywog_net::{Runtime, TcpListener, TcpStream};

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
    let (mut client, mut server) = waiting_pair(&Runtime::new().unwrap());
    let later = Runtime::new().unwrap();
    let mut buffer = [0; 8];
    let count = later.block_on(async {
        let read = timeout(Duration::from_secs(10), async {
            let (count, written) = futures::join!(server.read(&mut buffer), async {
                // The reader waits first.
                pollywog_net::task::yield_now().await;
                client.write_all(b"late").await
            });
            written.unwrap();
            count.unwrap()
        });
        read.await.expect("the reader is woken")
    });
    assert_eq!(&buffer[..count], b"late");
}

#[test]
fn dropping_it_under_a_later_runtime_frees_nothing_of_that_one() {
    let first = Runtime::new().unwrap();
    let old = waiting_pair(&first);
    drop(first);
    let later = Runtime::new().unwrap();
    let (mut client, mut server) = waiting_pair(&later);
    later.block_on(async {
        drop(old);
        let mut buffer = [0; 8];
        let (count, written) = futures::join!(timeout(Duration::from_secs(10), server.read(&mut buffer)), async {
            pollywog_net::task::yield_now().await;
            client.write_all(b"here").await
        });
        written.unwrap();
        assert_eq!(count.expect("the reader is woken").unwrap(), 4);
    });
}
