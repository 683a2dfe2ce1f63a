//! Unix streams and listeners: every byte, both ends, full queues, no descriptors, waits that are dropped, threads.

use std::cell::Cell;
use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::future::{join, poll_fn};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, poll};
use pollywog_net::time::{Elapsed, timeout};
use pollywog_net::unix::{Incoming, OwnedReadHalf, OwnedWriteHalf, SocketAddr, UCred};
use pollywog_net::{UnixDatagram, UnixListener, UnixStream, spawn, time};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{
    Arrival, Random, alone, anew, arrived, arrived_bytes, counted, descriptors, run, turns, warnings,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

type Peer = std::os::unix::net::UnixStream;

/// A connection whose other end is a blocking socket of std.
fn with_peer() -> (UnixStream, Peer) {
    let (stream, peer) = UnixStream::pair().unwrap();
    let peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    (stream, peer)
}

async fn read(mut stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.read(buffer).await
}

async fn rest_of(mut stream: &UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[test]
fn an_echo_over_a_path_both_ways() {
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let echo = spawn(async move {
            let (mut stream, from) = listener.accept().await?;
            assert!(from.is_unnamed());
            assert_eq!(stream.local_addr()?.as_pathname(), listener.local_addr()?.as_pathname());
            let mut buffer = [0; 100];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return stream.close().await,
                    count => stream.write_all(&buffer[..count]).await?,
                }
            }
        });
        let stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
        let (mut reader, mut writer) = stream.into_split();
        let bytes: Vec<u8> = (0..500_000).map(|number| (number * 31 + number / 251) as u8).collect();
        let writing = async {
            writer.write_all(&bytes).await.unwrap();
            drop(writer); // says 'end'
        };
        let mut back = Vec::new();
        let ((), count) = join(writing, reader.read_to_end(&mut back)).await;
        assert_eq!(count.unwrap(), bytes.len());
        assert!(back == bytes, "something else came back");
        echo.await.unwrap().unwrap();
    });
}

/// Writes of random sizes, every other one vectored, through a small buffer; reads of every kind, slowly.
#[test]
fn not_a_byte_is_lost_doubled_or_out_of_order() {
    const TOTAL: usize = 300_000;
    fn pattern(position: usize) -> u8 {
        (position * 31 + position / 251) as u8
    }
    async fn write(mut stream: &UnixStream, mut random: Random) {
        let mut position = 0;
        while position < TOTAL {
            let ends = [0; 2].map(|_| random.below(20_000));
            let middle = (position + ends[0]).min(TOTAL);
            let end = (middle + ends[1]).min(TOTAL);
            let [one, two]: [Vec<u8>; 2] =
                [(position..middle).map(pattern).collect(), (middle..end).map(pattern).collect()];
            position += match random.below(2) {
                0 => stream.write_vectored(&[IoSlice::new(&one), IoSlice::new(&two)]).await.unwrap(),
                _ => stream.write(&one).await.unwrap(),
            };
        }
        stream.close().await.unwrap();
    }
    async fn check(mut stream: &UnixStream, mut random: Random) -> usize {
        let mut position = 0;
        loop {
            let [mut one, mut two] = [0; 2].map(|_| vec![0; 1 + random.below(9_000)]);
            let count = match random.below(5) {
                0 => stream.read(&mut one).await.unwrap(),
                1 => stream.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).await.unwrap(),
                2 => {
                    one = Vec::with_capacity(one.len());
                    stream.read_buf(&mut one).await.unwrap()
                }
                kind => {
                    let consumed = stream.read_with(|bytes| {
                        let consumed = if kind == 3 { bytes.len() } else { bytes.len().div_ceil(2) };
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
    for seed in 0..4 {
        run(async {
            let (one, other) = UnixStream::pair().unwrap();
            SockRef::from(&one).set_send_buffer_size(4096).unwrap();
            let ((), count) = join(write(&one, Random::new(seed)), check(&other, Random::new(seed + 100))).await;
            assert_eq!(count, TOTAL, "seed {seed}");
        });
    }
}

#[test]
fn half_close_ends_one_direction() {
    run(async {
        let (mut stream, mut peer) = with_peer();
        peer.write_all(b"last words").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&stream).await, b"last words");
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 0, "the end stays");
        stream.write_all(b"an answer").await.unwrap();
        stream.close().await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "an answer");
    });
}

#[test]
fn the_end_wakes_a_reader_that_waits() {
    run(async {
        let (stream, peer) = with_peer();
        let (reading, polls) = counted(async { read(&stream, &mut [0; 16]).await });
        let mut reading = pin!(reading);
        assert!(poll!(reading.as_mut()).is_pending());
        turns(3).await;
        drop(peer);
        assert_eq!(reading.await.unwrap(), 0);
        assert_eq!(polls.get(), 3, "before, in vain, and woken");

        let (stream, _peer) = with_peer();
        let mut reading = pin!(async { read(&stream, &mut [0; 16]).await });
        assert!(poll!(reading.as_mut()).is_pending());
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reading.await.unwrap(), 0, "shut down here");
    });
}

/// Closing a Unix stream with unread data resets it, as with TCP.
#[test]
fn a_reset_wakes_a_reader_that_waits() {
    run(async {
        let (mut stream, peer) = with_peer();
        stream.write_all(b"never read").await.unwrap();
        let mut reading = pin!(async { read(&stream, &mut [0; 16]).await });
        assert!(poll!(reading.as_mut()).is_pending());
        drop(peer);
        assert_eq!(reading.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_writer_that_waits_hears_that_the_peer_is_gone() {
    run(async {
        let (mut stream, peer) = with_peer();
        let mut writing = pin!(stream.write_all(&[0; 1 << 22]));
        assert!(poll!(writing.as_mut()).is_pending());
        turns(2).await;
        drop(peer);
        assert_eq!(writing.await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// The signal ends a process that does not ignore it. Rust's programs do, but not every program that Rust is a part of.
#[test]
fn no_write_to_a_closed_peer_raises_a_signal() {
    alone("no_write_to_a_closed_peer_raises_a_signal", || {
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, raised.clone()).unwrap();
        run(async {
            let (stream, peer) = with_peer();
            drop(peer);
            let broken = |result: io::Result<usize>| assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
            broken((&stream).write(b"x").await);
            broken((&stream).write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")]).await);
            broken(stream.try_write(b"x"));
            broken(stream.try_write_vectored(&[IoSlice::new(b"x")]));
            broken(stream.send_with_fds(b"x", &[]).await);
        });
        assert!(!raised.load(Ordering::SeqCst));
    });
}

#[test]
fn what_is_not_consumed_comes_first_to_every_kind_of_read() {
    run(async {
        let (stream, mut peer) = with_peer();
        let leave = async |text: &[u8]| {
            (&peer).write_all(text).unwrap();
            arrived_bytes(&stream, text.len());
            assert_eq!(stream.read_with(|bytes| (1, bytes.to_vec())).await.unwrap().unwrap(), text);
        };
        let mut buffer = [0; 4];
        leave(b".read").await;
        stream.readable().await.unwrap();
        assert_eq!(read(&stream, &mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer, b"read");
        leave(b".try").await;
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"try");
        leave(b".buf").await;
        let mut bytes = Vec::new();
        assert_eq!(stream.read_buf(&mut bytes).await.unwrap(), 3);
        assert_eq!(bytes, b"buf");
        leave(b".fds").await;
        assert_eq!(stream.recv_with_fds(&mut buffer, &mut Vec::new()).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"fds");
        leave(b".rest").await;
        peer.write_all(b" and the end").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&stream).await, b"rest and the end");
    });
}

/// Dropped after each poll: before it waits, while it waits, and when the event has come.
#[test]
fn a_dropped_read_loses_nothing() {
    run(async {
        let (stream, mut peer) = with_peer();
        for number in 0..60_u8 {
            let mut buffer = [0; 16];
            assert!(poll!(pin!(async { read(&stream, &mut buffer).await })).is_pending());
            assert!(poll!(pin!(stream.readable())).is_pending());
            assert!(poll!(pin!(stream.read_buf(&mut Vec::new()))).is_pending());
            assert!(poll!(pin!(stream.read_with(|bytes| (bytes.len(), ())))).is_pending());
            assert!(poll!(pin!(stream.recv_with_fds(&mut [0; 16], &mut Vec::new()))).is_pending());
            {
                let mut woken = pin!(async { read(&stream, &mut buffer).await });
                assert!(poll!(woken.as_mut()).is_pending());
                peer.write_all(&[number]).unwrap();
                turns(usize::from(number % 2)).await;
            }
            let count = match number % 4 {
                0 => anew(async || read(&stream, &mut buffer).await).await.unwrap(),
                1 => anew(async || stream.recv_with_fds(&mut buffer, &mut Vec::new()).await).await.unwrap(),
                2 => {
                    let mut bytes = Vec::new();
                    let count = anew(async || stream.read_buf(&mut bytes).await).await.unwrap();
                    buffer[0] = bytes[0];
                    count
                }
                _ => {
                    let lent = anew(async || stream.read_with(|bytes| (bytes.len(), bytes[0])).await).await;
                    buffer[0] = lent.unwrap().unwrap();
                    1
                }
            };
            assert_eq!((count, buffer[0]), (1, number));
        }
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    const CLIENTS: usize = 40;
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut clients: Vec<Peer> = Vec::new();
        let mut served = 0_u8;
        while usize::from(served) < CLIENTS {
            for _ in 0..usize::from(served % 3).min(CLIENTS - clients.len()) {
                clients.push(Peer::connect(&path).unwrap());
            }
            if clients.len() == usize::from(served) {
                assert!(poll!(pin!(listener.accept())).is_pending());
                clients.push(Peer::connect(&path).unwrap());
            }
            let accepted = match served % 3 {
                0 => poll!(pin!(listener.accept())).map_ok(|(stream, _)| stream),
                1 => poll!(pin!(listener.incoming().next())).map(Option::unwrap),
                _ => poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await.map_ok(|(stream, _)| stream),
            };
            if let Poll::Ready(stream) = accepted {
                stream.unwrap().write_all(&[served]).await.unwrap();
                served += 1;
            }
            turns(1).await;
        }
        for (number, mut client) in clients.into_iter().enumerate() {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, [number as u8], "the queue keeps its order");
        }
    });
}

/// A listener of std's with room for one in the queue (Linux: one more than `listen` says), which is taken.
fn full(folder: &Folder) -> (std::os::unix::net::UnixListener, std::path::PathBuf, Peer) {
    let path = folder.file("socket");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    let first = Peer::connect(&path).unwrap();
    (OwnedFd::from(socket).into(), path, first)
}

/// Connecting tries again after each pause, and gets in when there is room. The clock is a paused one: it moves when
/// nothing else is left to do.
#[test]
fn a_full_queue_is_waited_for() {
    run(async {
        time::pause();
        let folder = Folder::new();
        let (listener, path, _first) = full(&folder);
        let (connecting, polls) = counted(async { UnixStream::connect(&path).await });
        let mut connecting = pin!(connecting);
        let start = time::now();
        assert!(timeout(Duration::from_millis(100), connecting.as_mut()).await.is_err());
        assert_eq!(polls.get(), 8, "at 0, 1, 3, 7, 15, 31, 63 ms, and when the time is up");
        assert_eq!((time::now() - start).as_millis(), 100);
        assert!(poll!(connecting.as_mut()).is_pending());
        turns(1).await;
        let accepting = async {
            time::sleep(Duration::from_millis(5)).await;
            listener.accept().unwrap();
        };
        let (stream, ()) = join(connecting, accepting).await;
        let mut stream = stream.unwrap();
        assert_eq!((time::now() - start).as_millis(), 127, "after the next pause");
        stream.write_all(b"in").await.unwrap();
        let mut bytes = [0; 2];
        listener.accept().unwrap().0.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"in");
    });
}

#[test]
fn a_dropped_connect_leaves_no_descriptor_and_no_connection() {
    alone("a_dropped_connect_leaves_no_descriptor_and_no_connection", || {
        run(async {
            time::pause();
            let folder = Folder::new();
            let (listener, path, first) = full(&folder);
            let before = descriptors();
            for limit in [0, 1, 2, 3, 100] {
                let connecting = timeout(Duration::from_millis(limit), UnixStream::connect(&path));
                assert!(matches!(connecting.await, Err(Elapsed { .. })));
                assert_eq!(descriptors(), before);
            }
            listener.set_nonblocking(true).unwrap();
            listener.accept().unwrap();
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            drop(first);
        });
    });
}

#[test]
fn a_server_that_ends_while_its_queue_is_full_refuses() {
    run(async {
        time::pause();
        let folder = Folder::new();
        let (listener, path, _first) = full(&folder);
        let mut connecting = pin!(UnixStream::connect(&path));
        assert!(poll!(connecting.as_mut()).is_pending());
        drop(listener);
        assert_eq!(connecting.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_full_queue_without_a_runtime_is_an_error_that_says_so() {
    let folder = Folder::new();
    let (listener, path, _first) = full(&folder);
    let error = futures::executor::block_on(UnixStream::connect(&path)).unwrap_err();
    let expected = "the peer's queue is full, and no Pollywog runtime runs on this thread to wait with: poll it inside \
                    `pollywog_net::run` or `Runtime::block_on`";
    assert_eq!(error.to_string(), expected);
    listener.accept().unwrap();
    futures::executor::block_on(UnixStream::connect(&path)).expect("with room it needs none");
}

/// It never blocks, and does not keep the thread.
#[test]
fn connecting_uses_the_budget() {
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let done = Rc::new(Cell::new(false));
        let other = spawn({
            let done = done.clone();
            async move { done.set(true) }
        });
        let mut connections = 0;
        while !done.get() {
            UnixStream::connect(&path).await.unwrap();
            listener.accept().unwrap();
            connections += 1;
            assert!(connections < 1_000, "nobody else has a turn");
        }
        other.await.unwrap();
    });
}

/// A client waits in the queue while there is no descriptor for it; accepting pauses, and goes on when there is one.
#[test]
fn accepting_without_a_descriptor_pauses() {
    alone("accepting_without_a_descriptor_pauses", || {
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
        let (mut warned, _guard) = warnings();
        run(async {
            let folder = Folder::new();
            let path = folder.file("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            let (accepting, polls) = counted(async move { listener.accept().await.unwrap() });
            let accepting = spawn(accepting);
            turns(3).await;
            assert_eq!(polls.get(), 1, "it waits for a first connection");
            let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            client.connect(&SockAddr::unix(&path).unwrap()).unwrap();
            for pause in ["pause=1ms", "pause=2ms", "pause=4ms"] {
                let warning = warned.next().await.unwrap();
                assert!(warning.contains(pause) && warning.contains("Too many open files"), "{warning}");
            }
            turns(1_000).await;
            assert!(polls.get() < 100, "{} polls: it spins", polls.get());
            drop(files.pop());
            let (mut stream, _) = accepting.await.unwrap();
            stream.write_all(b"served").await.unwrap();
            let mut served = [0; 6];
            (&client).read_exact(&mut served).unwrap();
            assert_eq!(&served, b"served");
        });
    });
}

#[test]
fn a_stream_goes_on_on_another_thread() {
    run(async {
        let (stream, mut peer) = with_peer();
        assert!(poll!(pin!(async { read(&stream, &mut [0; 16]).await })).is_pending(), "it is registered here");
        let there = thread::spawn(move || {
            run(async {
                let mut buffer = [0; 16];
                let reading = async { read(&stream, &mut buffer).await.unwrap() };
                let (count, ()) = join(reading, async {
                    turns(2).await;
                    (&stream).write_all(b"ready").await.unwrap();
                })
                .await;
                (&stream).write_all(&buffer[..count]).await.unwrap();
            });
        });
        let mut bytes = [0; 5];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ready");
        peer.write_all(b"heard").unwrap();
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"heard");
        there.join().unwrap();
    });
}

#[test]
fn the_kernel_says_who_the_peer_is() {
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.recv(1)";
        let Ok(mut client) = std::process::Command::new("python3").args(["-c", script]).arg(&path).spawn() else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "it needs python3");
            return eprintln!("the_kernel_says_who_the_peer_is is skipped: it needs python3");
        };
        let (stream, _) = listener.accept().await.unwrap();
        let peer = stream.peer_cred().unwrap();
        assert_eq!(peer.uid(), rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid(), rustix::process::getegid().as_raw());
        assert_ne!(peer.pid(), Some(std::process::id() as i32));
        drop(stream);
        client.wait().unwrap();
    });
}

#[test]
fn auto_traits() {
    fn send_and_sync<T: Send + Sync>() {}
    fn send<T: Send>(_: impl Future<Output = T> + Send) {}

    send_and_sync::<UnixStream>();
    send_and_sync::<UnixListener>();
    send_and_sync::<UnixDatagram>();
    send_and_sync::<OwnedReadHalf>();
    send_and_sync::<OwnedWriteHalf>();
    send_and_sync::<Incoming<'_>>();
    send_and_sync::<SocketAddr>();
    send_and_sync::<UCred>();
    send(async {
        let stream = UnixStream::connect("/nowhere").await?;
        let socket = UnixDatagram::unbound()?;
        socket.send_to(b"x", "/nowhere").await?;
        socket.recv_from(&mut [0; 16]).await?;
        socket.recv_with_fds(&mut [0; 16], &mut Vec::new()).await?;
        stream.send_with_fds(b"x", &[]).await?;
        stream.recv_with_fds(&mut [0; 16], &mut Vec::new()).await
    });
}

#[test]
fn a_socket_of_stds_never_blocks_the_loop() {
    run(async {
        let (one, other) = Peer::pair().unwrap();
        let stream = UnixStream::from_std(one).unwrap();
        assert!(read(&stream, &mut [0; 16]).now_or_never().is_none());
        (&other).write_all(b"x").unwrap();
        arrived(&stream, Arrival::IN);
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 1);
        let (one, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let socket = UnixDatagram::from_std(one).unwrap();
        assert!(socket.recv(&mut [0; 16]).now_or_never().is_none());
        let folder = Folder::new();
        let listener = std::os::unix::net::UnixListener::bind(folder.file("socket")).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        assert!(listener.accept().now_or_never().is_none());
    });
}
