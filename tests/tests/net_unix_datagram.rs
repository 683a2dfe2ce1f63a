//! Unix datagrams: each as a whole, in order; full queues, whoever filled them; waits that are dropped; the end.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::future::{join, poll_fn};
use futures::{FutureExt, poll};
use pollywog_net::{Interest, UnixDatagram, spawn, time};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{Arrival, anew, arrived, counted, run, turns};
use socket2::SockRef;

/// A socket with a name, and one without.
fn server_and_client(folder: &Folder) -> (UnixDatagram, PathBuf, UnixDatagram) {
    let path = folder.file("server");
    (UnixDatagram::bind(&path).unwrap(), path, UnixDatagram::unbound().unwrap())
}

/// Fills the queue of the socket at `path` with datagrams of nobody that is watched, and gives their number.
fn fill(path: &Path) -> usize {
    let stranger = std::os::unix::net::UnixDatagram::unbound().unwrap();
    stranger.set_nonblocking(true).unwrap();
    let mut count = 0;
    loop {
        match stranger.send_to(b"stranger", path) {
            Ok(_) => count += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return count;
            }
        }
    }
}

/// Takes what is there, and gives what is not the stranger's.
fn drain(server: &UnixDatagram) -> Vec<Vec<u8>> {
    let mut buffer = [0; 64];
    let received = std::iter::from_fn(|| server.try_recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
    received.filter(|datagram| datagram != b"stranger").collect()
}

#[test]
fn each_datagram_arrives_as_a_whole_and_in_order() {
    const COUNT: usize = 500;
    run(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        let content = |number: usize| vec![number as u8; number * 7 % 300];
        let sending = async {
            for number in 0..COUNT {
                assert_eq!(one.send(&content(number)).await.unwrap(), content(number).len());
            }
        };
        let receiving = async {
            let mut buffer = [0; 300];
            for number in 0..COUNT {
                let count = match number % 3 {
                    0 => other.recv(&mut buffer).await.unwrap(),
                    1 => other.recv_from(&mut buffer).await.unwrap().0,
                    _ => other.recv_with_fds(&mut buffer, &mut Vec::new()).await.unwrap(),
                };
                assert_eq!(buffer[..count], content(number), "{number}");
            }
        };
        join(sending, receiving).await;
        one.send(b"too long").await.unwrap();
        let mut small = [0; 3];
        assert_eq!(other.recv(&mut small).await.unwrap(), 3, "what does not fit is cut off");
        assert_eq!(&small, b"too");
        assert_eq!(other.try_recv(&mut small).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// One edge announces them all.
#[test]
fn several_datagrams_in_one_event_are_all_received() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let mut buffer = [0; 16];
        assert!(poll!(pin!(server.recv(&mut buffer))).is_pending(), "it is registered");
        for number in 0..5 {
            client.send_to(&[number], &path).await.unwrap();
        }
        turns(2).await;
        for number in 0..5 {
            assert_eq!(server.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], number);
        }
    });
}

#[test]
fn an_answer_goes_to_the_address_it_came_from() {
    run(async {
        let folder = Folder::new();
        let (server, path, nameless) = server_and_client(&folder);
        let client = UnixDatagram::bind(folder.file("client")).unwrap();
        client.connect(&path).unwrap();
        client.send(b"question").await.unwrap();
        let mut buffer = [0; 16];
        let (count, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..count], from.as_pathname()), (&b"question"[..], Some(&*folder.file("client"))));
        server.send_to_addr(b"answer", &from).await.unwrap();
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 6);
        let refused = nameless.send_to(b"who are you?", folder.file("client")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "it is connected to the server");
        server.connect_addr(&from).unwrap();
        server.send(b"answer").await.unwrap();
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 6);
    });
}

/// The system tells who is connected when there is room, whoever filled the queue: no timer is needed. The clock stands.
#[test]
fn a_full_queue_wakes_a_sender_that_is_connected() {
    run(async {
        time::pause();
        let _stands = time::hold();
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        client.connect(&path).unwrap();
        for _ in 0..3 {
            let strangers = fill(&path);
            assert!(strangers > 0);
            let (sending, polls) = counted(client.send(b"ours"));
            let mut sending = pin!(sending);
            assert!(poll!(sending.as_mut()).is_pending());
            turns(3).await;
            assert_eq!(drain(&server).len(), 0);
            assert_eq!(sending.await.unwrap(), 4);
            assert!(polls.get() <= 3, "{} polls", polls.get());
            assert_eq!(drain(&server), [b"ours"]);
        }
        // The same for who waits first and sends then.
        fill(&path);
        assert_eq!(client.try_send(b"ours").unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut writable = pin!(client.writable());
        assert!(poll!(writable.as_mut()).is_pending());
        drain(&server);
        writable.await.unwrap();
        assert_eq!(client.try_send(b"ours").unwrap(), 4);
    });
}

/// Two sockets that are connected with each other have no limit on the queue, but one on the bytes.
#[test]
fn a_full_buffer_wakes_the_sender_of_a_pair() {
    run(async {
        time::pause();
        let _stands = time::hold();
        let (one, other) = UnixDatagram::pair().unwrap();
        let mut sent = 0;
        while let Some(count) = one.send(&[7; 5_000]).now_or_never() {
            assert_eq!(count.unwrap(), 5_000);
            sent += 1;
        }
        assert!(sent > 10);
        let mut sending = pin!(one.send(&[8; 5_000]));
        assert!(poll!(sending.as_mut()).is_pending());
        turns(2).await;
        let mut buffer = [0; 5_000];
        for _ in 0..sent {
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 5_000);
            assert_eq!(buffer[0], 7);
        }
        sending.await.unwrap();
        other.recv(&mut buffer).await.unwrap();
        assert_eq!(buffer[0], 8);
    });
}

/// No event says that there is room: only the pauses do. The clock is a paused one, which moves when nothing else is left
/// to do.
#[test]
fn a_queue_that_others_filled_is_tried_again() {
    run(async {
        time::pause();
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let server = Rc::new(server);
        let drain_after = |pause| {
            let server = server.clone();
            spawn(async move {
                time::sleep(Duration::from_millis(pause)).await;
                assert_eq!(drain(&server).len(), 0);
            })
        };
        // It is tried at once, after a turn, and then after 1, 3, 7, 15, 31, 63, 127 ms.
        for (full_for, end, attempts) in [(0, 0, 2), (2, 3, 4), (100, 127, 9)] {
            fill(&path);
            let start = time::now();
            let draining = drain_after(full_for);
            let (sending, polls) = counted(client.send_to(b"ours", &path));
            assert_eq!(sending.await.unwrap(), 4);
            assert_eq!((time::now() - start).as_millis(), end, "full for {full_for} ms");
            assert_eq!(polls.get(), attempts, "full for {full_for} ms");
            draining.await.unwrap();
            assert_eq!(drain(&server), [b"ours"]);
        }
        for _ in 0..2 {
            fill(&path);
            let start = time::now();
            let draining = drain_after(5);
            assert_eq!(poll_fn(|cx| client.poll_send_to(cx, b"ours", &path)).await.unwrap(), 4);
            assert_eq!((time::now() - start).as_millis(), 7, "the pauses start anew after success");
            draining.await.unwrap();
            assert_eq!(drain(&server), [b"ours"]);
        }
    });
}

/// The receiver is a task of this thread: no pause is needed. The clock stands.
#[test]
fn a_receiver_on_the_same_thread_is_given_a_turn() {
    const COUNT: usize = 1_000;
    run(async {
        time::pause();
        let _stands = time::hold();
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let sending = spawn(async move {
            for number in 0..COUNT {
                client.send_to(&number.to_le_bytes(), &path).await.unwrap();
            }
        });
        let mut buffer = [0; 8];
        for number in 0..COUNT {
            assert_eq!(server.recv(&mut buffer).await.unwrap(), 8);
            assert_eq!(usize::from_le_bytes(buffer), number);
        }
        sending.await.unwrap();
    });
}

/// That one receiver has no room says nothing of others.
#[test]
fn a_full_queue_holds_up_nobody_else() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let other = UnixDatagram::bind(folder.file("other")).unwrap();
        client.connect(folder.file("other")).unwrap();
        client.writable().await.unwrap();
        fill(&path);
        let mut sending = pin!(client.send_to(b"later", &path));
        assert!(poll!(sending.as_mut()).is_pending());
        turns(3).await;
        assert_eq!(client.try_send_to(b"x", &path).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.writable().await.unwrap();
        assert!(client.ready(Interest::WRITABLE).await.unwrap().is_writable());
        for _ in 0..5 {
            assert_eq!(client.send(b"now").await.unwrap(), 3);
            assert_eq!(client.send_to(b"now", folder.file("other")).await.unwrap(), 3);
            assert_eq!(drain(&other), [b"now", b"now"]);
        }
        drain(&server);
        sending.await.unwrap();
        assert_eq!(drain(&server), [b"later"]);
    });
}

/// Nor when this socket's own buffer is so full that no event would say otherwise.
#[test]
fn a_full_queue_says_nothing_of_the_room_for_others() {
    run(async {
        let folder = Folder::new();
        let (_server, path, client) = server_and_client(&folder);
        let other = UnixDatagram::bind(folder.file("other")).unwrap();
        client.writable().await.unwrap();
        let half = SockRef::from(&client).send_buffer_size().unwrap() / 2;
        for _ in 0..5 {
            client.try_send_to(&vec![0; half / 5], folder.file("other")).unwrap();
        }
        fill(&path);
        assert_eq!(client.try_send_to(b"x", &path).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.try_send_to(b"small", folder.file("other")).unwrap(), 5);
        assert_eq!(client.send_to(b"small", folder.file("other")).await.unwrap(), 5);
        assert_eq!(drain(&other).len(), 7);
    });
}

#[test]
fn several_senders_wait_for_one_receiver() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let client = Rc::new(client);
        fill(&path);
        let senders: Vec<_> = (0..20_u8)
            .map(|number| {
                let (client, path) = (client.clone(), path.clone());
                spawn(async move { client.send_to(&[number], path).await.unwrap() })
            })
            .collect();
        turns(3).await;
        let mut buffer = [0; 16];
        let mut got = Vec::new();
        while got.len() < 20 {
            let count = server.recv(&mut buffer).await.unwrap();
            if count == 1 {
                got.push(buffer[0]);
            }
        }
        got.sort_unstable();
        assert_eq!(got, (0..20).collect::<Vec<_>>());
        for sender in senders {
            assert_eq!(sender.await.unwrap(), 1);
        }
    });
}

#[test]
fn a_receiver_that_is_gone_wakes_who_waits() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        client.connect(&path).unwrap();
        fill(&path);
        let mut sending = pin!(client.send(b"ours"));
        assert!(poll!(sending.as_mut()).is_pending());
        let to = UnixDatagram::unbound().unwrap();
        let mut sending_to = pin!(to.send_to(b"ours", &path));
        assert!(poll!(sending_to.as_mut()).is_pending());
        turns(2).await;
        drop(server);
        assert_eq!(sending.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(sending_to.await.unwrap_err().kind(), ErrorKind::NotFound);
        let (one, other) = UnixDatagram::pair().unwrap();
        drop(other);
        assert_eq!(one.send(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_datagram_that_never_fits_is_an_error() {
    run(async {
        let (one, _other) = UnixDatagram::pair().unwrap();
        SockRef::from(&one).set_send_buffer_size(4096).unwrap();
        let error = one.send(&vec![0; 1 << 20]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE");
        let unconnected = UnixDatagram::unbound().unwrap();
        assert_eq!(unconnected.send(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

/// Linux tells who blocks that nothing more comes, and says 'would block' to who does not.
#[test]
fn shutting_down_ends_every_kind_of_receive() {
    run(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        let mut buffer = [0; 16];
        {
            let mut receiving = pin!(one.recv(&mut buffer));
            assert!(poll!(receiving.as_mut()).is_pending());
            turns(2).await;
            one.shutdown(Shutdown::Read).unwrap();
            assert_eq!(receiving.await.unwrap(), 0);
        }
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 0);
        let (count, from) = one.recv_from(&mut buffer).await.unwrap();
        assert!(count == 0 && from.is_unnamed());
        assert_eq!(one.recv_with_fds(&mut buffer, &mut Vec::new()).await.unwrap(), 0);
        assert_eq!(poll_fn(|cx| one.poll_recv(cx, &mut buffer)).await.unwrap(), 0);
        one.readable().await.unwrap();
        assert_eq!(other.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(one.send(b"the other way").await.unwrap(), 13);
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        // What stands in the queue comes before the end.
        other.shutdown(Shutdown::Both).unwrap();
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 13);
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 0);

        let (one, other) = UnixDatagram::pair().unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let mut receiving = pin!(one.recv(&mut buffer));
        assert!(poll!(receiving.as_mut()).is_pending(), "it only sends no more");
        other.send(b"still").await.unwrap();
        assert_eq!(receiving.await.unwrap(), 5);
    });
}

/// Dropped after each poll: before it waits, while it waits, and when the event has come.
#[test]
fn a_dropped_receive_loses_nothing() {
    run(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        for number in 0..60_u8 {
            let mut buffer = [0; 16];
            assert!(poll!(pin!(other.recv(&mut buffer))).is_pending());
            assert!(poll!(pin!(other.recv_from(&mut buffer))).is_pending());
            assert!(poll!(pin!(other.recv_with_fds(&mut buffer, &mut Vec::new()))).is_pending());
            assert!(poll!(pin!(other.readable())).is_pending());
            {
                let mut woken = pin!(other.recv(&mut buffer));
                assert!(poll!(woken.as_mut()).is_pending());
                one.send(&[number]).await.unwrap();
                turns(usize::from(number % 2)).await;
            }
            let count = match number % 3 {
                0 => anew(async || other.recv(&mut buffer).await).await.unwrap(),
                1 => anew(async || other.recv_from(&mut buffer).await).await.unwrap().0,
                _ => anew(async || other.recv_with_fds(&mut buffer, &mut Vec::new()).await).await.unwrap(),
            };
            assert_eq!((count, buffer[0]), (1, number));
        }
    });
}

/// Dropped before its first poll, while it waits, and when it is woken: it is sent in the poll that says so.
#[test]
fn a_dropped_send_is_not_sent() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect(&path).unwrap();
        for number in 0..20_u8 {
            drop(client.send_to(b"dropped", &path));
            drop(connected.send(b"dropped"));
            drop(connected.send_with_fds(b"dropped", &[]));
            fill(&path);
            {
                let mut to = pin!(client.send_to(b"dropped", &path));
                let mut send = pin!(connected.send(b"dropped"));
                let mut fds = pin!(connected.send_with_fds(b"dropped", &[]));
                assert!(poll!(to.as_mut()).is_pending());
                assert!(poll!(send.as_mut()).is_pending());
                assert!(poll!(fds.as_mut()).is_pending());
                turns(1).await;
                assert_eq!(drain(&server).len(), 0);
                turns(usize::from(number % 2)).await; // woken, and then dropped
            }
            assert_eq!(anew(async || client.send_to(&[number], &path).await).await.unwrap(), 1);
            assert_eq!(anew(async || connected.send(&[number]).await).await.unwrap(), 1);
            assert_eq!(anew(async || connected.send_with_fds(&[number], &[]).await).await.unwrap(), 1);
            assert_eq!(drain(&server), [[number], [number], [number]]);
        }
    });
}

/// A socket that has room never blocks. It does not keep the thread.
#[test]
fn sending_uses_the_budget() {
    run(async {
        let folder = Folder::new();
        let (server, path, client) = server_and_client(&folder);
        let done = Rc::new(Cell::new(false));
        let other = spawn({
            let done = done.clone();
            async move { done.set(true) }
        });
        let mut sent = 0;
        while !done.get() {
            client.send_to(b"x", &path).await.unwrap();
            assert_eq!(drain(&server).len(), 1);
            sent += 1;
            assert!(sent < 1_000, "nobody else has a turn");
        }
        other.await.unwrap();
    });
}

#[test]
fn a_socket_goes_on_on_another_thread() {
    run(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        assert!(poll!(pin!(one.recv(&mut [0; 16]))).is_pending(), "it is registered here");
        let there = thread::spawn(move || {
            run(async {
                let mut buffer = [0; 16];
                let count = one.recv(&mut buffer).await.unwrap();
                one.send(&buffer[..count]).await.unwrap();
            });
        });
        other.send(b"heard").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 5);
        there.join().unwrap();
    });
}

#[test]
fn a_wait_where_no_runtime_runs_is_an_error_that_says_so() {
    let folder = Folder::new();
    let (server, path, client) = server_and_client(&folder);
    futures::executor::block_on(async {
        fill(&path);
        let error = client.send_to(b"x", &path).await.unwrap_err();
        assert!(error.to_string().contains("no Pollywog runtime runs on this thread"), "{error}");
        drain(&server);
        assert_eq!(client.send_to(b"x", &path).await.unwrap(), 1, "with room it needs none");
        arrived(&server, Arrival::IN);
        assert!(matches!(poll!(pin!(server.recv(&mut [0; 16]))), Poll::Ready(Ok(1))));
    });
}
