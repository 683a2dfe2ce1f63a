//! Streams joined, frames, and files beside the loop.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join;
use futures::io::{AsyncRead, AsyncWrite, BufWriter, Cursor};
use futures::{AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt, poll};
use pollywog_net::codec::{Framed, FramedRead, LengthCodec, LinesCodec};
use pollywog_net::io::copy_bidirectional;
use pollywog_net::task::yield_now;
use pollywog_net::{JoinHandle, TcpStream, fs, spawn, spawn_blocking, time};
use pollywog_tests::memory::{Counting, live};
use pollywog_tests::net::{Random, finish, pair, reset, run, with_peer};
use socket2::SockRef;

#[global_allocator]
static COUNTING: Counting = Counting;

/// A client and a server with a copying task between them.
async fn joined() -> (TcpStream, TcpStream, JoinHandle<io::Result<(u64, u64)>>) {
    let (mut before, client) = pair().await;
    let (server, mut behind) = pair().await;
    let copying = spawn(async move { copy_bidirectional(&mut before, &mut behind).await });
    (client, server, copying)
}

fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.below(256) as u8).collect()
}

#[test]
fn every_byte_goes_both_ways_and_is_counted() {
    run(async {
        let (mut before, client) = pair().await;
        let (server, mut behind) = pair().await;
        // So that what is read in one go is written in several.
        for stream in [&before, &behind] {
            SockRef::from(stream).set_send_buffer_size(4096).unwrap();
        }
        let copying = spawn(async move { copy_bidirectional(&mut before, &mut behind).await });
        let (up, down) = (random_bytes(1_000_000, 1), random_bytes(700_000, 2));
        let end = async |stream: TcpStream, sends: &[u8], gets: &[u8]| {
            let (mut reader, mut writer) = stream.into_split();
            let mut got = Vec::new();
            let writing = async {
                writer.write_all(sends).await.unwrap();
                writer.close().await.unwrap();
            };
            let ((), count) = join(writing, reader.read_to_end(&mut got)).await;
            assert_eq!(count.unwrap(), gets.len());
            assert!(got == gets, "something else came");
        };
        join(end(client, &up, &down), end(server, &down, &up)).await;
        assert_eq!(copying.await.unwrap().unwrap(), (1_000_000, 700_000));
    });
}

#[test]
fn the_end_of_one_side_leaves_the_other_direction_open() {
    run(async {
        let (mut client, mut server, copying) = joined().await;
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");

        for part in ["an ", "answer"] {
            server.write_all(part.as_bytes()).await.unwrap();
            let mut got = vec![0; part.len()];
            client.read_exact(&mut got).await.unwrap();
            assert_eq!(got, part.as_bytes());
        }
        assert!(!copying.is_finished());
        server.close().await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(copying.await.unwrap().unwrap(), (8, 9));
    });
}

#[test]
fn what_is_written_is_flushed_before_it_waits() {
    run(async {
        let (before, mut client) = pair().await;
        let (mut server, behind) = pair().await;
        let (mut before, mut behind) = (BufWriter::new(before), BufWriter::new(behind));
        let copying = spawn(async move { copy_bidirectional(&mut before, &mut behind).await });
        let mut got = [0; 4];
        client.write_all(b"ping").await.unwrap();
        server.read_exact(&mut got).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"pong");
        client.close().await.unwrap();
        server.close().await.unwrap();
        assert_eq!(copying.await.unwrap().unwrap(), (4, 4));
    });
}

#[test]
fn an_error_of_one_side_ends_both_directions() {
    run(async {
        let (mut before, peer) = with_peer().await;
        let (server, mut behind) = pair().await;
        {
            let mut copying = pin!(copy_bidirectional(&mut before, &mut behind));
            assert!(poll!(&mut copying).is_pending());
            reset(peer);
            assert_eq!(copying.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        behind.write_all(b"still open").await.unwrap();
        let mut text = [0; 10];
        (&server).read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"still open");
    });
}

/// A stream in memory: what it gives is up to a closure, and it takes as much as there is room for.
struct Scripted<F> {
    gives: F,
    taken: Rc<Cell<usize>>,
    room: Rc<Cell<usize>>,
}

impl<F> Scripted<F> {
    fn new(gives: F) -> Self {
        Self { gives, taken: Rc::default(), room: Rc::new(Cell::new(usize::MAX)) }
    }
}

impl<F: FnMut(&mut Context<'_>) -> Poll<usize> + Unpin> AsyncRead for Scripted<F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        (self.gives)(cx).map(|count| Ok(count.min(buffer.len())))
    }
}

impl<F: Unpin> AsyncWrite for Scripted<F> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let count = buffer.len().min(self.room.get());
        if count == 0 {
            return Poll::Pending;
        }
        self.room.set(self.room.get() - count);
        self.taken.set(self.taken.get() + count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    run(async {
        let (mut before, mut peer) = with_peer().await;
        peer.write_all(b"x").unwrap();
        let mut full: [u8; 0] = [];
        let mut behind = Cursor::new(&mut full[..]);
        let error = copy_bidirectional(&mut before, &mut behind).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    });
}

/// One side gives without end, until it gets a byte from the other: once as the first of the two, once as the second.
#[test]
fn a_direction_that_never_waits_leaves_the_other_its_turn() {
    run(async {
        for is_first in [true, false] {
            let got = Rc::new(Cell::new(0));
            let stop = got.clone();
            let endless = move |_: &mut Context<'_>| Poll::Ready(if stop.get() == 0 { 1000 } else { 0 });
            let mut endless = Scripted { taken: got.clone(), ..Scripted::new(endless) };
            let mut script = VecDeque::from([1, 0]);
            // It gives its byte once the budget has been used up: the first poll finds nothing.
            let mut polls = 0;
            let short = move |cx: &mut Context<'_>| {
                polls += 1;
                if polls == 1 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(script.pop_front().unwrap_or(0))
            };
            let mut short = Scripted::new(short);
            match is_first {
                true => copy_bidirectional(&mut endless, &mut short).await.unwrap(),
                false => copy_bidirectional(&mut short, &mut endless).await.unwrap(),
            };
            assert_eq!(got.get(), 1);
        }
    });
}

#[test]
fn streams_that_never_wait_let_other_tasks_in() {
    run(async {
        let done = Rc::new(Cell::new(false));
        let sides = [(); 2].map(|()| {
            let done = done.clone();
            let gives = move |_: &mut Context<'_>| Poll::Ready(if done.get() { 0 } else { 1000 });
            Scripted::new(gives)
        });
        let [mut a, mut b] = sides;
        let copying = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
        yield_now().await;
        yield_now().await;
        done.set(true);
        copying.await.unwrap().unwrap();
    });
}

#[test]
fn a_pair_holds_what_the_receiver_does_not_take_and_nothing_else() {
    run(async {
        let offer = Rc::new(Cell::new(0));
        let offered = offer.clone();
        let gives = move |_: &mut Context<'_>| match offered.take() {
            0 => Poll::Pending,
            count => Poll::Ready(count),
        };
        let mut giver = Scripted::new(gives);
        let mut taker = Scripted::new(|_: &mut Context<'_>| Poll::Pending);
        let (room, taken) = (taker.room.clone(), taker.taken.clone());
        let mut copying = Box::pin(copy_bidirectional(&mut giver, &mut taker));
        assert!(poll!(&mut copying).is_pending());
        let waiting = live();

        room.set(100);
        offer.set(60_000);
        assert!(poll!(&mut copying).is_pending());
        assert_eq!((taken.get(), live() - waiting), (100, 59_900));
        room.set(usize::MAX);
        assert!(poll!(&mut copying).is_pending());
        assert_eq!((taken.get(), live() - waiting), (60_000, 0));
    });
}

/// Frames in pieces; each `next` is dropped after one poll.
#[test]
fn a_frame_survives_that_waiting_for_it_is_dropped() {
    run(async {
        let (stream, peer) = with_peer().await;
        let mut random = Random::new(5);
        let sent: Vec<Bytes> = (0..60).map(|seed| random_bytes(random.below(20_000), seed).into()).collect();
        let mut bytes = Vec::new();
        for frame in &sent {
            bytes.extend_from_slice(&(frame.len() as u64).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        let mut frames = FramedRead::new(stream, LengthCodec);
        let (mut got, mut dropped, mut position) = (Vec::new(), 0, 0);
        while got.len() < sent.len() {
            let piece = &bytes[position..(position + random.below(3_000)).min(bytes.len())];
            (&peer).write_all(piece).unwrap();
            position += piece.len();
            yield_now().await;
            match poll!(pin!(frames.next())) {
                Poll::Ready(frame) => got.push(frame.unwrap().unwrap()),
                Poll::Pending => dropped += 1,
            }
        }
        assert!(got == sent, "a frame is lost or another");
        assert!(dropped > sent.len(), "hardly one had to wait");
        finish(&peer);
        assert!(frames.next().await.is_none());
    });
}

#[test]
fn frames_go_both_ways_and_the_last_may_be_cut_short() {
    run(async {
        let (server, client) = pair().await;
        let echo = spawn(async move {
            let (sink, stream) = Framed::new(server, LengthCodec).split();
            stream.forward(sink).await
        });
        let frames: Vec<Bytes> = (0..20).map(|seed| random_bytes(100_000, seed).into()).collect();
        let (mut sink, stream) = Framed::new(client, LengthCodec).split();
        let sending = async {
            for frame in &frames {
                sink.send(frame.clone()).await.unwrap();
            }
            sink.close().await.unwrap();
        };
        let ((), got) = join(sending, stream.map(Result::unwrap).collect::<Vec<_>>()).await;
        assert!(got == frames, "something else came back");
        echo.await.unwrap().unwrap();

        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"whole\ncut sho").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut lines = FramedRead::new(stream, LinesCodec);
        assert_eq!(lines.next().await.unwrap().unwrap(), "whole\n");
        assert_eq!(lines.next().await.unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

/// A named pipe of its own: whoever reads it waits until somebody writes.
fn pipe(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("net_io-{}-{name}", std::process::id()));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    path
}

fn write_to(path: &PathBuf, text: &str) {
    OpenOptions::new().write(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_loop_turns_while_a_file_is_read() {
    run(async {
        let path = pipe("turns");
        let reading = spawn(fs::read_to_string(path.clone()));
        let (mut server, mut client) = pair().await;
        for _ in 0..100 {
            client.write_all(b"ping").await.unwrap();
            server.read_exact(&mut [0; 4]).await.unwrap();
        }
        assert!(!reading.is_finished());
        write_to(&path, "late");
        assert_eq!(reading.await.unwrap().unwrap(), "late");
        fs::remove_file(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_paused_clock_moves_on_beside_a_file_and_not_beside_blocking_work() {
    const LONG: Duration = Duration::from_secs(5);
    run(async {
        time::pause();
        let path = pipe("paused");
        let reading = spawn(fs::read_to_string(path.clone()));
        let start = time::now();
        time::sleep(LONG).await;
        assert_eq!(time::now() - start, LONG);
        assert!(!reading.is_finished());
        write_to(&path, "one");
        let hold = time::hold();
        assert_eq!(reading.await.unwrap().unwrap(), "one");
        drop(hold);

        let start = time::now();
        let (begun, path_there) = (Rc::new(Cell::new(false)), path.clone());
        let reading = spawn_blocking(move || std::fs::read_to_string(path_there));
        let sleeper = begun.clone();
        spawn(async move {
            time::sleep(LONG).await;
            sleeper.set(true);
        });
        for _ in 0..20 {
            yield_now().await;
        }
        write_to(&path, "two");
        assert_eq!(reading.await.unwrap().unwrap(), "two");
        assert_eq!((time::now(), begun.get()), (start, false));
        std::fs::remove_file(path).unwrap();
    });
}
