//! A peer that is gone without a word: its cable was pulled, and no packet of it comes any more.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use futures::{AsyncWriteExt, poll};
use pollywog_net::TcpStream;
use pollywog_tests::limits::has;
use pollywog_tests::namespace::{in_namespace, nft, sysctl};
use pollywog_tests::net::{counted, fill, read, run, turns, with_peer};
use socket2::SockRef;

const ETIMEDOUT: i32 = 110;

/// Runs `body` in a network whose packets can be dropped from then on.
fn with_a_cable(test: &str, body: impl FnOnce()) {
    if has(test, "nft") {
        in_namespace(test, body);
    }
}

fn pull_the_cable() {
    nft("add table inet test");
    nft("add chain inet test input { type filter hook input priority 0; policy drop; }");
}

/// The system gives up when what was sent is not acknowledged for this long.
fn be_impatient(stream: &TcpStream) {
    SockRef::from(stream).set_tcp_user_timeout(Some(Duration::from_millis(250))).unwrap();
}

#[test]
fn a_reader_whose_peer_vanishes_wakes_with_the_error() {
    const NAME: &str = "a_reader_whose_peer_vanishes_wakes_with_the_error";
    with_a_cable(NAME, || {
        run(async {
            let (stream, _peer) = with_peer().await;
            be_impatient(&stream);
            let mut buffer = [0; 16];
            let (mut reading, polls) = counted(read(&stream, &mut buffer));
            assert!(poll!(&mut reading).is_pending());
            pull_the_cable();
            (&stream).write_all(b"are you there?").await.unwrap();
            turns(10).await;
            assert!(poll!(&mut reading).is_pending(), "nothing is known yet");
            let before = polls.get();
            let error = reading.await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(ETIMEDOUT));
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(polls.get(), before + 2, "one event tells");
            assert_eq!((&stream).write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(read(&stream, &mut buffer).await.unwrap(), 0, "then it is closed");
        });
    });
}

/// Its buffers are full, and it waits for room.
#[test]
fn a_writer_whose_peer_vanishes_wakes_with_the_error() {
    const NAME: &str = "a_writer_whose_peer_vanishes_wakes_with_the_error";
    with_a_cable(NAME, || {
        run(async {
            let (stream, _peer) = with_peer().await;
            be_impatient(&stream);
            pull_the_cable();
            fill(&stream);
            let mut both = &stream;
            let mut writing = pin!(both.write(b"more"));
            assert!(poll!(writing.as_mut()).is_pending());
            assert_eq!(writing.await.unwrap_err().raw_os_error(), Some(ETIMEDOUT));
            assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 0, "the error is told once");
        });
    });
}

/// Nothing is sent, so nothing is missed: the system has to ask.
#[test]
fn a_reader_whose_silent_peer_vanishes_wakes_where_keepalive_asks() {
    const NAME: &str = "a_reader_whose_silent_peer_vanishes_wakes_where_keepalive_asks";
    with_a_cable(NAME, || {
        sysctl("ipv4/tcp_keepalive_probes", "1");
        run(async {
            let (stream, _peer) = with_peer().await;
            stream.set_keepalive_times(Duration::from_secs(1), Duration::from_secs(1)).unwrap();
            assert!(stream.keepalive().unwrap());
            let refused = stream.set_keepalive_times(Duration::from_millis(999), Duration::from_secs(1)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "whole seconds, one at least: those of before hold");
            let mut buffer = [0; 16];
            let (reading, polls) = counted(read(&stream, &mut buffer));
            pull_the_cable();
            assert_eq!(reading.await.unwrap_err().raw_os_error(), Some(ETIMEDOUT));
            assert_eq!(polls.get(), 2, "one event tells");
        });
    });
}
