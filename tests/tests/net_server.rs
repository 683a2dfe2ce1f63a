//! What a server does with its connections beside their limits and its end: panics, errors, status, logs, threads.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::future::pending;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join_all;
use futures::{AsyncReadExt, StreamExt};
use pollywog_net::cancel::CancelToken;
use pollywog_net::per_core::PerCore;
use pollywog_net::server::{Connection, Drained, Server, Status};
use pollywog_net::task::yield_now;
use pollywog_net::{Runtime, TcpSocket, TcpStream, UnhandledPanic, spawn};
use pollywog_tests::executor::{OnDrop, panic_of, silence_expected_panics};
use pollywog_tests::log::ask_each_time;
use pollywog_tests::net::{Arrival, arrived, reset, run, turns};
use pollywog_tests::server::{all_pinged, echo, ping, pinged, serve};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber, span};

const _: fn() = || {
    fn is<T: Send + Sync + fmt::Debug>() {}
    is::<Status>();
    is::<Drained<SocketAddr>>();
    fn moves<T: Send + Unpin>() {}
    moves::<Connection>();
};

/// The log of this thread, a line for each event: the spans that it is in, its level, its fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spans: Vec<String>,
    entered: Vec<u64>,
    lines: Vec<String>,
}

impl Log {
    fn of_this_thread() -> (Self, DefaultGuard) {
        ask_each_time();
        let log = Self::default();
        (log.clone(), tracing::subscriber::set_default(log))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().lines)
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pollywog::") || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut text = Text(attributes.metadata().name().to_owned());
        attributes.record(&mut text);
        let mut state = self.0.lock().unwrap();
        state.spans.push(text.0);
        span::Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut state = self.0.lock().unwrap();
        let spans: Vec<_> = state.entered.iter().map(|span| &*state.spans[*span as usize - 1]).collect();
        let line = format!("{} {}:{}", spans.join(" > "), event.metadata().level(), text.0);
        state.lines.push(line);
    }

    fn enter(&self, span: &span::Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &span::Id) {
        let mut state = self.0.lock().unwrap();
        let place = state.entered.iter().rposition(|entered| *entered == span.into_u64()).unwrap();
        state.entered.remove(place);
    }
}

/// In the call, in polls and in the drop; and what the server says of it. The log says which connection it was.
#[test]
fn what_a_handler_logs_is_in_the_span_of_its_connection() {
    let (log, _guard) = Log::of_this_thread();
    run(async {
        let handler = |mut connection: Connection| {
            tracing::info!(target: "test", "call");
            let dropped = OnDrop::new(|| tracing::info!(target: "test", "drop"));
            async move {
                let _dropped = dropped;
                tracing::info!(target: "test", "first");
                yield_now().await;
                tracing::info!(target: "test", "second");
                connection.read_exact(&mut [0]).await
            }
        };
        let server = serve(|server| server.drain_timeout(Duration::ZERO), handler).await;
        let (client, addr) = server.client().await;
        server.accepted(1).await;
        turns(3).await;
        drop(client);
        server.active(0).await;
        let of = |addr: SocketAddr, text: &str| format!("connection peer={addr:?} {text}");
        let texts = ["call", "first", "second", "drop"].map(|text| of(addr, &format!("INFO: message={text}")));
        let mut expected: Vec<_> = texts.into();
        expected.push(of(addr, "DEBUG: message=the connection ends with an error error=unexpected end of file"));
        let lines = log.take();
        assert_eq!(lines.into_iter().filter(|line| line.contains("connection peer")).collect::<Vec<_>>(), expected);
        let (_client, addr) = server.client().await;
        server.accepted(2).await;
        turns(3).await;
        log.take();
        assert_eq!(server.stopped().await.left().len(), 1);
        let expected = [
            " INFO: message=the server shuts down active=1".to_owned(),
            of(addr, "INFO: message=drop"),
            " WARN: message=the server has shut down, with connections that took too long aborted=1".to_owned(),
        ];
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn a_panic_is_reported_once_with_the_name_of_the_connection() {
    silence_expected_panics();
    let (log, _guard) = Log::of_this_thread();
    run(async {
        let count = Cell::new(0);
        let handler = move |_: Connection| {
            count.set(count.get() + 1);
            let in_call = count.get() == 1;
            assert!(!in_call, "expected: in the call");
            async { panic!("expected: in the poll") }
        };
        let server = serve(|server| server, handler).await;
        for text in ["in the call", "in the poll"] {
            let (mut client, addr) = server.client().await;
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            server.active(0).await;
            turns(3).await;
            let lines = log.take();
            let reports: Vec<_> = lines.iter().filter(|line| line.contains(text)).collect();
            assert_eq!(reports.len(), 1, "{lines:?}");
            let name = format!("connection {addr:?}");
            assert!(reports[0].contains("ERROR") && reports[0].contains(&name), "{name} in {reports:?}");
        }
        assert_eq!(server.status.panicked(), 2);
    });
}

/// Those beside it go on, and those that come after it are served.
#[test]
fn a_panic_ends_its_connection_alone() {
    silence_expected_panics();
    run(async {
        let (admitted, called) = (Cell::new(0), Cell::new(0));
        let configure = |server: Server| {
            server.admit(move |_, _| {
                admitted.set(admitted.get() + 1);
                assert_ne!(admitted.get(), 2, "expected: in admit");
                true
            })
        };
        let handler = move |connection: Connection| {
            called.set(called.get() + 1);
            let call = called.get();
            assert_ne!(call, 2, "expected: in the call");
            let in_drop = (call == 3).then(|| OnDrop::new(|| panic!("expected: in the drop")));
            async move {
                let _in_drop = in_drop;
                if [1, 5].contains(&call) {
                    return echo(connection).await;
                }
                yield_now().await;
                assert_eq!(call, 3, "expected: later");
                Ok(())
            }
        };
        let server = serve(configure, handler).await;
        let (mut first, _) = server.client().await;
        ping(&mut first).await;
        for panicked in 1..=4 {
            let (mut client, _) = server.client().await;
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            server.active(1).await;
            assert_eq!(server.status.panicked(), panicked);
            ping(&mut first).await;
        }
        let (mut last, _) = server.client().await;
        ping(&mut last).await;
        let status = &server.status;
        assert_eq!((status.accepted(), status.rejected(), status.active()), (6, 0, 2));
        assert!(server.stopped().await.is_complete());
    });
}

/// Where the runtime is to end at a panic, that of a handler is one.
#[test]
fn a_panic_ends_the_runtime_that_is_to_end() {
    silence_expected_panics();
    let death = panic_of(|| {
        let runtime = Runtime::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
        runtime.block_on(async {
            let server = serve(|server| server, async |_: Connection| panic!("expected")).await;
            let _client = server.client().await;
            pending::<()>().await;
        });
    });
    assert!(death.starts_with("the executor shuts down") && death.contains("'connection 127.0.0.1:"), "{death}");
}

#[test]
fn who_is_not_admitted_is_closed_and_counted() {
    run(async {
        let (admitted, seen) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let configure = {
            let (admitted, seen) = (admitted.clone(), seen.clone());
            move |server: Server| {
                server.max_connections(1).admit(move |stream: &TcpStream, peer: &SocketAddr| {
                    assert_eq!(stream.peer_addr().unwrap(), *peer);
                    seen.set(Some(*peer));
                    admitted.get()
                })
            }
        };
        let server = serve(configure, echo).await;
        for _ in 0..3 {
            let (mut client, addr) = server.client().await;
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(seen.take(), Some(addr));
        }
        let status = &server.status;
        assert_eq!((status.rejected(), status.accepted(), status.active()), (3, 0, 0));
        admitted.set(true);
        let (mut client, _) = server.client().await;
        ping(&mut client).await;
        assert_eq!((status.rejected(), status.accepted(), status.active()), (3, 1, 1), "they took no place");
    });
}

#[test]
fn errors_are_counted_by_kind() {
    run(async {
        let kinds = [ErrorKind::NotFound, ErrorKind::InvalidData, ErrorKind::NotFound];
        let mut next = kinds.into_iter();
        let server = serve(
            |server| server,
            move |_: Connection| {
                let kind = next.next();
                async move { kind.map_or(Ok(()), |kind| Err(kind.into())) }
            },
        )
        .await;
        for _ in 0..4 {
            let (mut client, _) = server.client().await;
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
        server.active(0).await;
        assert_eq!(server.status.errors(), [(ErrorKind::NotFound, 2), (ErrorKind::InvalidData, 1)]);
        let expected = "Status { accepted: 4, active: 0, rejected: 0, timed_out: 0, panicked: 0, aborted: 0, \
                        errors: [(NotFound, 2), (InvalidData, 1)], is_draining: false }";
        assert_eq!(format!("{:?}", server.status), expected);
    });
}

#[test]
fn another_thread_may_look_at_the_status() {
    run(async {
        let server = serve(|server| server, echo).await;
        let status = server.status.clone();
        let looking = thread::spawn(move || {
            while status.accepted() < 100 {
                assert!(status.active() <= 100, "never less than nothing");
                thread::yield_now();
            }
            while !status.is_draining() || status.active() > 0 {
                thread::yield_now();
            }
        });
        for _ in 0..100 {
            let (mut client, _) = server.client().await;
            ping(&mut client).await;
        }
        assert!(server.stopped().await.is_complete());
        looking.join().unwrap();
    });
}

/// Its peer is known, and its handler gets the error.
#[test]
fn a_connection_that_was_reset_in_the_queue() {
    run(async {
        let peers = Rc::new(RefCell::new(Vec::new()));
        let handler = {
            let peers = peers.clone();
            move |mut connection: Connection| {
                peers.borrow_mut().push((*connection.peer(), connection.get_ref().peer_addr().is_ok()));
                async move { connection.read(&mut [0]).await.map(drop) }
            }
        };
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (addr, status) = (server.listener().local_addr().unwrap(), server.status());
        let first = std::net::TcpStream::connect(addr).unwrap();
        let first_addr = first.local_addr().unwrap();
        arrived(server.listener(), Arrival::IN);
        reset(first);
        let mut second = pinged(addr);
        spawn(async move { server.serve(handler).await });
        while status.active() > 0 || status.accepted() < 2 {
            turns(1).await;
        }
        assert_eq!(status.errors(), [(ErrorKind::ConnectionReset, 1)]);
        assert_eq!(*peers.borrow(), [(first_addr, false), (second.local_addr().unwrap(), true)]);
        let mut rest = Vec::new();
        // It is closed with three bytes unread.
        assert_eq!(second.read_to_end(&mut rest).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_server_for_nobody_is_an_error() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(0);
        let error = server.serve(echo).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "a server with max_connections(0) serves nobody: allow it one at least");
    });
}

/// What a handler spawns is not its connection: it goes on when that is over.
#[test]
fn a_task_that_a_handler_spawns_is_its_own() {
    run(async {
        let (told, mut tells) = futures::channel::mpsc::unbounded();
        let go = CancelToken::new();
        let handler = {
            let go = go.clone();
            move |_: Connection| {
                let (go, told) = (go.clone(), told.clone());
                async move {
                    spawn(async move {
                        go.cancelled().await;
                        told.unbounded_send("done").unwrap();
                    });
                    Ok(())
                }
            }
        };
        let server = serve(|server| server, handler).await;
        let (mut client, _) = server.client().await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(server.stopped().await.is_complete(), "it is not waited for");
        go.cancel();
        assert_eq!(tells.next().await, Some("done"));
    });
}

/// The server is dropped, or has come to its deadline with a place for one alone: what the handlers have spawned hears
/// of it.
#[test]
fn the_token_is_cancelled_however_the_server_ends() {
    for (is_dropped, most) in [(true, 9), (false, 1)] {
        run(async {
            let (told, tells) = futures::channel::mpsc::unbounded();
            let handler = move |connection: Connection| {
                let (token, told) = (connection.shutdown_token().clone(), told.clone());
                spawn(async move {
                    token.cancelled().await;
                    told.unbounded_send(()).unwrap();
                });
                async move {
                    pending::<()>().await;
                    drop(connection);
                    Ok(())
                }
            };
            let configure = |server: Server| server.max_connections(most).drain_timeout(Duration::from_millis(5));
            let server = serve(configure, handler).await;
            let _clients = all_pinged(server.addr, 2);
            server.accepted(most.min(2) as u64).await;
            if is_dropped {
                server.task.abort();
            } else {
                assert_eq!(server.stopped().await.left().len(), 2, "one waits for a place");
            }
            assert_eq!(tells.count().await, most.min(2));
        });
    }
}

/// A process may have several, each in a runtime of its own: what one counts and ends is not the other's.
#[test]
fn servers_in_two_runtimes() {
    let addrs = [(); 2].map(|()| {
        let (tell, told) = oneshot::channel();
        let stop = CancelToken::new();
        let signal = stop.clone();
        let thread = thread::spawn(move || {
            run(async {
                let server = Server::bind("127.0.0.1:0").await.unwrap();
                tell.send((server.listener().local_addr().unwrap(), server.status())).unwrap();
                server.serve_until(signal.cancelled(), echo).await.unwrap()
            })
        });
        let (addr, status) = futures::executor::block_on(told).unwrap();
        (addr, status, stop, thread)
    });
    let [first, second] = addrs;
    run(async {
        for _ in 0..3 {
            ping(&mut TcpStream::connect(first.0).await.unwrap()).await;
        }
        let mut client = TcpStream::connect(second.0).await.unwrap();
        ping(&mut client).await;
        first.2.cancel();
        while !first.1.is_draining() {
            turns(1).await;
        }
        ping(&mut client).await;
        assert_eq!((first.1.accepted(), second.1.accepted(), second.1.is_draining()), (3, 1, false));
        second.2.cancel();
    });
    assert!(first.3.join().unwrap().is_complete() && second.3.join().unwrap().is_complete());
}

/// A server on each core of one port, and one signal for all.
#[test]
fn a_server_on_each_core() {
    const CORES: usize = 3;
    const CLIENTS: usize = 60;
    run(async {
        let cores = PerCore::builder().cores(CORES).build().unwrap();
        let shutdown = CancelToken::new();
        let mut addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut statuses, mut serving) = (Vec::new(), Vec::new());
        for core in cores.handles() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseport(true).unwrap();
            socket.bind(addr).unwrap();
            addr = socket.local_addr().unwrap();
            let listener = socket.listen(1024).unwrap();
            let (signal, (tell, told)) = (shutdown.clone(), oneshot::channel());
            serving.push(core.spawn_pinned(move || async move {
                let server = Server::new(listener);
                tell.send(server.status()).unwrap();
                server.serve_until(signal.cancelled(), echo).await
            }));
            statuses.push(told.await.unwrap());
        }
        let clients = join_all((0..CLIENTS).map(async |_| {
            let mut client = TcpStream::connect(addr).await.unwrap();
            ping(&mut client).await;
            client
        }))
        .await;
        let active: Vec<_> = statuses.iter().map(Status::active).collect();
        assert_eq!(active.iter().sum::<u64>(), CLIENTS as u64);
        assert!(active.iter().all(|count| *count > 0), "{active:?}");
        shutdown.cancel();
        for core in serving {
            assert!(core.await.unwrap().unwrap().is_complete());
        }
        for mut client in clients {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"");
        }
        let error = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        cores.shutdown().await.unwrap();
    });
}
