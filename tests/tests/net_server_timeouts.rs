//! How long a connection may last: to the nanosecond, under a clock that stands still but when it is moved.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{IoSlice, IoSliceMut};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use pollywog_net::server::{Connection, Server};
use pollywog_net::task::yield_now;
use pollywog_net::time::{advance, sleep};
use pollywog_net::{TcpStream, UnixListener, UnixStream, spawn};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{Polls, arrived_bytes, counted, finish, reset, run, turns};
use pollywog_tests::server::{Serving, all_arrived, echo, ping, serve, still};

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_nanos(1);

/// It is open, and closed `after`, by a timeout.
async fn assert_ends(server: &Serving, after: Duration) {
    advance(after - INSTANT).await;
    assert_eq!((server.status.active(), server.status.timed_out()), (1, 0), "it is there {after:?} less an instant");
    advance(INSTANT).await;
    assert_eq!((server.status.active(), server.status.timed_out()), (0, 1), "it is over after {after:?}");
}

/// What is asked of a handler, and the handler that does it.
fn obeying<F>(
    act: impl FnOnce(Connection, UnboundedReceiver<()>) -> F,
) -> (UnboundedSender<()>, impl FnMut(Connection) -> F)
where
    F: Future<Output = std::io::Result<()>>,
{
    let (ask, asked) = unbounded();
    let mut once = Some((act, asked));
    let handler = move |connection| {
        let (act, asked) = once.take().expect("one connection");
        act(connection, asked)
    };
    (ask, handler)
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    still(async {
        let server = serve(|server| server.idle_timeout(10 * SECOND), echo).await;
        let (mut client, _) = server.client().await;
        server.accepted(1).await;
        turns(3).await;
        assert_ends(&server, 10 * SECOND).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(server.status.errors(), []);
    });
}

/// Does one thing with a connection on which four bytes have arrived.
async fn act(kind: &str, connection: &mut Connection) {
    let mut buffer = [0; 4];
    arrived_bytes(connection.get_ref(), 4);
    let count = match kind {
        "read" => connection.read(&mut buffer).await,
        "read by reference" => (&*connection).read(&mut buffer).await,
        "read_vectored" => connection.read_vectored(&mut [IoSliceMut::new(&mut buffer)]).await,
        "read_vectored by reference" => (&*connection).read_vectored(&mut [IoSliceMut::new(&mut buffer)]).await,
        "write_vectored by reference" => (&*connection).write_vectored(&[IoSlice::new(&buffer)]).await,
        "read_with" => connection.read_with(|bytes| (bytes.len(), bytes.len())).await.map(Option::unwrap),
        "poll_read_with" => {
            let lend = |bytes: &[u8]| (bytes.len(), bytes.len());
            poll_fn(|cx| connection.poll_read_with(cx, lend)).await.map(Option::unwrap)
        }
        "try_read" => connection.try_read(&mut buffer),
        "write" => connection.write(&buffer).await,
        "write by reference" => (&*connection).write(&buffer).await,
        "write_vectored" => connection.write_vectored(&[IoSlice::new(&buffer)]).await,
        "try_write" => connection.try_write(&buffer),
        "get_ref, read" => connection.get_ref().read(&mut buffer).await,
        "get_ref, write" => connection.get_ref().try_write(&buffer),
        "flush" => connection.flush().await.map(|()| 4),
        "write nothing" => connection.write(&[]).await.map(|count| count + 4),
        _ => unreachable!("{kind}"),
    };
    assert_eq!(count.unwrap(), 4, "{kind}");
}

/// At the sixth of ten seconds, the handler does something; the connection ends after `expected` more.
fn acted(kind: &'static str, expected: Duration) {
    still(async {
        let (ask, handler) = obeying(async move |mut connection, mut asked: UnboundedReceiver<()>| {
            asked.next().await;
            act(kind, &mut connection).await;
            pending().await
        });
        let server = serve(|server| server.idle_timeout(10 * SECOND), handler).await;
        let (mut client, _) = server.client().await;
        client.write_all(b"data").await.unwrap();
        server.accepted(1).await;
        turns(3).await;
        advance(6 * SECOND).await;
        ask.unbounded_send(()).unwrap();
        turns(3).await;
        assert_ends(&server, expected).await;
    });
}

#[test]
fn what_moves_a_byte_is_activity() {
    for kind in [
        "read",
        "read by reference",
        "read_vectored",
        "read_vectored by reference",
        "read_with",
        "poll_read_with",
        "try_read",
        "write",
        "write by reference",
        "write_vectored",
        "write_vectored by reference",
        "try_write",
    ] {
        acted(kind, 10 * SECOND);
    }
}

#[test]
fn what_moves_no_byte_through_the_connection_is_none() {
    for kind in ["get_ref, read", "get_ref, write", "flush", "write nothing"] {
        acted(kind, 4 * SECOND);
    }
}

#[test]
fn the_same_holds_for_unix_sockets() {
    still(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let server = Server::new(UnixListener::bind(&path).unwrap()).idle_timeout(10 * SECOND);
        let status = server.status();
        let handler = async |mut connection: Connection<UnixStream>| {
            connection.read_exact(&mut [0]).await?;
            connection.read_with(|bytes| (bytes.len(), ())).await?;
            pending().await
        };
        spawn(server.serve(handler));
        let mut client = UnixStream::connect(&path).await.unwrap();
        turns(3).await;
        for _ in 0..2 {
            advance(9 * SECOND).await;
            client.write_all(b"x").await.unwrap();
            turns(3).await;
        }
        advance(10 * SECOND - INSTANT).await;
        assert_eq!((status.active(), status.timed_out()), (1, 0));
        advance(INSTANT).await;
        assert_eq!((status.active(), status.timed_out()), (0, 1));
    });
}

/// Its handler alone knows what becomes of the stream.
#[test]
fn a_stream_that_was_taken_out_is_not_idle() {
    for idle in [10 * SECOND, Duration::ZERO] {
        still(async {
            let configure = |server: Server| server.idle_timeout(idle).connection_timeout(3600 * SECOND);
            let handler = async |connection: Connection| {
                let stream: TcpStream = connection.into_inner();
                // The timer that was set before has to do with it no more.
                sleep(30 * SECOND).await;
                stream.try_write(b"late").unwrap();
                pending().await
            };
            let server = serve(configure, handler).await;
            let (mut client, _) = server.client().await;
            server.accepted(1).await;
            turns(3).await;
            advance(30 * SECOND).await;
            let mut text = [0; 4];
            client.read_exact(&mut text).await.unwrap();
            assert_ends(&server, 3570 * SECOND).await;
        });
    }
}

#[test]
fn a_busy_connection_ends_after_its_time_too() {
    still(async {
        let server = serve(|server| server.connection_timeout(10 * SECOND), echo).await;
        let (mut client, _) = server.client().await;
        for _ in 0..9 {
            ping(&mut client).await;
            advance(SECOND).await;
        }
        ping(&mut client).await;
        assert_ends(&server, SECOND).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    });
}

/// A byte a second: never idle, and no more than the other timeout allows. And with a byte every four seconds.
#[test]
fn of_two_timeouts_the_nearer_counts() {
    for (every, expected) in [(SECOND, 20 * SECOND), (6 * SECOND, 5 * SECOND)] {
        still(async {
            let configure = |server: Server| server.idle_timeout(5 * SECOND).connection_timeout(20 * SECOND);
            let server = serve(configure, echo).await;
            let (mut client, _) = server.client().await;
            server.accepted(1).await;
            turns(3).await;
            let mut passed = Duration::ZERO;
            while passed + every < expected {
                advance(every).await;
                passed += every;
                client.write_all(b"x").await.unwrap();
                client.read_exact(&mut [0]).await.unwrap();
            }
            assert_ends(&server, expected - passed).await;
        });
    }
}

#[test]
fn without_end_is_without_end() {
    still(async {
        let configure = |server: Server| server.idle_timeout(Duration::MAX).connection_timeout(Duration::MAX);
        let server = serve(configure, echo).await;
        let (mut client, _) = server.client().await;
        ping(&mut client).await;
        advance(100 * 365 * 24 * 3600 * SECOND).await;
        ping(&mut client).await;
        assert_eq!((server.status.active(), server.status.timed_out()), (1, 0));
    });
}

/// A handler that need not wait is done all the same.
#[test]
fn without_time_a_handler_has_its_first_poll() {
    for (idle, total) in [(Some(Duration::ZERO), None), (None, Some(Duration::ZERO))] {
        still(async {
            let configure = |mut server: Server| {
                if let Some(idle) = idle {
                    server = server.idle_timeout(idle);
                }
                if let Some(total) = total {
                    server = server.connection_timeout(total);
                }
                server
            };
            let first = Cell::new(true);
            let server = serve(configure, move |connection: Connection| {
                let waits = first.replace(false);
                async move {
                    if waits {
                        turns(1).await;
                    }
                    connection.try_write(b"done").map(drop)
                }
            })
            .await;
            let mut answers = Vec::new();
            for _ in 0..2 {
                let (mut client, _) = server.client().await;
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                answers.push(answer);
            }
            assert_eq!(answers, ["", "done"]);
            assert_eq!((server.status.timed_out(), server.status.accepted()), (1, 2));
        });
    }
}

/// The time runs from the end of the poll in which the byte moved: the thread was busy, not the connection idle.
#[test]
fn a_handler_that_computes_is_not_idle() {
    const IDLE: Duration = Duration::from_millis(700);
    run(async {
        let handler = async |mut connection: Connection| {
            connection.read_exact(&mut [0; 4]).await?;
            thread::sleep(IDLE + Duration::from_millis(20));
            yield_now().await;
            connection.write_all(b"done").await
        };
        let server = serve(|server| server.idle_timeout(IDLE), handler).await;
        let (mut client, _) = server.client().await;
        client.write_all(b"data").await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!((&*text, server.status.timed_out()), ("done", 0));
    });
}

/// The timer is not moved with each byte: it fires, looks, and is set to what is left.
#[test]
fn a_byte_costs_no_timer() {
    still(async {
        let polls = Rc::new(RefCell::new(Polls::default()));
        let handler = {
            let polls = polls.clone();
            move |connection| {
                let (handler, count) = counted(echo(connection));
                *polls.borrow_mut() = count;
                handler
            }
        };
        let server = serve(|server| server.idle_timeout(10 * SECOND), handler).await;
        let (mut client, _) = server.client().await;
        ping(&mut client).await;
        let began = polls.borrow().get();
        for _ in 0..90 {
            advance(Duration::from_millis(100)).await;
            ping(&mut client).await;
        }
        assert_eq!(polls.borrow().get(), began + 90, "one for each message, in nine seconds");
        advance(SECOND).await;
        assert_eq!(polls.borrow().get(), began + 91, "the timer looks in the tenth");
        assert_ends(&server, 9 * SECOND).await;
    });
}

/// They do not pass through the handler's polls, so the time is counted from the next look of the timer.
#[test]
fn bytes_that_another_task_moves_count() {
    still(async {
        let (ask, handler) = obeying(async |mut connection, mut asked: UnboundedReceiver<()>| {
            let writer = spawn(async move {
                while asked.next().await.is_some() {
                    connection.write_all(b"x").await.unwrap();
                }
                pending::<()>().await;
                drop(connection);
            });
            writer.await.unwrap();
            Ok(())
        });
        let server = serve(|server| server.idle_timeout(10 * SECOND), handler).await;
        let (mut client, _) = server.client().await;
        server.accepted(1).await;
        for second in 1..=50 {
            advance(SECOND).await;
            if second % 4 == 0 {
                ask.unbounded_send(()).unwrap();
                client.read_exact(&mut [0]).await.unwrap();
            }
        }
        // The last byte was that of the second 48, and the timer has looked in the fiftieth.
        assert_ends(&server, 10 * SECOND).await;
    });
}

/// It waits for room as long as the peer takes nothing.
#[test]
fn a_client_that_never_reads_is_idle() {
    still(async {
        let written = Rc::new(Cell::new(0));
        let handler = {
            let written = written.clone();
            move |mut connection: Connection| {
                let written = written.clone();
                async move {
                    loop {
                        let count = connection.write(&[0; 1 << 16]).await?;
                        written.update(|total| total + count);
                    }
                }
            }
        };
        let server = serve(|server| server.idle_timeout(10 * SECOND), handler).await;
        let (_client, _) = server.client().await;
        server.accepted(1).await;
        // Until all buffers between the two are full.
        let mut before = usize::MAX;
        while written.get() != before {
            before = written.get();
            turns(2_000).await;
        }
        assert_ends(&server, 10 * SECOND).await;
    });
}

/// The peer has finished sending, and takes its time to read: that wakes nobody again and again.
#[test]
fn a_half_closed_peer_does_not_make_the_handler_spin() {
    still(async {
        let polls = Rc::new(RefCell::new(Polls::default()));
        let handler = {
            let polls = polls.clone();
            move |mut connection: Connection| {
                let (handler, count) = counted(async move {
                    let mut request = Vec::new();
                    connection.read_to_end(&mut request).await?;
                    sleep(5 * SECOND).await;
                    connection.write_all(&request).await?;
                    // A client that keeps its connection for another request.
                    pending().await
                });
                *polls.borrow_mut() = count;
                handler
            }
        };
        let server = serve(|server| server.idle_timeout(10 * SECOND), handler).await;
        let mut client = std::net::TcpStream::connect(server.addr).unwrap();
        std::io::Write::write_all(&mut client, b"request").unwrap();
        server.accepted(1).await;
        finish(&client);
        all_arrived(server.addr);
        turns(1_000).await;
        advance(5 * SECOND).await;
        turns(1_000).await;
        let so_far = polls.borrow().get();
        assert!(so_far <= 6, "{so_far} polls");
        let mut answer = [0; 7];
        std::io::Read::read_exact(&mut client, &mut answer).unwrap();
        assert_eq!(&answer, b"request");
        assert_ends(&server, 10 * SECOND).await;
        reset(client);
    });
}

/// Who is idle does not keep the end waiting either.
#[test]
fn the_timeouts_hold_during_the_shutdown() {
    still(async {
        let configure = |server: Server| server.idle_timeout(5 * SECOND).drain_timeout(60 * SECOND);
        let server = serve(configure, async |_: Connection| pending().await).await;
        let _client = server.client().await;
        server.accepted(1).await;
        server.stopping().await;
        advance(5 * SECOND).await;
        let status = server.status.clone();
        assert!(server.stopped().await.is_complete());
        assert_eq!((status.timed_out(), status.aborted()), (1, 0));
    });
}
