//! More clients than a server serves at once, or has descriptors for.

use std::cell::Cell;
use std::fs::File;
use std::future::{Future, pending};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{LocalBoxFuture, join_all};
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt};
use pollywog_net::server::{Connection, Server};
use pollywog_net::task::yield_now;
use pollywog_net::time::advance;
use pollywog_net::{TcpStream, UnixListener, UnixStream, spawn};
use pollywog_tests::executor::{OnDrop, silence_expected_panics};
use pollywog_tests::folder::Folder;
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::memory::{Counting, live};
use pollywog_tests::net::{Arrival, alone, arrived, counted, descriptors, pair, run, turns, warnings};
use pollywog_tests::server::{all_pinged, echo, ping, serve, still};
use socket2::{Domain, Socket, Type};

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many run, and how many ran at once at most.
#[derive(Clone, Default)]
struct Gauge(Rc<(Cell<usize>, Cell<usize>)>);

impl Gauge {
    fn enter(&self) -> OnDrop<impl FnOnce() + use<>> {
        let gauge = self.clone();
        gauge.0.0.update(|running| running + 1);
        gauge.0.1.update(|most| most.max(gauge.0.0.get()));
        OnDrop::new(move || gauge.0.0.update(|running| running - 1))
    }

    fn most(&self) -> usize {
        self.0.1.get()
    }

    /// The handler, gauged.
    fn around<S, F, H>(&self, handler: H) -> impl FnMut(S) -> LocalBoxFuture<'static, F::Output> + use<S, F, H>
    where
        F: Future + 'static,
        H: Fn(S) -> F,
    {
        let gauge = self.clone();
        move |connection| {
            let (entered, running) = (gauge.enter(), handler(connection));
            Box::pin(async move {
                let _entered = entered;
                running.await
            })
        }
    }
}

/// They connect and ask while all places are taken. Nothing of them reaches the process before others have ended.
#[test]
fn more_clients_than_the_limit() {
    const LIMIT: usize = 10;
    const WAITING: usize = 300;
    alone("more_clients_than_the_limit", || {
        run(async {
            let gauge = Gauge::default();
            let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(LIMIT);
            let (addr, status) = (server.listener().local_addr().unwrap(), server.status());
            let (serving, polls) = counted(server.serve(gauge.around(echo)));
            let serving = spawn(serving);
            let mut first = Vec::new();
            for _ in 0..LIMIT {
                let mut client = TcpStream::connect(addr).await.unwrap();
                ping(&mut client).await;
                first.push(client);
            }
            let waiting = all_pinged(addr, WAITING);
            turns(1).await;
            let (open, memory, polled) = (descriptors(), live(), polls.get());
            turns(100).await;
            assert_eq!((status.accepted(), status.active()), (LIMIT as u64, LIMIT as u64));
            assert_eq!((descriptors(), live()), (open, memory), "who waits costs nothing here");
            assert_eq!(polls.get(), polled, "a full server does not look who waits");
            // One place is free, and one of them is served.
            drop(first.pop());
            while status.accepted() <= LIMIT as u64 {
                turns(1).await;
            }
            turns(10).await;
            assert_eq!((status.accepted(), status.active()), (LIMIT as u64 + 1, LIMIT as u64));
            drop(first);
            let served = waiting.into_iter().map(|client| {
                client.set_nonblocking(true).unwrap();
                answered(TcpStream::from_std(client).unwrap())
            });
            join_all(served).await;
            assert_eq!((gauge.most(), status.accepted()), (LIMIT, (LIMIT + WAITING) as u64));
            assert!(!serving.is_finished());
        });
    });
}

/// Takes the answer to `ping`, and goes.
async fn answered(mut client: impl AsyncRead + Unpin) {
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

#[test]
fn more_unix_clients_than_the_limit() {
    const LIMIT: usize = 3;
    const CLIENTS: usize = 50;
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        let gauge = Gauge::default();
        let server = Server::new(UnixListener::bind(&path).unwrap()).max_connections(LIMIT);
        let status = server.status();
        let handler = async |mut connection: Connection<UnixStream>| {
            let mut text = [0; 4];
            connection.read_exact(&mut text).await?;
            connection.write_all(&text).await?;
            assert_eq!(connection.read(&mut text).await?, 0, "it stays until the client goes");
            Ok(())
        };
        spawn(server.serve(gauge.around(handler)));
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = UnixStream::connect(&path).await.unwrap();
            client.write_all(b"ping").await.unwrap();
            clients.push(client);
        }
        turns(100).await;
        assert_eq!((status.accepted(), status.active()), (LIMIT as u64, LIMIT as u64));
        join_all(clients.into_iter().map(answered)).await;
        assert_eq!((gauge.most(), status.accepted()), (LIMIT, CLIENTS as u64));
    });
}

/// There are places, and no descriptors: who waits is served when there is one, and the limit holds all the same.
#[test]
fn without_descriptors_and_at_the_limit() {
    const LIMIT: usize = 3;
    alone("without_descriptors_and_at_the_limit", || {
        limit_descriptors(64);
        let (mut warned, _guard) = warnings();
        run(async {
            let (mut here, mut there) = pair().await;
            let gauge = Gauge::default();
            let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(LIMIT);
            let (addr, status) = (server.listener().local_addr().unwrap(), server.status());
            let (serving, polls) = counted(server.serve(gauge.around(echo)));
            spawn(serving);
            let mut first = TcpStream::connect(addr).await.unwrap();
            ping(&mut first).await;
            let clients: Vec<_> = (0..4).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
            let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            for client in &clients {
                client.connect(&addr.into()).unwrap();
                client.send(b"ping").unwrap();
            }
            let polled = polls.get();
            for _ in 0..4 {
                assert!(warned.next().await.unwrap().contains("Too many open files"));
                // Who is there is served, and others run.
                ping(&mut first).await;
                here.write_all(b"x").await.unwrap();
                there.read_exact(&mut [0]).await.unwrap();
            }
            turns(1_000).await;
            assert_eq!(status.accepted(), 1);
            // One for the event, one for each pause: 1, 2, 4, … 512 ms, and then seconds.
            assert!(polls.get() - polled < 25, "{} polls: it spins", polls.get() - polled);
            // Five descriptors, two places.
            files.truncate(files.len() - 5);
            while status.accepted() < LIMIT as u64 {
                turns(1).await;
            }
            turns(100).await;
            assert_eq!((status.accepted(), status.active()), (LIMIT as u64, LIMIT as u64));
            drop(first);
            for (index, client) in clients.into_iter().enumerate() {
                while status.accepted() <= index as u64 + 1 {
                    turns(1).await;
                }
                let client = std::net::TcpStream::from(client);
                client.set_nonblocking(true).unwrap();
                answered(TcpStream::from_std(client).unwrap()).await;
            }
            assert_eq!(gauge.most(), LIMIT);
        });
    });
}

/// However a connection ends, its place is free: there is one, and each that comes gets it.
#[test]
fn every_end_of_a_connection_frees_its_place() {
    const IDLE: Duration = Duration::from_secs(20);
    silence_expected_panics();
    still(async {
        let handler = |mut connection: Connection| {
            let mut kind = [0];
            arrived(connection.get_ref(), Arrival::IN);
            assert_eq!(connection.try_read(&mut kind).unwrap(), 1);
            assert_ne!(&kind, b"c", "expected: in the call");
            let mut in_drop = (&kind == b"d").then(|| OnDrop::new(|| panic!("expected: in the drop")));
            async move {
                let _in_drop = in_drop.take();
                assert_ne!(&kind, b"f", "expected: at the first poll");
                yield_now().await;
                assert_ne!(&kind, b"l", "expected: later");
                match &kind {
                    b"e" => Err(io::ErrorKind::InvalidData.into()),
                    b"r" => connection.read(&mut kind).await.map(drop),
                    // Both are dropped by the timeout, and one of them panics then.
                    b"t" | b"d" => pending().await,
                    _ => Ok(()),
                }
            }
        };
        let configure = |server: Server| server.max_connections(1).idle_timeout(IDLE);
        let server = serve(configure, handler).await;
        for (count, kind) in b"oecfldrto".iter().enumerate() {
            let (mut client, _) = server.client().await;
            client.write_all(&[*kind]).await.unwrap();
            server.accepted(count as u64 + 1).await;
            turns(3).await;
            if b"td".contains(kind) {
                advance(IDLE).await;
            }
            if *kind == b'r' {
                client.set_zero_linger().unwrap();
                drop(client);
            } else {
                // It is closed, or reset since it was not read to its end.
                let _ = client.read(&mut [0]).await;
            }
            server.active(0).await;
        }
        let status = &server.status;
        assert_eq!((status.accepted(), status.active(), status.panicked(), status.timed_out()), (9, 0, 4, 2));
        assert_eq!(status.errors(), [(io::ErrorKind::ConnectionReset, 1), (io::ErrorKind::InvalidData, 1)]);
    });
}
