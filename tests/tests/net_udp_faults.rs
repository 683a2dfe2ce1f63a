//! UDP under stress: peers that are not there, floods, full buffers, and waits that are dropped.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::join_all;
use futures::poll;
use pollywog_net::{AsyncFd, Interest, UdpSocket, spawn};
use pollywog_tests::namespace::{in_namespace, ip};
use pollywog_tests::net::{Arrival, Watchdog, alone, arrived, counted, descriptors, run, turns};
use socket2::SockRef;

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn connected() -> (UdpSocket, UdpSocket) {
    let (one, other) = (socket().await, socket().await);
    one.connect(addr(&other)).await.unwrap();
    other.connect(addr(&one)).await.unwrap();
    (one, other)
}

fn addr(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

/// An address where nobody listens for as long as the socket lives: it hears its own peer alone, which is nobody.
fn nobody() -> (std::net::UdpSocket, SocketAddr) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[test]
fn a_parked_receiver_hears_that_nobody_is_there() {
    run(async {
        let ((_held, nobody), one) = (nobody(), Rc::new(socket().await));
        one.connect(nobody).await.unwrap();
        let receiver = one.clone();
        let receiving = spawn(async move { receiver.recv(&mut [0; 16]).await });
        turns(2).await;
        one.send(b"hello?").await.unwrap();
        assert_eq!(receiving.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // That was told once, and the socket goes on.
        let mut buffer = [0; 16];
        let (receiving, polls) = counted(one.recv(&mut buffer));
        let mut receiving = pin!(receiving);
        assert!(poll!(receiving.as_mut()).is_pending());
        let peer = socket().await;
        one.connect(addr(&peer)).await.unwrap();
        peer.send_to(b"here", addr(&one)).await.unwrap();
        assert_eq!(receiving.await.unwrap(), 4);
        assert!(polls.get() <= 3, "{polls:?}");
    });
}

#[test]
fn readable_tells_that_nobody_is_there() {
    run(async {
        let ((_held, nobody), one) = (nobody(), Rc::new(socket().await));
        one.connect(nobody).await.unwrap();
        let waiter = one.clone();
        let waiting = spawn(async move {
            waiter.readable().await.unwrap();
            waiter.try_recv(&mut [0; 16])
        });
        let waiter = one.clone();
        let for_an_error = spawn(async move { waiter.ready(Interest::ERROR).await.unwrap() });
        turns(2).await;
        assert!(!waiting.is_finished() && !for_an_error.is_finished());
        one.send(b"hello?").await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(for_an_error.await.unwrap().is_error());
    });
}

/// Whichever operation is next gets the error of the datagram before, and that operation did not happen.
#[test]
fn the_next_send_hears_that_nobody_was_there() {
    run(async {
        let ((_held, nobody), one, peer) = (nobody(), socket().await, socket().await);
        one.connect(nobody).await.unwrap();
        one.send(b"hello?").await.unwrap();
        arrived(&one, Arrival::ERR);
        one.connect(addr(&peer)).await.unwrap();
        assert_eq!(one.send(b"lost").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        one.send(b"sent").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(peer.recv(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer[..4], b"sent");
    });
}

/// Each is far shorter than the buffer, and no other edge comes for those behind the first.
#[test]
fn several_datagrams_of_one_event_are_all_read() {
    run(async {
        let (one, other) = connected().await;
        let mut buffer = [0; 1500];
        for round in 0..5_usize {
            assert!(poll!(pin!(other.recv(&mut buffer))).is_pending(), "all were read, and it is registered");
            for number in 0..50 {
                one.send(&[number]).await.unwrap();
            }
            turns(1).await; // the event is taken in
            for number in 0..50 {
                let count = match (round + usize::from(number)) % 5 {
                    0 => other.recv(&mut buffer).await.unwrap(),
                    1 => other.recv_from(&mut buffer).await.unwrap().0,
                    2 => other.try_recv(&mut buffer).unwrap(),
                    3 => std::future::poll_fn(|cx| other.poll_recv(cx, &mut buffer)).await.unwrap(),
                    _ => {
                        let mut vector = Vec::with_capacity(1500);
                        let count = other.recv_buf(&mut vector).await.unwrap();
                        buffer[..count].copy_from_slice(&vector);
                        count
                    }
                };
                assert_eq!(buffer[..count], [number]);
            }
        }
    });
}

#[test]
fn several_receivers_are_all_woken_and_each_gets_one() {
    run(async {
        let (one, other) = connected().await;
        let other = Rc::new(other);
        let receiving: Vec<_> = (0..6)
            .map(|number| {
                let other = other.clone();
                spawn(async move {
                    let mut buffer = [0; 16];
                    match number % 3 {
                        0 => other.recv(&mut buffer).await.map(drop).unwrap(),
                        1 => other.recv_from(&mut buffer).await.map(drop).unwrap(),
                        _ => other.recv_buf(&mut Vec::new()).await.map(drop).unwrap(),
                    }
                    buffer[0]
                })
            })
            .collect();
        turns(2).await;
        for number in 1..=6 {
            one.send(&[number]).await.unwrap();
        }
        assert_eq!(join_all(receiving).await.len(), 6);
        assert_eq!(other.try_recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock, "none is left");
    });
}

/// Dropped after each poll: before it waits, while it waits, and when the event has come.
#[test]
fn a_dropped_receive_loses_nothing() {
    run(async {
        let (one, other) = connected().await;
        let mut sent = 0_u8;
        for expected in 0..100_u8 {
            let mut buffer = [0; 16];
            if sent == expected {
                assert!(poll!(pin!(other.recv(&mut buffer))).is_pending());
                assert!(poll!(pin!(other.recv_from(&mut buffer))).is_pending());
                assert!(poll!(pin!(other.recv_buf(&mut Vec::new()))).is_pending());
                assert!(poll!(pin!(other.peek(&mut buffer))).is_pending());
                let mut woken = pin!(other.recv(&mut buffer));
                assert!(poll!(woken.as_mut()).is_pending());
                for _ in 0..=expected % 3 {
                    one.send(&[sent]).await.unwrap();
                    sent += 1;
                }
                turns(1).await; // it is woken, and then dropped
            }
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], expected);
            turns(1).await;
        }
    });
}

/// Half of the sends are dropped before their first poll: they are not sent. The others are sent once.
#[test]
fn a_dropped_send_is_not_sent() {
    run(async {
        let (one, other) = connected().await;
        let mut buffer = [0; 16];
        for number in 0..50 {
            drop(one.send(b"dropped"));
            drop(one.send_to(b"dropped", addr(&other)));
            assert_eq!(poll!(pin!(one.send(&[number]))).map(Result::unwrap), std::task::Poll::Ready(1));
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], number);
        }
        assert_eq!(other.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// A neighbour whose hardware address nobody knows: what is sent there stands in a queue that is charged to the socket.
/// When the address becomes known, the queue is sent off, and there is room.
#[test]
fn a_full_send_buffer_waits_for_room() {
    const TO: ([u8; 4], u16) = ([192, 0, 2, 2], 7007);
    in_namespace("a_full_send_buffer_waits_for_room", || {
        ip("link add here type veth peer name there");
        ip("addr add 192.0.2.1/24 dev here");
        ip("link set here up");
        ip("link set there up");
        run(async {
            let one = Rc::new(UdpSocket::bind("192.0.2.1:0").await.unwrap());
            SockRef::from(&one).set_send_buffer_size(8 << 10).unwrap();
            one.connect(SocketAddr::from(TO)).await.unwrap();
            while poll!(pin!(one.send(&[0; 1000]))).is_ready() {}
            assert_eq!(one.try_send(&[0; 1000]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(one.try_send_to(&[0; 1000], TO.into()).unwrap_err().kind(), ErrorKind::WouldBlock);

            let sending: Vec<_> = (0..3)
                .map(|number| {
                    let one = one.clone();
                    let (sending, polls) = counted(async move {
                        match number {
                            0 => one.send(&[0; 1000]).await.unwrap(),
                            1 => one.send_to(&[0; 1000], SocketAddr::from(TO)).await.unwrap(),
                            _ => one.writable().await.map(|()| 1000).unwrap(),
                        }
                    });
                    (spawn(sending), polls)
                })
                .collect();
            let mut dropped = Box::pin(one.send(&[0; 1000]));
            assert!(poll!(dropped.as_mut()).is_pending());
            drop(dropped);
            turns(3).await;
            assert!(sending.iter().all(|(task, polls)| !task.is_finished() && polls.get() == 1));
            ip("neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev here nud permanent");
            for (task, polls) in sending {
                assert_eq!(task.await.unwrap(), 1000);
                assert!(polls.get() <= 3, "{polls:?}");
            }
        });
    });
}

/// A socket that talks to itself never blocks. It does not keep the thread: each poll of its task ends when its budget
/// is used up.
#[test]
fn a_flood_does_not_keep_the_thread() {
    const ROUNDS: usize = 1_000;
    const BUDGET: usize = 128;
    run(async {
        let one = socket().await;
        one.connect(addr(&one)).await.unwrap();
        let done = Rc::new(Cell::new(0));
        let count = done.clone();
        let (flood, polls) = counted(async move {
            let mut buffer = [0; 64];
            for _ in 0..ROUNDS {
                one.send(b"flood").await.unwrap();
                assert_eq!(one.recv(&mut buffer).await.unwrap(), 5);
                count.set(count.get() + 1);
            }
        });
        let flood = spawn(flood);
        let mut seen = 0;
        while !flood.is_finished() {
            turns(1).await;
            assert!(done.get() <= seen + BUDGET, "{} rounds without a turn", done.get() - seen);
            seen = done.get();
        }
        assert!(polls.get() >= 2 * ROUNDS / BUDGET, "{polls:?}");
    });
}

#[test]
fn a_blocking_socket_of_std_does_not_block_the_loop() {
    run(async {
        let theirs = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = Rc::new(UdpSocket::from_std(theirs).unwrap());
        let receiver = ours.clone();
        let receiving = spawn(async move { receiver.recv(&mut [0; 16]).await.unwrap() });
        turns(3).await;
        assert!(!receiving.is_finished());
        assert_eq!(ours.try_recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        ours.send_to(b"itself", addr(&ours)).await.unwrap();
        assert_eq!(receiving.await.unwrap(), 6);
    });
}

#[test]
fn a_socket_moved_to_another_thread_goes_on_there() {
    alone("a_socket_moved_to_another_thread_goes_on_there", || {
        let before = descriptors();
        let _watchdog = Watchdog::start();
        run(async {
            let (one, other) = connected().await;
            assert!(poll!(pin!(other.recv(&mut [0; 16]))).is_pending());
            let (moved, was_moved) = oneshot::channel();
            let thread = thread::spawn(move || {
                run(async move {
                    let mut buffer = [0; 16];
                    let (receiving, polls) = counted(other.recv(&mut buffer));
                    let mut receiving = pin!(receiving);
                    assert!(poll!(receiving.as_mut()).is_pending());
                    moved.send(()).unwrap();
                    assert_eq!(receiving.await.unwrap(), 4);
                    assert!(polls.get() <= 3, "{polls:?}");
                })
            });
            was_moved.await.unwrap();
            one.send(b"here").await.unwrap();
            while !thread.is_finished() {
                turns(1).await;
            }
            thread.join().unwrap();
        });
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn one_thread_sends_and_another_receives() {
    const DATAGRAMS: u32 = 200;
    run(async {
        let socket = Arc::new(socket().await);
        let to = addr(&socket);
        let receiver = socket.clone();
        let (ready, is_ready) = oneshot::channel();
        let receiving = thread::spawn(move || {
            run(async move {
                let mut buffer = [0; 16];
                let mut first = Box::pin(receiver.recv(&mut buffer));
                assert!(poll!(first.as_mut()).is_pending());
                ready.send(()).unwrap();
                first.await.unwrap();
                let mut sum = u64::from(u32::from_ne_bytes(buffer[..4].try_into().unwrap()));
                for _ in 1..DATAGRAMS {
                    let (count, from) = receiver.recv_from(&mut buffer).await.unwrap();
                    assert_eq!((count, from), (4, to));
                    sum += u64::from(u32::from_ne_bytes(buffer[..4].try_into().unwrap()));
                }
                sum
            })
        });
        is_ready.await.unwrap();
        for number in 0..DATAGRAMS {
            socket.send_to(&number.to_ne_bytes(), to).await.unwrap();
            turns(1).await;
        }
        let expected: u64 = (0..u64::from(DATAGRAMS)).sum();
        assert_eq!(receiving.join().unwrap(), expected);
    });
}

#[test]
fn where_no_runtime_runs_waiting_is_an_error_and_all_else_works() {
    let _watchdog = Watchdog::start();
    block_on(async {
        let one = socket().await;
        assert_eq!(
            one.recv(&mut [0; 16]).await.unwrap_err().to_string(),
            "a socket has to wait, but no Pollywog runtime runs on this thread: poll it inside `pollywog_net::run` or \
             `Runtime::block_on`"
        );
        assert_eq!(one.try_recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.send_to(b"itself", addr(&one)).await.unwrap();
        assert_eq!(one.recv(&mut [0; 16]).await.unwrap(), 6);
    });
}

#[test]
fn what_goes_back_to_std_is_registered_nowhere() {
    run(async {
        let (one, other) = connected().await;
        assert!(poll!(pin!(other.recv(&mut [0; 16]))).is_pending());
        let theirs = other.into_std().unwrap();
        // Were it still registered, another owner of the same descriptor could not wait.
        let fd = AsyncFd::new(&theirs).unwrap();
        let (receiving, polls) = counted(fd.async_io(Interest::READABLE, |socket| socket.recv(&mut [0; 16])));
        let mut receiving = pin!(receiving);
        assert!(poll!(receiving.as_mut()).is_pending());
        one.send(b"again").await.unwrap();
        assert_eq!(receiving.await.unwrap(), 5);
        assert!(polls.get() <= 3, "{polls:?}");
    });
}
