//! Not a byte is lost, doubled or out of order: partial writes, `read_with` and what it leaves, `peek`.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut, Write};
use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures::future::{join, poll_fn};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, poll};
use pollywog_net::TcpStream;
use pollywog_tests::net::{Random, arrived_bytes, counted, finish, pair, read, rest_of, run, turns, with_peer};
use socket2::SockRef;

fn pattern(position: usize) -> u8 {
    (position * 31 + position / 251) as u8
}

/// Writes `total` bytes of the pattern, in calls of random sizes, every other one vectored.
async fn write_pattern(stream: &TcpStream, total: usize, mut random: Random) {
    let mut position = 0;
    while position < total {
        let sizes = [0; 3].map(|_| random.below(20_000));
        let mut start = position;
        let parts = sizes.map(|size| {
            let end = (start + size).min(total);
            let part: Vec<u8> = (start..end).map(pattern).collect();
            start = end;
            part
        });
        let slices = parts.each_ref().map(|part| IoSlice::new(part));
        let mut stream = stream;
        position += match random.below(2) {
            0 => stream.write_vectored(&slices).await.unwrap(),
            _ => stream.write(&parts[0]).await.unwrap(),
        };
    }
}

/// Reads to the end, slowly and in random sizes, and gives the number of bytes.
async fn read_pattern(stream: &TcpStream, mut random: Random) -> usize {
    let mut position = 0;
    loop {
        let [mut one, mut two] = [0; 2].map(|_| vec![0; 1 + random.below(9_000)]);
        let mut stream = stream;
        let count = match random.below(4) {
            0 => stream.read(&mut one).await.unwrap(),
            1 => stream.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).await.unwrap(),
            kind => {
                let consumed = stream.read_with(|bytes| {
                    let consumed = if kind == 2 { bytes.len() } else { bytes.len().div_ceil(2) };
                    one = bytes[..consumed].to_vec();
                    (consumed, consumed)
                });
                consumed.await.unwrap().unwrap_or(0)
            }
        };
        if count == 0 {
            return position;
        }
        for byte in one.iter().chain(&two).take(count) {
            assert_eq!(*byte, pattern(position), "at {position}");
            position += 1;
        }
        turns(random.below(3)).await;
    }
}

#[test]
fn partial_and_vectored_writes() {
    const TOTAL: usize = 400_000;
    for seed in 0..4 {
        run(async {
            let (mut server, client) = pair().await;
            SockRef::from(&server).set_send_buffer_size(4096).unwrap();
            let writing = async {
                write_pattern(&server, TOTAL, Random::new(seed)).await;
                server.close().await.unwrap();
            };
            let ((), count) = join(writing, read_pattern(&client, Random::new(seed + 100))).await;
            assert_eq!(count, TOTAL, "seed {seed}");
        });
    }
}

#[test]
fn a_short_read_waits_for_an_edge() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        assert!(poll!(pin!(stream.readable())).is_pending());
        peer.write_all(b"short").unwrap();
        arrived_bytes(&stream, 5);
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 5);
        assert!(poll!(pin!(stream.readable())).is_pending(), "no system call is needed to know");
        peer.write_all(b"full").unwrap();
        arrived_bytes(&stream, 4);
        assert_eq!(read(&stream, &mut [0; 4]).await.unwrap(), 4);
        assert!(poll!(pin!(stream.readable())).is_ready(), "a read that filled its buffer says nothing of the rest");
    });
}

#[test]
fn a_peek_leaves_what_it_saw_and_readiness_too() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        assert!(poll!(pin!(stream.readable())).is_pending());
        peer.write_all(b"short").unwrap();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            assert_eq!(stream.peek(&mut buffer).await.unwrap(), 5);
            stream.readable().await.unwrap();
        }
        assert_eq!(rest_after(&stream, peer).await, b"short");
    });
}

/// The peer ends; gives what was still there.
async fn rest_after(stream: &TcpStream, peer: std::net::TcpStream) -> Vec<u8> {
    finish(&peer);
    rest_of(stream).await
}

#[test]
fn what_is_not_consumed_comes_first_to_every_kind_of_read() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"abcdefghij").unwrap();
        arrived_bytes(&stream, 10);
        let take = |count| stream.read_with(move |bytes: &[u8]| (count, bytes.to_vec()));
        assert_eq!(take(2).await.unwrap().unwrap(), b"abcdefghij");
        peer.write_all(b"klm").unwrap();
        arrived_bytes(&stream, 3);
        let mut buffer = [0; 16];
        stream.readable().await.unwrap();
        assert_eq!(stream.peek(&mut buffer[..3]).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"cde");
        assert_eq!(take(1).await.unwrap().unwrap(), b"cdefghij", "at once: there may be a whole message");
        assert_eq!(stream.try_read(&mut buffer[..2]).unwrap(), 2);
        assert_eq!(&buffer[..2], b"de");
        assert_eq!(read(&stream, &mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(&buffer[..2], b"fg");
        let [mut one, mut two] = [[0; 1]; 2];
        let mut both = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!((&stream).read_vectored(&mut both).await.unwrap(), 2);
        assert_eq!((one, two), (*b"h", *b"i"));
        assert_eq!(rest_after(&stream, peer).await, b"jklm");
    });
}

#[test]
fn who_consumes_nothing_waits_for_more_and_gets_both_together() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let look = || stream.read_with(|bytes| (if bytes.len() < 6 { 0 } else { bytes.len() }, bytes.to_vec()));
        for (sent, seen) in [("ab", "ab"), ("cd", "abcd"), ("ef", "abcdef")] {
            let mut looking = pin!(look());
            assert!(poll!(looking.as_mut()).is_pending(), "it has seen all there is");
            peer.write_all(sent.as_bytes()).unwrap();
            assert_eq!(looking.await.unwrap().unwrap(), seen.as_bytes());
        }
        peer.write_all(b"unf").unwrap();
        assert_eq!(look().await.unwrap().unwrap(), b"unf");
        finish(&peer);
        assert_eq!(look().await.unwrap(), None, "the end, with an unfinished message");
        assert_eq!(look().await.unwrap(), None);
        assert_eq!(rest_of(&stream).await, b"unf", "which others can have");
    });
}

/// The future is dropped after every poll.
#[test]
fn a_cancelled_read_with_loses_nothing() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let mut random = Random::new(5);
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        while sent.len() < 2_000 {
            if random.below(3) == 0 {
                let part: Vec<u8> = (sent.len()..sent.len() + 1 + random.below(50)).map(pattern).collect();
                peer.write_all(&part).unwrap();
                sent.extend_from_slice(&part);
            }
            let consumes = random.below(20);
            let reading = stream.read_with(|bytes| {
                let consumed = consumes.min(bytes.len());
                got.extend_from_slice(&bytes[..consumed]);
                (consumed, ())
            });
            let _ = poll!(pin!(reading));
            turns(random.below(2)).await;
        }
        assert!(got.len() > 1_000, "most was read on the way");
        got.extend(rest_after(&stream, peer).await);
        assert_eq!(got, sent);
    });
}

#[test]
fn the_lent_buffer_goes_back_when_the_borrower_panics() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let address = Cell::new(std::ptr::null());
        peer.write_all(b"one").unwrap();
        let panics = stream.read_with(|bytes| -> (usize, ()) {
            address.set(bytes.as_ptr());
            panic!("a parser's bug, on purpose")
        });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        // If the buffer was freed, this takes its place, so that the next one is another.
        let _decoy = vec![0_u8; 64 << 10];
        peer.write_all(b"two").unwrap();
        let lent = stream.read_with(|bytes| (bytes.len(), bytes.as_ptr() == address.get())).await.unwrap();
        assert_eq!(lent, Some(true), "the same buffer is lent again");
    });
}

#[test]
fn who_says_that_it_consumed_too_much_is_told() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"one").unwrap();
        let wrong = AssertUnwindSafe(stream.read_with(|_| (4, ()))).catch_unwind().await;
        let message = *wrong.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(message, "consumed 4 bytes of 3 that were lent");
    });
}

/// Small messages out of what is left over are operations as others are.
#[test]
fn messages_that_are_left_over_use_the_budget() {
    const MESSAGES: usize = 1_000;
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(&[b'\n'; MESSAGES]).unwrap();
        arrived_bytes(&stream, MESSAGES);
        let (all, polls) = counted(async {
            for _ in 0..MESSAGES {
                stream.read_with(|_| (1, ())).await.unwrap().unwrap();
            }
        });
        all.await;
        assert!(polls.get() > MESSAGES / 200, "{} polls for {MESSAGES} messages", polls.get());
        peer.write_all(&[b'\n'; MESSAGES]).unwrap();
        arrived_bytes(&stream, MESSAGES);
        stream.read_with(|_| (1, ())).await.unwrap().unwrap();
        let (all, polls) = counted(async {
            for _ in 1..MESSAGES {
                assert_eq!(read(&stream, &mut [0]).await.unwrap(), 1);
            }
        });
        all.await;
        assert!(polls.get() > MESSAGES / 200, "{} polls for {MESSAGES} bytes", polls.get());
    });
}

#[test]
fn an_empty_buffer_is_no_end_and_changes_nothing() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"x").unwrap();
        arrived_bytes(&stream, 1);
        assert_eq!(read(&stream, &mut []).await.unwrap(), 0);
        assert_eq!((&stream).write(&[]).await.unwrap(), 0);
        let byte = poll_fn(|cx| pin!(read(&stream, &mut [0])).poll(cx)).await.unwrap();
        assert_eq!(byte, 1);
    });
}
