//! How a server ends: who is still served, what is told to whom and when, what is left at the deadline.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::{pending, ready};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use pollywog_net::server::{Connection, Server};
use pollywog_net::task::yield_now;
use pollywog_net::time::{advance, sleep, timeout};
use pollywog_net::{Runtime, TcpListener, TcpStream, UnixListener, UnixStream, spawn};
use pollywog_tests::executor::{OnDrop, silence_expected_panics};
use pollywog_tests::folder::Folder;
use pollywog_tests::limits::{in_child, limit_descriptors};
use pollywog_tests::net::{LIMIT, Watchdog, alone, counted, descriptors, run, turns};
use pollywog_tests::server::{all_arrived, all_pinged, echo, ping, pinged, serve, still};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

const SECOND: Duration = Duration::from_secs(1);

/// What a client of std gets until the end.
fn rest(client: &std::net::TcpStream) -> io::Result<String> {
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut text = String::new();
    (&*client).read_to_string(&mut text).map(|_| text)
}

/// They have connected and sent something, and the server has not looked at its queue when the signal comes.
#[test]
fn those_in_the_queue_are_served() {
    const CLIENTS: usize = 300;
    run(async {
        let server = serve(|server| server, echo).await;
        let clients = all_pinged(server.addr, CLIENTS);
        let status = server.status.clone();
        assert_eq!(status.accepted(), 0, "it has not had a turn");
        assert!(server.stopped().await.is_complete());
        for client in &clients {
            assert_eq!(rest(client).unwrap(), "ping");
        }
        assert_eq!((status.accepted(), status.active(), status.aborted()), (CLIENTS as u64, 0, 0));
        assert!(status.is_draining());
    });
}

#[test]
fn a_signal_that_is_ready_at_once_comes_after_the_queue() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let client = pinged(server.listener().local_addr().unwrap());
        assert!(server.serve_until(ready(()), echo).await.unwrap().is_complete());
        assert_eq!(rest(&client).unwrap(), "ping");
    });
}

/// With room for one of them at a time. Each is told to go only when it has had a turn, so its request is not lost.
#[test]
fn those_in_the_queue_are_served_also_at_the_limit() {
    const CLIENTS: usize = 10;
    run(async {
        let most = Rc::new(Cell::new(0));
        let handler = {
            let (most, running) = (most.clone(), Rc::new(Cell::new(0)));
            move |connection: Connection| {
                let (most, running) = (most.clone(), running.clone());
                running.update(|count| count + 1);
                most.set(running.get().max(most.get()));
                let left = OnDrop::new(move || running.update(|count| count - 1));
                async move {
                    let _left = left;
                    echo(connection).await
                }
            }
        };
        let server = serve(|server| server.max_connections(1), handler).await;
        let (mut first, _) = server.client().await;
        ping(&mut first).await;
        let clients = all_pinged(server.addr, CLIENTS);
        turns(10).await;
        assert_eq!(server.status.accepted(), 1);
        assert!(server.stopped().await.is_complete());
        for client in &clients {
            assert_eq!(rest(client).unwrap(), "ping");
        }
        assert_eq!(most.get(), 1, "at once");
    });
}

/// Whatever order the executor takes its tasks in: each handler has a turn before it is told.
#[test]
fn those_in_the_queue_are_served_in_any_order() {
    const CLIENTS: usize = 20;
    let _watchdog = Watchdog::start();
    for seed in 0..10 {
        let runtime = Runtime::builder().seed(seed).build().unwrap();
        runtime.block_on(async {
            let server = Server::bind("127.0.0.1:0").await.unwrap();
            let clients = all_pinged(server.listener().local_addr().unwrap(), CLIENTS);
            assert!(server.serve_until(ready(()), echo).await.unwrap().is_complete());
            for client in &clients {
                assert_eq!(rest(client).unwrap(), "ping", "with the seed {seed}");
            }
        });
    }
}

/// Nothing is free before those who run are told; the one in the queue is served then.
#[test]
fn those_in_the_queue_are_served_also_without_descriptors() {
    alone("those_in_the_queue_are_served_also_without_descriptors", || {
        limit_descriptors(64);
        run(async {
            let (server, files) = (serve(|server| server, echo).await, RefCell::new(Vec::new()));
            let (mut first, _) = server.client().await;
            ping(&mut first).await;
            let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            while let Ok(file) = File::open("/dev/null") {
                files.borrow_mut().push(file);
            }
            waiting.connect(&server.addr.into()).unwrap();
            waiting.send(b"ping").unwrap();
            // It takes a descriptor to see that it has arrived, and no turn.
            files.borrow_mut().pop();
            all_arrived(server.addr);
            files.borrow_mut().push(File::open("/dev/null").unwrap());
            let status = server.status.clone();
            let drained = server.stopped().await;
            assert_eq!((drained.is_complete(), status.accepted()), (true, 2));
            assert_eq!(rest(&waiting.into()).unwrap(), "ping");
        });
    });
}

/// The number of turns while nothing can be accepted, and nobody makes room.
#[test]
fn without_descriptors_the_drain_does_not_spin() {
    alone("without_descriptors_the_drain_does_not_spin", || {
        limit_descriptors(64);
        run(async {
            let server = Server::bind("127.0.0.1:0").await.unwrap().drain_timeout(Duration::from_millis(300));
            let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let addr = server.listener().local_addr().unwrap();
            let mut files = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                files.push(file);
            }
            waiting.connect(&addr.into()).unwrap();
            let (serving, polls) = counted(server.serve_until(ready(()), echo));
            assert!(serving.await.unwrap().is_complete(), "nobody was accepted");
            // A poll or two for each pause: 1, 2, 4, … 256 ms.
            assert!(polls.get() < 40, "{} polls: it spins", polls.get());
        });
    });
}

/// The queue is full again whenever the server has taken some of it.
#[test]
fn a_flood_does_not_keep_the_queue_from_being_done() {
    in_child("a_flood_does_not_keep_the_queue_from_being_done", || {
        limit_descriptors(1_000);
        // Many connections, so a busy machine takes longer than other tests may.
        let flooded = async {
            let folder = Folder::new();
            let path = folder.file("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let addr = SockAddr::unix(&path).unwrap();
            let fill_up = move || {
                let connect = |_: &u32| -> io::Result<()> {
                    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
                    socket.connect(&addr)
                };
                (0..500).take_while(|index| connect(index).is_ok()).count()
            };
            assert!(fill_up() > 0);
            spawn(async move {
                loop {
                    fill_up();
                    yield_now().await;
                }
            });
            let server = Server::new(listener).drain_timeout(Duration::MAX).admit(|_, _| false);
            let status = server.status();
            let drained = server.serve_until(ready(()), async |_: Connection<UnixStream>| Ok(())).await.unwrap();
            assert!(drained.is_complete());
            let accepted = status.rejected();
            assert!((10_000..=65_535).contains(&accepted), "{accepted}: no queue is longer than the last");
        };
        pollywog_net::run(timeout(6 * LIMIT, flooded)).unwrap().expect("it goes on and on");
    });
}

/// The listener is closed without a turn after the last look at the queue: who came then would be reset.
#[test]
fn who_comes_after_the_queue_is_refused_not_reset() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let addr = server.listener().local_addr().unwrap();
        let client = pinged(addr);
        let refused = Rc::new(Cell::new(false));
        let handler = {
            let refused = refused.clone();
            move |connection: Connection| {
                let refused = refused.clone();
                async move {
                    let error = std::net::TcpStream::connect(addr).expect_err("nobody listens");
                    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                    assert!(!connection.shutdown_token().is_cancelled(), "it has a turn before it is told");
                    refused.set(true);
                    yield_now().await;
                    assert!(connection.shutdown_token().is_cancelled());
                    Ok(())
                }
            }
        };
        assert!(server.serve_until(ready(()), handler).await.unwrap().is_complete());
        assert!(refused.get());
        drop(client);
    });
}

#[test]
fn the_listener_is_closed_before_anybody_is_told() {
    run(async {
        let seen = Rc::new(Cell::new(None));
        let (addr, of_handler) = (Rc::new(Cell::new(None::<SocketAddr>)), seen.clone());
        let handler = {
            let addr = addr.clone();
            move |connection: Connection| {
                let (addr, seen) = (addr.clone(), of_handler.clone());
                async move {
                    connection.shutdown_token().cancelled().await;
                    seen.set(std::net::TcpStream::connect(addr.get().unwrap()).err().map(|error| error.kind()));
                    Ok(())
                }
            }
        };
        let server = serve(|server| server, handler).await;
        addr.set(Some(server.addr));
        let _client = server.client().await;
        server.accepted(1).await;
        assert!(server.stopped().await.is_complete());
        assert_eq!(seen.get(), Some(ErrorKind::ConnectionRefused));
    });
}

/// What runs is finished: a request that was begun, a task that the handler waits for.
#[test]
fn who_is_told_has_time_to_finish() {
    still(async {
        let handler = async |mut connection: Connection| {
            connection.shutdown_token().cancelled().await;
            spawn(sleep(29 * SECOND)).await.unwrap();
            connection.write_all(b"done").await
        };
        let server = serve(|server| server, handler).await;
        let (mut client, _) = server.client().await;
        server.accepted(1).await;
        server.stopping().await;
        advance(28 * SECOND).await;
        assert!(!server.task.is_finished());
        advance(SECOND).await;
        assert!(server.stopped().await.is_complete());
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "done");
    });
}

/// One ignores that it is told, one is away for an hour, one goes. The two are dropped at the deadline, not before.
#[test]
fn who_is_left_at_the_deadline_is_dropped_and_reported() {
    still(async {
        let dropped = Rc::new(Cell::new(0));
        let handler = {
            let dropped = dropped.clone();
            move |mut connection: Connection| {
                let dropped = dropped.clone();
                async move {
                    let _told = OnDrop::new(move || dropped.set(dropped.get() + 1));
                    let mut kind = [0];
                    connection.read_exact(&mut kind).await?;
                    match &kind {
                        b"i" => pending().await,
                        b"s" => sleep(3600 * SECOND).await,
                        _ => connection.shutdown_token().cancelled().await,
                    }
                    Ok(())
                }
            }
        };
        let server = serve(|server| server.drain_timeout(10 * SECOND), handler).await;
        let mut clients = Vec::new();
        for (index, kind) in [b"i", b"s", b"t"].into_iter().enumerate() {
            let (mut client, addr) = server.client().await;
            client.write_all(kind).await.unwrap();
            server.accepted(index as u64 + 1).await;
            advance(SECOND).await;
            clients.push((client, addr));
        }
        let status = server.status.clone();
        server.stopping().await;
        advance(10 * SECOND - Duration::from_nanos(1)).await;
        assert_eq!((dropped.get(), status.active(), server.task.is_finished()), (1, 2, false));
        advance(Duration::from_nanos(1)).await;
        let drained = server.stopped().await;
        assert!(!drained.is_complete());
        let left: Vec<_> = drained.left().iter().map(|left| (left.peer, left.age)).collect();
        assert_eq!(left, [(clients[0].1, 13 * SECOND), (clients[1].1, 12 * SECOND)]);
        assert_eq!((dropped.get(), status.active(), status.aborted(), status.accepted()), (3, 0, 2, 3));
        for (mut client, _) in clients {
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "it is closed");
        }
    });
}

#[test]
fn without_time_nobody_is_waited_for() {
    still(async {
        let server = serve(|server| server.drain_timeout(Duration::ZERO), async |_: Connection| pending().await).await;
        let (_client, addr) = server.client().await;
        server.accepted(1).await;
        let in_queue = pinged(server.addr);
        let drained = server.stopped().await;
        assert_eq!((drained.left().len(), drained.left()[0].peer), (1, addr), "nor is the queue");
        assert_eq!(rest(&in_queue).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn who_is_dropped_is_gone_when_the_server_returns() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap().drain_timeout(Duration::ZERO);
        let (status, alive) = (server.status(), Rc::new(()));
        let client = pinged(server.listener().local_addr().unwrap());
        let handler = |connection: Connection| {
            let alive = alive.clone();
            async move {
                pending::<()>().await;
                drop((connection, alive));
                Ok(())
            }
        };
        let signal = async {
            while status.accepted() < 1 {
                turns(1).await;
            }
        };
        let drained = server.serve_until(signal, handler).await.unwrap();
        assert_eq!((Rc::strong_count(&alive), status.active(), drained.left().len()), (1, 0, 1));
        assert_eq!(rest(&client).unwrap_err().kind(), ErrorKind::ConnectionReset, "it is closed, with its text unread");
    });
}

#[test]
fn with_all_the_time_everybody_is_waited_for() {
    still(async {
        let handler = async |connection: Connection| {
            connection.shutdown_token().cancelled().await;
            sleep(365 * 24 * 3600 * SECOND).await;
            Ok(())
        };
        let server = serve(|server| server.drain_timeout(Duration::MAX), handler).await;
        let _client = server.client().await;
        server.accepted(1).await;
        server.stopping().await;
        advance(365 * 24 * 3600 * SECOND - Duration::from_nanos(1)).await;
        assert!(!server.task.is_finished());
        advance(Duration::from_nanos(1)).await;
        assert!(server.stopped().await.is_complete());
    });
}

/// At the limit, by one that stays: those in the queue get nothing, and the deadline holds.
#[test]
fn the_deadline_holds_while_the_queue_waits_for_room() {
    still(async {
        let configure = |server: Server| server.max_connections(1).drain_timeout(5 * SECOND);
        let server = serve(configure, async |_: Connection| pending().await).await;
        let (_client, addr) = server.client().await;
        server.accepted(1).await;
        let (in_queue, status) = (pinged(server.addr), server.status.clone());
        server.stopping().await;
        advance(5 * SECOND - Duration::from_nanos(1)).await;
        assert!(!server.task.is_finished());
        advance(Duration::from_nanos(1)).await;
        let drained = server.stopped().await;
        let left: Vec<_> = drained.left().iter().map(|left| (left.peer, left.age)).collect();
        assert_eq!(left, [(addr, 5 * SECOND), (in_queue.local_addr().unwrap(), 5 * SECOND)]);
        assert_eq!((drained.is_complete(), status.aborted(), status.accepted()), (false, 2, 1));
        assert_eq!(rest(&in_queue).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

/// It is contained, counted, and no obstacle.
#[test]
fn a_handler_may_panic_in_the_drain() {
    silence_expected_panics();
    run(async {
        let handler = async |connection: Connection| {
            connection.shutdown_token().cancelled().await;
            panic!("expected: told to stop")
        };
        let server = serve(|server| server, handler).await;
        let _clients = join_all((0..3).map(|_| server.client())).await;
        server.accepted(3).await;
        let status = server.status.clone();
        assert!(server.stopped().await.is_complete());
        assert_eq!((status.panicked(), status.active(), status.aborted()), (3, 0, 0));
    });
}

/// Also with connections of the first that rest in the kernel.
#[test]
fn the_next_server_has_the_port_at_once() {
    run(async {
        let mut addr = SocketAddr::from(([127, 0, 0, 1], 0));
        for _ in 0..3 {
            let server = Server::bind(addr).await.unwrap();
            addr = server.listener().local_addr().unwrap();
            let mut client = spawn(async move {
                let mut client = TcpStream::connect(addr).await.unwrap();
                ping(&mut client).await;
                client
            });
            let drained = server.serve_until(&mut client, echo).await.unwrap();
            assert!(drained.is_complete());
        }
    });
}

/// The connections that there are have the time of any shutdown, and then the error is told.
#[test]
fn a_broken_listener_ends_it_in_the_same_way() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let breaker = std::os::fd::AsFd::as_fd(&listener).try_clone_to_owned().unwrap();
        let addr = listener.local_addr().unwrap();
        let handler = async |mut connection: Connection| {
            connection.shutdown_token().cancelled().await;
            turns(10).await;
            connection.write_all(b"bye").await
        };
        let server = Server::new(listener);
        let status = server.status();
        let serving = spawn(async move { server.serve(handler).await });
        let mut client = TcpStream::connect(addr).await.unwrap();
        while status.accepted() < 1 {
            turns(1).await;
        }
        SockRef::from(&breaker).shutdown(std::net::Shutdown::Read).unwrap();
        let error = serving.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "accept gives EINVAL");
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "bye");
        assert_eq!((status.active(), status.aborted(), status.is_draining()), (0, 0, true));
    });
}

#[test]
fn the_file_of_a_unix_server_goes_with_its_queue() {
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let server = Server::new(UnixListener::bind(&path).unwrap());
        let mut waiting = UnixStream::connect(&path).await.unwrap();
        let (there, name) = (Rc::new(Cell::new(true)), path.clone());
        let handler = {
            let there = there.clone();
            move |mut connection: Connection<UnixStream>| {
                let (there, name) = (there.clone(), name.clone());
                async move {
                    connection.shutdown_token().cancelled().await;
                    there.set(name.exists());
                    connection.write_all(b"served").await
                }
            }
        };
        assert!(server.serve_until(ready(()), handler).await.unwrap().is_complete());
        assert!(!there.get(), "who is told finds no file");
        assert!(!path.exists());
        let mut text = String::new();
        waiting.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "served");
    });
}

/// Who connects all the time is served, until the listener is closed; nobody hangs, nothing stays open.
#[test]
fn a_drain_under_load_ends() {
    alone("a_drain_under_load_ends", || {
        let before = descriptors();
        run(async {
            let server = serve(|server| server.max_connections(8), echo).await;
            let addr = server.addr;
            let client = move |_| {
                spawn(async move {
                    let mut served = 0;
                    while let Ok(mut client) = TcpStream::connect(addr).await {
                        let mut answer = [0; 4];
                        let asked = client.write_all(b"ping").await;
                        if asked.is_err() || client.read_exact(&mut answer).await.is_err() {
                            break;
                        }
                        assert_eq!(&answer, b"ping");
                        client.set_zero_linger().unwrap();
                        served += 1;
                    }
                    served
                })
            };
            let clients: Vec<_> = (0..32).map(client).collect();
            server.accepted(200).await;
            let status = server.status.clone();
            assert!(server.stopped().await.is_complete());
            let served: u64 = join_all(clients).await.into_iter().map(Result::unwrap).sum();
            assert!(served <= status.accepted() && served >= 100, "{served} of {}", status.accepted());
            assert_eq!((status.active(), status.aborted()), (0, 0));
            assert!(sleep(Duration::ZERO).now_or_never().is_some());
        });
        assert_eq!(descriptors(), before);
    });
}
