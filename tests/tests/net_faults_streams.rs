//! What a peer can do to a connection: close it, halve it, reset it, send urgent data.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{AsyncWriteExt, poll};
use pollywog_net::{TcpStream, spawn};
use pollywog_tests::net::{
    Arrival, alone, arrived, arrived_bytes, counted, fill, finish, pair, read, reset, rest_of, run, turns, with_peer,
};
use socket2::SockRef;

#[test]
fn data_and_fin() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let (mut reader, polls) = counted(rest_of(&stream));
        assert!(poll!(&mut reader).is_pending());
        peer.write_all(b"last words").unwrap();
        finish(&peer);
        arrived(&stream, Arrival::IN | Arrival::RDHUP);
        assert_eq!(reader.await, b"last words");
        assert_eq!(polls.get(), 3, "one event tells both: it waited twice before, and not again");
    });
}

#[test]
fn data_and_fin_before_the_first_wait() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"last words").unwrap();
        finish(&peer);
        arrived(&stream, Arrival::IN | Arrival::RDHUP);
        let (reader, polls) = counted(rest_of(&stream));
        assert_eq!(reader.await, b"last words");
        assert!(polls.get() <= 2, "the registration tells");
    });
}

/// All of it has arrived when the reader is told, and no event comes after that.
#[test]
fn urgent_data_in_mid_stream() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        assert!(poll!(pin!(stream.readable())).is_pending(), "from now on there are edges only");
        peer.write_all(b"before ").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b"after").unwrap();
        arrived(&stream, Arrival::IN | Arrival::PRI);
        arrived_bytes(&stream, b"before ".len());
        let mut bytes = Vec::new();
        let mut buffer = [0; 1024];
        while bytes.len() < b"before after".len() {
            let count = read(&stream, &mut buffer).await.unwrap();
            assert_ne!(count, 0, "the peer has not closed");
            bytes.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(bytes, b"before after");
        finish(&peer);
        assert_eq!(rest_of(&stream).await, b"");
    });
}

#[test]
fn urgent_data_while_the_reader_waits() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let mut buffer = [0; 1024];
        for text in ["one", "two", "three"] {
            let mut reading = Box::pin(read(&stream, &mut buffer));
            assert!(poll!(reading.as_mut()).is_pending());
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            arrived(&stream, Arrival::PRI);
            turns(2).await;
            assert!(poll!(reading.as_mut()).is_pending(), "the urgent byte is none of the stream's");
            peer.write_all(text.as_bytes()).unwrap();
            let count = (&mut reading).await.unwrap();
            drop(reading);
            assert_eq!(&buffer[..count], text.as_bytes());
        }
    });
}

/// The peer has ended its direction; ours works on, waits when the buffers are full, and does not spin.
#[test]
fn half_close() {
    const ANSWER: usize = 4 << 20;
    run(async {
        let (server, mut client) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        let refused = Rc::new(Cell::new(0));
        let written = Rc::new(Cell::new(0));
        let counts = (refused.clone(), written.clone());
        let answering = spawn(async move {
            assert_eq!(rest_of(&server).await, b"question");
            let mut left = ANSWER;
            while left > 0 {
                server.writable().await.unwrap();
                match server.try_write(&[7; 1 << 16][..left.min(1 << 16)]) {
                    Ok(count) => {
                        left -= count;
                        counts.1.set(counts.1.get() + 1);
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        counts.0.set(counts.0.get() + 1);
                    }
                }
            }
        });
        // Nobody reads: the buffers fill, and then there is nothing to do.
        let mut before = (0, 0);
        while before.0 == 0 || before != (written.get(), refused.get()) {
            before = (written.get(), refused.get());
            turns(100).await;
        }
        let answer = rest_of(&client).await;
        assert_eq!(answer.len(), ANSWER);
        assert!(answer.iter().all(|byte| *byte == 7));
        answering.await.unwrap();
        assert!(refused.get() <= written.get(), "{} refused, {} written", refused.get(), written.get());
    });
}

#[test]
fn reset_while_reading() {
    run(async {
        let (stream, peer) = with_peer().await;
        let mut buffer = [0; 16];
        let (mut reading, polls) = counted(read(&stream, &mut buffer));
        assert!(poll!(&mut reading).is_pending());
        reset(peer);
        assert_eq!(reading.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(polls.get(), 3, "it waited twice, and one event woke it");
        assert_eq!(read(&stream, &mut buffer).await.unwrap(), 0, "then it is closed");
    });
}

#[test]
fn close_with_unread_data_resets_who_reads_and_who_writes() {
    run(async {
        let (stream, peer) = with_peer().await;
        fill(&stream);
        let mut buffer = [0; 16];
        let mut reading = pin!(stream.peek(&mut buffer));
        let mut writing = pin!(stream.writable());
        assert!(poll!(reading.as_mut()).is_pending());
        assert!(poll!(writing.as_mut()).is_pending());
        drop(peer);
        writing.await.unwrap();
        assert_eq!(reading.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let error = stream.try_write(b"more").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "the reset was told to the reader");
    });
}

#[test]
fn write_to_a_closed_peer() {
    run(async {
        let (stream, peer) = with_peer().await;
        drop(peer);
        arrived(&stream, Arrival::RDHUP);
        let mut stream = &stream;
        assert_eq!(
            stream.write(b"one").await.unwrap(),
            3,
            "the peer has only ended its own direction, for all we know"
        );
        arrived(&stream, Arrival::HUP);
        for _ in 0..2 {
            assert_eq!(stream.write(b"two").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        stream.writable().await.unwrap();
        stream.close().await.unwrap();
    });
}

/// The signal ends a process that does not ignore it. Rust's programs do, but not every program that Rust is a part of.
fn raises_no_signal(test: &str, write: impl AsyncFn(&TcpStream) -> io::Result<usize>) {
    alone(test, || {
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, raised.clone()).unwrap();
        run(async {
            let (stream, peer) = with_peer().await;
            drop(peer);
            arrived(&stream, Arrival::RDHUP);
            assert_eq!(write(&stream).await.unwrap(), 1);
            arrived(&stream, Arrival::HUP);
            assert_eq!(write(&stream).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        assert!(!raised.load(Ordering::SeqCst));
    });
}

#[test]
fn a_write_to_a_closed_peer_raises_no_signal() {
    raises_no_signal("a_write_to_a_closed_peer_raises_no_signal", async |mut stream| stream.write(b"x").await);
}

#[test]
fn a_vectored_write_to_a_closed_peer_raises_no_signal() {
    raises_no_signal("a_vectored_write_to_a_closed_peer_raises_no_signal", async |mut stream| {
        stream.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"")]).await
    });
}

#[test]
fn the_other_direction_stays_armed() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let stream = Rc::new(stream);
        fill(&stream);
        let (reader, reads) = counted({
            let stream = stream.clone();
            async move {
                let mut buffer = [0; 16];
                let count = read(&stream, &mut buffer).await.unwrap();
                buffer[..count].to_vec()
            }
        });
        let (writer, writes) = counted({
            let stream = stream.clone();
            async move { (&*stream).write(b"x").await.unwrap() }
        });
        let (reader, writer) = (spawn(reader), spawn(writer));
        turns(2).await;
        assert_eq!((reads.get(), writes.get()), (1, 1));
        peer.write_all(b"for the reader").unwrap();
        assert_eq!(reader.await.unwrap(), b"for the reader");
        turns(2).await;
        // An event of the socket names both directions, but there is still no room.
        assert!(!writer.is_finished());
        peer.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        while !writer.is_finished() {
            match peer.read(&mut buffer) {
                Ok(count) => assert_ne!(count, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            turns(1).await;
        }
        assert_eq!(writer.await.unwrap(), 1);
        assert_eq!(reads.get(), 2, "the reader is woken once");
    });
}

#[test]
fn shutdown_here_wakes_the_reader_here() {
    run(async {
        let (stream, _peer) = with_peer().await;
        let mut buffer = [0; 16];
        let mut reading = pin!(read(&stream, &mut buffer));
        assert!(poll!(reading.as_mut()).is_pending());
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reading.await.unwrap(), 0);
    });
}
