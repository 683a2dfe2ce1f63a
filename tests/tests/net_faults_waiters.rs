//! Several tasks that wait on one socket, and waits that are dropped.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{join, join_all};
use futures::{AsyncWriteExt, poll};
use pollywog_net::{TcpListener, spawn};
use pollywog_tests::net::{
    Arrival, arrived, arrived_bytes, counted, fill, finish, pair, read, rest_of, run, turns, with_peer,
};

#[test]
fn two_readers_on_one_socket_are_both_woken() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let stream = Rc::new(stream);
        let waiting: Vec<_> = (0..5)
            .map(|number| {
                let stream = stream.clone();
                spawn(async move {
                    let mut buffer = [0; 16];
                    match number % 2 {
                        0 => stream.readable().await.map(|()| 5),
                        _ => stream.peek(&mut buffer).await,
                    }
                })
            })
            .collect();
        turns(2).await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        peer.write_all(b"hello").unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap().unwrap(), 5);
        }
    });
}

#[test]
fn each_of_two_read_withs_gets_its_part() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let part = || stream.read_with(|bytes| (1, bytes[0]));
        let (first, second, mut both) = (part(), part(), pin!(turns(2)));
        let mut parts = pin!(join(first, second));
        assert!(poll!(parts.as_mut()).is_pending());
        assert!(poll!(both.as_mut()).is_pending());
        peer.write_all(b"ab").unwrap();
        let (first, second) = parts.await;
        let mut got = [first.unwrap().unwrap(), second.unwrap().unwrap()];
        got.sort_unstable();
        assert_eq!(&got, b"ab");
    });
}

#[test]
fn poll_read_with_lends_what_comes_to_the_latest_who_asked() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let stream = Rc::new(stream);
        let ask = || {
            let stream = stream.clone();
            let lend = |bytes: &[u8]| (1, bytes.to_vec());
            spawn(poll_fn(move |cx| stream.poll_read_with(cx, lend)))
        };
        let (displaced, latest) = (ask(), ask());
        turns(2).await;
        assert!(!displaced.is_finished() && !latest.is_finished());
        peer.write_all(b"ab").unwrap();
        assert_eq!(latest.await.unwrap().unwrap().unwrap(), b"ab");
        turns(2).await;
        assert!(!displaced.is_finished(), "nobody has woken it");
        // What was not consumed is there at once, and after that the end.
        let rest = ask().await.unwrap().unwrap().unwrap();
        assert_eq!(rest, b"b");
        drop(peer);
        assert_eq!(ask().await.unwrap().unwrap(), None);
        displaced.abort();
    });
}

#[test]
fn a_waiter_that_is_dropped_takes_no_other_with_it() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let stream = Rc::new(stream);
        for leaves in 0..4 {
            let waiting: Vec<_> = (0..4)
                .map(|_| {
                    let stream = stream.clone();
                    spawn(async move { stream.readable().await.unwrap() })
                })
                .collect();
            turns(2).await;
            waiting[leaves].abort();
            turns(2).await;
            peer.write_all(b"x").unwrap();
            for (number, task) in waiting.into_iter().enumerate() {
                assert_eq!(task.await.is_ok(), number != leaves, "{number} of those without {leaves}");
            }
            assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 1);
        }
    });
}

#[test]
fn each_of_several_tasks_in_accept_gets_a_connection() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let accepting: Vec<_> = (0..4)
            .map(|_| {
                let listener = listener.clone();
                spawn(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        turns(2).await;
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = accepting.iter().map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        let mut served: Vec<_> = join_all(accepting).await.into_iter().map(|peer| peer.unwrap()).collect();
        let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        served.sort_unstable();
        expected.sort_unstable();
        assert_eq!(served, expected);
    });
}

/// The accept is dropped after each poll, whatever it waited for.
#[test]
fn a_cancelled_accept_loses_no_connection() {
    const CLIENTS: usize = 50;
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut clients: Vec<std::net::TcpStream> = Vec::new();
        let mut served = 0;
        while served < CLIENTS {
            // They come one, two or none between two polls.
            for _ in 0..(served % 3).min(CLIENTS - clients.len()) {
                clients.push(std::net::TcpStream::connect(addr).unwrap());
            }
            if clients.len() == served && clients.len() < CLIENTS {
                assert!(poll!(pin!(listener.accept())).is_pending());
                clients.push(std::net::TcpStream::connect(addr).unwrap());
            }
            if let std::task::Poll::Ready(accepted) = poll!(pin!(listener.accept())) {
                let (mut stream, peer) = accepted.unwrap();
                stream.write_all(peer.port().to_string().as_bytes()).await.unwrap();
                served += 1;
            }
            turns(1).await;
        }
        for mut client in clients {
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert_eq!(text, client.local_addr().unwrap().port().to_string());
        }
    });
}

/// The event came while only writing was waited for. No other will come.
#[test]
fn readable_after_the_event_was_taken_in_for_a_writer() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        fill(&stream);
        peer.write_all(b"early").unwrap();
        arrived_bytes(&stream, 5);
        turns(3).await;
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 16]).unwrap(), 5);
    });
}

#[test]
fn writable_after_the_event_was_taken_in_for_a_reader() {
    run(async {
        let (stream, _peer) = with_peer().await;
        assert!(poll!(pin!(stream.readable())).is_pending());
        turns(3).await;
        stream.writable().await.unwrap();
        assert_eq!(stream.try_write(b"x").unwrap(), 1);
    });
}

/// As above, and a short read came first.
#[test]
fn a_short_read_before_the_first_wait_for_reading_hides_no_event() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        fill(&stream);
        peer.write_all(b"one").unwrap();
        arrived_bytes(&stream, 3);
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 3);
        peer.write_all(b"two").unwrap();
        finish(&peer);
        arrived(&stream, Arrival::IN | Arrival::RDHUP);
        turns(3).await;
        assert_eq!(rest_of(&stream).await, b"two");
    });
}

/// A socket that always has more does not keep the thread: every quiet peer is answered within a few turns.
#[test]
fn one_saturating_sender_and_many_quiet_peers() {
    const QUIET: usize = 20;
    const BYTES_A_POLL: usize = 128 * 64;
    run(async {
        let (stream, mut peer) = with_peer().await;
        let queue = stream.as_fd().try_clone_to_owned().unwrap();
        let largest = Rc::new(Cell::new(0));
        let (sunk, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let (sum, stopped) = (sunk.clone(), stop.clone());
        let (sink, turns_of_sink) = counted(async move {
            let mut buffer = [0; 64];
            while !stopped.get() {
                sum.set(sum.get() + read(&stream, &mut buffer).await.unwrap());
            }
        });
        let sender = std::thread::spawn(move || while peer.write_all(&[0; 1 << 16]).is_ok() {});
        // More than one poll may read stands in the queue, whoever has the processors.
        arrived_bytes(&queue, 4 * BYTES_A_POLL);
        drop(queue);
        let (sum, most) = (sunk.clone(), largest.clone());
        let mut sink = Box::pin(sink);
        let sink = spawn(poll_fn(move |cx| {
            let before = sum.get();
            let result = sink.as_mut().poll(cx);
            most.set(most.get().max(sum.get() - before));
            result
        }));
        while sunk.get() < 1 << 20 {
            turns(1).await;
        }
        let answered = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..QUIET {
            let (server, mut client) = pair().await;
            let answer = spawn(async move {
                let mut byte = [0];
                assert_eq!(read(&server, &mut byte).await.unwrap(), 1);
                (&server).write_all(&byte).await.unwrap();
            });
            turns(1).await;
            let before = turns_of_sink.get();
            client.write_all(b"?").await.unwrap();
            let mut byte = [0];
            assert_eq!(read(&client, &mut byte).await.unwrap(), 1);
            answered.borrow_mut().push(turns_of_sink.get() - before);
            answer.await.unwrap();
        }
        assert_eq!(largest.get(), BYTES_A_POLL, "what a poll may read");
        assert!(answered.borrow().iter().all(|turns| *turns < 50), "turns until the answer: {answered:?}");
        stop.set(true);
        sink.await.unwrap();
        sender.join().unwrap();
    });
}

/// A queue full of connections does not keep the thread either.
#[test]
fn an_accept_flood_beside_one_echo() {
    const CLIENTS: usize = 200;
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..CLIENTS).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        let (server, mut client) = pair().await;
        let echo = spawn(async move {
            let mut byte = [0];
            assert_eq!(read(&server, &mut byte).await.unwrap(), 1);
            (&server).write_all(&byte).await.unwrap();
        });
        turns(1).await;
        client.write_all(b"?").await.unwrap();
        let (accepting, polls) = counted(async move {
            for _ in 0..CLIENTS {
                listener.accept().await.unwrap();
            }
        });
        let accepting = spawn(accepting);
        assert_eq!(read(&client, &mut [0]).await.unwrap(), 1);
        echo.await.unwrap();
        accepting.await.unwrap();
        assert!(polls.get() > 1, "it gives way before the queue is empty");
        drop(clients);
    });
}
