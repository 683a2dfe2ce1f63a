//! Sockets and threads: moved, shared, and polled where no runtime is.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::thread;

use futures::channel::oneshot;
use futures::executor::block_on;
use futures::{AsyncReadExt, AsyncWriteExt, poll};
use pollywog_net::{Incoming, OwnedReadHalf, OwnedWriteHalf, Runtime, TcpListener, TcpStream};
use pollywog_tests::net::{
    Watchdog, alone, arrived_bytes, counted, descriptors, fill, read, rest_of, run, turns, with_peer,
};

const NO_RUNTIME: &str = "a socket has to wait, but no Pollywog runtime runs on this thread: poll it inside \
                          `pollywog_net::run` or `Runtime::block_on`";
const HANDED_OVER: &str = "another thread polls this direction of the socket now: let one thread read and one write";

fn text<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    error.to_string()
}

#[test]
fn a_socket_where_no_runtime_runs() {
    let (stream, mut peer) = run(with_peer());
    run(async { fill(&stream) });
    let _watchdog = Watchdog::start();
    assert_eq!(text(block_on(stream.readable())), NO_RUNTIME);
    assert_eq!(text(block_on(read(&stream, &mut [0; 16]))), NO_RUNTIME);
    assert_eq!(text(block_on(stream.peek(&mut [0; 16]))), NO_RUNTIME);
    assert_eq!(text(block_on(stream.writable())), NO_RUNTIME);
    assert_eq!(
        text(block_on(stream.read_with(|bytes| (bytes.len(), ())))),
        "`read_with` borrows from a Pollywog runtime: none runs here"
    );
    peer.write_all(b"there").unwrap();
    arrived_bytes(&stream, 5);
    assert_eq!(block_on(read(&stream, &mut [0; 16])).unwrap(), 5, "what need not wait works anywhere");
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    assert_eq!(text(block_on(listener.accept())), NO_RUNTIME);
    // And none of it does any harm.
    peer.write_all(b"more").unwrap();
    assert_eq!(run(read(&stream, &mut [0; 16])).unwrap(), 4);
}

#[test]
fn a_socket_moved_to_another_thread_and_dropped_there() {
    alone("a_socket_moved_to_another_thread_and_dropped_there", || {
        let before = descriptors();
        let watchdog = Watchdog::start();
        let (stream, mut peer) = run(async {
            let (stream, mut peer) = with_peer().await;
            assert!(poll!(pin!(stream.readable())).is_pending());
            turns(2).await;
            let (moved, was_moved) = oneshot::channel();
            let other = thread::spawn(move || {
                run(async {
                    assert!(poll!(pin!(stream.readable())).is_pending(), "it is taken over");
                    let (reading, polls) = counted(async { read(&stream, &mut [0; 16]).await.unwrap() });
                    moved.send(()).unwrap();
                    assert_eq!(reading.await, 4);
                    assert!(polls.get() <= 2);
                    stream
                })
            });
            let (waiting, polls) = counted(was_moved);
            waiting.await.unwrap();
            let (rest, rest_polls) = counted(async {
                peer.write_all(b"here").unwrap();
                turns(2).await;
                peer
            });
            let peer = rest.await;
            assert!(polls.get() <= 3 && rest_polls.get() <= 4, "{polls:?} {rest_polls:?}: no event comes here");
            (other.join().unwrap(), peer)
        });
        // And once more, where nothing but the drop is left.
        thread::spawn(move || drop(stream)).join().unwrap();
        assert_eq!(io::Read::read(&mut peer, &mut [0; 16]).unwrap(), 0);
        drop((peer, watchdog));
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn reading_on_one_thread_and_writing_on_another() {
    const TOTAL: usize = 8 << 20;
    let (stream, peer) = run(with_peer());
    peer.set_nonblocking(true).unwrap();
    let mut echo = peer.try_clone().unwrap();
    let echoing = thread::spawn(move || {
        peer.set_nonblocking(false).unwrap();
        io::copy(&mut &peer, &mut echo).unwrap()
    });
    let (mut reader, mut writer): (OwnedReadHalf, OwnedWriteHalf) = stream.into_split();
    let writing = thread::spawn(move || {
        run(async {
            for chunk in 0..TOTAL / 4096 {
                writer.write_all(&[chunk as u8; 4096]).await.unwrap();
            }
        });
        writer.forget();
    });
    run(async {
        let mut buffer = [0; 4096];
        for chunk in 0..TOTAL / 4096 {
            reader.read_exact(&mut buffer).await.unwrap();
            assert!(buffer.iter().all(|byte| *byte == chunk as u8), "in chunk {chunk}");
        }
    });
    writing.join().unwrap();
    drop(reader);
    assert_eq!(echoing.join().unwrap(), TOTAL as u64);
}

/// `wait` is polled by a first thread, and then by a second. Gives what the first had to say.
fn second_takes_over<W, F>(wait: W) -> io::Result<usize>
where
    W: Fn(Arc<TcpStream>) -> F + Send + Copy + 'static,
    F: Future<Output = io::Result<usize>>,
{
    let _watchdog = Watchdog::start();
    let (stream, mut peer) = run(with_peer());
    let stream = Arc::new(stream);
    let (parked, has_parked) = mpsc::channel();
    let first = thread::spawn({
        let stream = stream.clone();
        move || {
            // Without a timer that would wake it in any case.
            pollywog_net::run(async {
                let (waiting, polls) = counted(wait(stream));
                let mut waiting = pin!(waiting);
                // Told from the poll: from then on, only a wake has it poll again.
                let result = poll_fn(|cx| {
                    let result = waiting.as_mut().poll(cx);
                    if result.is_pending() {
                        parked.send(()).unwrap();
                    }
                    result
                })
                .await;
                assert!(polls.get() < 10, "{} polls: they take it from each other", polls.get());
                result
            })
            .unwrap()
        }
    });
    has_parked.recv().unwrap();
    let mine = run(async {
        let (waiting, polls) = counted(wait(stream));
        let mut waiting = pin!(waiting);
        assert!(poll!(waiting.as_mut()).is_pending());
        let first = first.join().unwrap();
        peer.write_all(b"data").unwrap();
        assert!(polls.get() < 10, "{} polls: they take it from each other", polls.get());
        (first, waiting.await)
    });
    assert_eq!(mine.1.unwrap(), 4, "the second has it");
    mine.0
}

#[test]
fn two_threads_that_poll_the_same_direction() {
    let first = second_takes_over(|stream| async move { stream.peek(&mut [0; 16]).await });
    assert_eq!(text(first), HANDED_OVER);
    let first = second_takes_over(|stream| async move {
        stream.read_with(|bytes| (bytes.len(), bytes.len())).await.map(|count| count.unwrap_or(0))
    });
    assert_eq!(text(first), HANDED_OVER);
}

/// The traits remember nothing between two polls: one of the two gives up after a few.
#[test]
fn two_threads_that_read_through_the_trait() {
    let _watchdog = Watchdog::start();
    let (stream, mut peer) = run(with_peer());
    let (result, results) = mpsc::channel();
    let read_alone = |result: mpsc::Sender<_>| {
        // Without a timer that would have it polled in any case.
        let (reading, polls) = counted(async { read(&stream, &mut [0; 16]).await });
        result.send(pollywog_net::run(reading).unwrap()).unwrap();
        assert!(polls.get() < 1000, "{} polls: they take it from each other", polls.get());
    };
    thread::scope(|threads| {
        for _ in 0..2 {
            let result = result.clone();
            threads.spawn(|| read_alone(result));
        }
        assert_eq!(text(results.recv().unwrap()), HANDED_OVER);
        peer.write_all(b"data").unwrap();
        assert_eq!(results.recv().unwrap().unwrap(), 4, "the other has it");
    });
}

/// Who gave up waiting through the trait, and gets the socket back later, is none of two that read at once.
#[test]
fn a_socket_that_goes_to_and_fro_with_a_cancelled_read_each_time() {
    /// Takes the socket over, and gives up waiting.
    async fn try_for_long(stream: &TcpStream) {
        // The news of the last take-over come, and wake a task that does not read at the moment.
        turns(3).await;
        assert!(poll!(pin!(read(stream, &mut [0; 16]))).is_pending());
    }

    let (give, given) = mpsc::channel::<TcpStream>();
    let (give_back, back) = mpsc::channel();
    let other = thread::spawn(move || {
        run(async {
            for stream in given {
                try_for_long(&stream).await;
                give_back.send(stream).unwrap();
            }
        });
    });
    run(async {
        let (mut stream, mut peer) = with_peer().await;
        for _ in 0..20 {
            try_for_long(&stream).await;
            give.send(stream).unwrap();
            stream = back.recv().unwrap();
        }
        try_for_long(&stream).await;
        peer.write_all(b"here").unwrap();
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 4);
    });
    drop(give);
    other.join().unwrap();
}

/// The socket is back in the very poll in which the news come.
#[test]
fn a_socket_that_comes_back_with_the_news_that_it_was_taken() {
    let (other, lives) = mpsc::channel::<()>();
    let thread = run(async {
        let (stream, mut peer) = with_peer().await;
        assert!(poll!(pin!(read(&stream, &mut [0; 16]))).is_pending());
        let (give_back, back) = oneshot::channel();
        let (gave, given) = mpsc::channel();
        let thread = thread::spawn(move || {
            run(async {
                assert!(poll!(pin!(read(&stream, &mut [0; 16]))).is_pending(), "it is taken over");
                give_back.send(stream).unwrap();
                gave.send(()).unwrap();
                // Its runtime lives on until the end.
                let _ = lives.recv();
            });
        });
        given.recv().unwrap();
        turns(1).await;
        let stream = back.await.unwrap();
        let mut buffer = [0; 16];
        let mut reading = pin!(read(&stream, &mut buffer));
        assert!(poll!(reading.as_mut()).is_pending());
        peer.write_all(b"here").unwrap();
        assert_eq!(reading.await.unwrap(), 4);
        thread
    });
    drop(other);
    thread.join().unwrap();
}

/// A socket that lives on in a duplicate stays in the selector, under a number that the next one gets.
#[test]
fn a_number_that_a_duplicate_left_behind() {
    alone("a_number_that_a_duplicate_left_behind", || {
        run(async {
            let (stream, mut peer) = with_peer().await;
            let original = stream.into_std().unwrap();
            let mut numbers = Vec::new();
            for _ in 0..3 {
                let duplicate = TcpStream::from_std(original.try_clone().unwrap()).unwrap();
                numbers.push(duplicate.as_raw_fd());
                assert!(poll!(pin!(duplicate.readable())).is_pending());
            }
            assert_eq!(numbers, [numbers[0]; 3]);
            let duplicate = TcpStream::from_std(original.try_clone().unwrap()).unwrap();
            let mut readable = pin!(duplicate.readable());
            assert!(poll!(readable.as_mut()).is_pending());
            peer.write_all(b"here").unwrap();
            readable.await.unwrap();
        });
    });
}

/// Nobody waits any more where the runtime is gone. (In a process of its own, where none gets its number.)
#[test]
fn a_socket_whose_other_runtime_is_gone_is_taken_back() {
    alone("a_socket_whose_other_runtime_is_gone_is_taken_back", || {
        run(async {
            let (stream, mut peer) = with_peer().await;
            let mut buffer = [0; 16];
            let mut peeking = pin!(stream.peek(&mut buffer));
            assert!(poll!(peeking.as_mut()).is_pending());
            thread::scope(|threads| {
                threads.spawn(|| run(async { assert!(poll!(pin!(stream.readable())).is_pending()) }));
            });
            turns(3).await;
            assert!(poll!(peeking.as_mut()).is_pending());
            peer.write_all(b"here").unwrap();
            assert_eq!(peeking.await.unwrap(), 4);
        });
    });
}

/// The read is taken over; the write of the first thread stays where it is.
#[test]
fn taking_over_one_direction_leaves_the_other() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let stream = Arc::new(stream);
        fill(&stream);
        let mut buffer = [0; 16];
        let mut writing = pin!(stream.writable());
        let mut reading = pin!(stream.peek(&mut buffer));
        assert!(poll!(writing.as_mut()).is_pending());
        assert!(poll!(reading.as_mut()).is_pending());
        let (took, taken) = mpsc::channel();
        let (told, was_told) = mpsc::channel::<()>();
        let other = thread::spawn({
            let stream = stream.clone();
            move || {
                run(async {
                    assert!(poll!(pin!(stream.readable())).is_pending());
                    took.send(()).unwrap();
                    // Its runtime lives until the first is told.
                    let _ = was_told.recv();
                });
            }
        });
        taken.recv().unwrap();
        assert_eq!(text(reading.await), HANDED_OVER);
        drop(told);
        other.join().unwrap();
        turns(3).await;
        assert!(poll!(writing.as_mut()).is_pending());
        peer.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        while io::Read::read(&mut peer, &mut buffer).is_ok() {
            turns(1).await;
        }
        writing.await.unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(rest_of(&stream).await, b"", "and reading can come back");
    });
}

#[test]
fn auto_traits() {
    fn send_and_sync<T: Send + Sync>() {}
    fn send<T: Send>(_: T) {}

    send_and_sync::<TcpStream>();
    send_and_sync::<TcpListener>();
    send_and_sync::<OwnedReadHalf>();
    send_and_sync::<OwnedWriteHalf>();
    send_and_sync::<Incoming<'_>>();
    send(async {
        let stream = TcpStream::connect("127.0.0.1:1").await?;
        stream.writable().await
    });

    // The call is ambiguous, and does not compile, for a type that is `Send`.
    trait NotSend<Which> {
        fn check() {}
    }
    impl<T> NotSend<()> for T {}
    impl<T: Send> NotSend<u8> for T {}
    <Runtime as NotSend<_>>::check();
}
