//! Sockets that go on after the runtime that they waited on.

use std::io::{self, ErrorKind, Write};
use std::pin::pin;
use std::thread;

use futures::{FutureExt, poll};
use pollywog_tests::net::{alone, counted, fill, read, run, turns, with_peer};

/// Its key names the runtime before, whose number the new one has.
#[test]
fn a_socket_outlives_its_runtime() {
    alone("a_socket_outlives_its_runtime", || {
        let (stream, mut peer) = run(async {
            let (stream, peer) = with_peer().await;
            assert!(poll!(pin!(stream.readable())).is_pending());
            assert!(poll!(pin!(read(&stream, &mut [0; 1]))).is_pending());
            (stream, peer)
        });
        for text in ["one", "three"] {
            run(async {
                let mut buffer = [0; 16];
                let (reading, polls) = counted(async { read(&stream, &mut buffer).await.unwrap() });
                let mut reading = pin!(reading);
                assert!(poll!(reading.as_mut()).is_pending());
                turns(20).await;
                assert!(polls.get() < 3, "it spins");
                peer.write_all(text.as_bytes()).unwrap();
                assert_eq!(reading.await, text.len());
                assert!(polls.get() < 6, "it spins");
                let mut waiting = pin!(stream.readable());
                assert!(poll!(waiting.as_mut()).is_pending());
                peer.write_all(b"x").unwrap();
                waiting.await.unwrap();
                assert_eq!(stream.try_read(&mut [0; 16]).unwrap(), 1);
            });
        }
    });
}

#[test]
fn a_socket_that_outlives_its_runtime_is_found_out_by_who_only_waits() {
    alone("a_socket_that_outlives_its_runtime_is_found_out_by_who_only_waits", || {
        let (stream, mut peer) = run(async {
            let (stream, peer) = with_peer().await;
            assert!(poll!(pin!(stream.readable())).is_pending());
            (stream, peer)
        });
        run(async {
            for _ in 0..2 {
                stream.readable().now_or_never(); // it may be wrong
                assert_eq!(stream.try_read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
            let mut waiting = pin!(stream.readable());
            assert!(poll!(waiting.as_mut()).is_pending(), "it spins");
            peer.write_all(b"x").unwrap();
            waiting.await.unwrap();
            assert_eq!(stream.try_read(&mut [0; 16]).unwrap(), 1);
        });
    });
}

/// As above, and a third runtime watches the other direction.
#[test]
fn a_key_of_a_runtime_that_is_gone_silences_nobody() {
    alone("a_key_of_a_runtime_that_is_gone_silences_nobody", || {
        let (stream, mut peer) = run(async {
            let (stream, peer) = with_peer().await;
            assert!(poll!(pin!(stream.readable())).is_pending());
            (stream, peer)
        });
        run(async {
            // This runtime has the number that the reading direction still names.
            fill(&stream);
            let mut writing = pin!(stream.writable());
            assert!(poll!(writing.as_mut()).is_pending());
            turns(3).await;
            thread::scope(|threads| {
                threads.spawn(|| run(async { assert!(poll!(pin!(stream.readable())).is_pending()) }));
            });
            peer.set_nonblocking(true).unwrap();
            let mut buffer = vec![0; 1 << 16];
            while io::Read::read(&mut peer, &mut buffer).is_ok() {
                turns(1).await;
            }
            writing.await.unwrap();
        });
    });
}
