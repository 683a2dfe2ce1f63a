//! Servers that are dropped at every poll: nobody listens any more, and nobody is served. And reads of their connections.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream as Client};
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use pollywog_net::cancel::CancelToken;
use pollywog_net::http::Http;
use pollywog_net::per_core::PerCore;
use pollywog_net::server::{Connection, Server};
use pollywog_net::{spawn, time};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::net::{run, turns, with_peer};

/// It accepts, it is full, and it drains: two connections are more than it serves at once, and they never end.
#[test]
fn serve_until() {
    run(async {
        time::pause();
        at_every_poll(async |cut| {
            for most in [1, 2] {
                let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(most);
                let server = server.drain_timeout(Duration::from_millis(5));
                let addr = server.listener().local_addr().unwrap();
                let clients = [(); 2].map(|()| Client::connect(addr).unwrap());
                let (stop, stopped) = oneshot::channel::<()>();
                let alive = Rc::new(());
                let handler = |connection: Connection| {
                    let alive = alive.clone();
                    async move {
                        pending::<()>().await;
                        drop((connection, alive));
                        Ok(())
                    }
                };
                let drained = cut.apply(server.serve_until(stopped, handler), || drop(stop)).await;
                if let Some(drained) = drained {
                    assert!(!drained.unwrap().is_complete(), "they never end");
                }
                turns(1).await;
                assert_eq!(Rc::strong_count(&alive), 1, "the handlers are gone");
                assert_eq!(Client::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
                for mut client in clients {
                    // The end, or a reset where it was not accepted.
                    assert_eq!(client.read(&mut [0; 16]).unwrap_or(0), 0);
                }
            }
        })
        .await;
    });
}

#[test]
fn read_with_of_a_connection() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let addr = server.listener().local_addr().unwrap();
        let (given, mut connections) = mpsc::unbounded();
        let serving = spawn(server.serve(move |connection: Connection| {
            given.unbounded_send(connection).unwrap();
            async { pending().await }
        }));
        at_every_poll(async |cut| {
            let mut client = Client::connect(addr).unwrap();
            let connection = connections.next().await.unwrap();
            let lent = Cell::new(None);
            let reading = connection.read_with(|bytes| (2, lent.set(Some(bytes[..2].to_vec()))));
            let read = cut.apply(reading, || client.write_all(b"bytes").unwrap()).await;
            let lent = lent.take();
            assert_eq!(read.map(Result::unwrap), lent.is_some().then_some(Some(())), "lent where it is ready");
            let mut got = lent.unwrap_or_default();
            drop(client);
            while let Some(part) = connection.read_with(|bytes| (bytes.len(), bytes.to_vec())).await.unwrap() {
                got.extend(part);
            }
            assert_eq!(got, b"bytes");
        })
        .await;
        assert!(serving.now_or_never().is_none());
    });
}

/// The cores end wherever it is dropped, also before its first poll.
#[test]
fn shutdown_of_the_cores() {
    run(at_every_poll(async |cut| {
        let cores = PerCore::builder().cores(2).build().unwrap();
        let (alive, gone) = std::sync::mpsc::channel::<()>();
        for handle in cores.handles() {
            let alive = alive.clone();
            handle.spawn(async move {
                pending::<()>().await;
                drop(alive);
            });
        }
        drop(alive);
        let ended = cut.apply(cores.shutdown(), || ()).await;
        if let Some(ended) = ended {
            ended.unwrap();
            assert_eq!(gone.try_recv(), Err(TryRecvError::Disconnected), "its tasks are dropped");
        }
        assert_eq!(gone.iter().count(), 0, "they are in any case");
    }));
}

/// A service that does not answer: it is dropped with the server, and nobody listens any more.
#[test]
fn serve_until_with_http() {
    run(async {
        time::pause();
        at_every_poll(async |cut| {
            let server = Server::bind("127.0.0.1:0").await.unwrap().drain_timeout(Duration::from_millis(5));
            let addr = server.listener().local_addr().unwrap();
            let mut client = Client::connect(addr).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let alive = Rc::new(());
            let held = alive.clone();
            let service = service_fn(move |_: Request<Incoming>| {
                let held = held.clone();
                async move {
                    pending::<()>().await;
                    drop(held);
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            });
            let http = Http::new();
            let drained = cut.apply(http.serve_until(server, service, stopped), || drop(stop)).await;
            if let Some(drained) = drained {
                assert!(!drained.unwrap().is_complete(), "it never answers");
            }
            turns(1).await;
            assert_eq!(Rc::strong_count(&alive), 1, "the service is gone");
            assert_eq!(Client::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            // The end, or a reset where it was not read.
            assert_eq!(client.read(&mut [0; 16]).unwrap_or(0), 0);
        })
        .await;
    });
}

/// A request over HTTP/2, whose service runs in a task of its own.
#[test]
fn serve_stream_with_http2() {
    // The settings, and on stream 1 the header of `GET http:/`, which is all.
    const REQUEST: &[u8] =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    let called = Cell::new(0);
    run(at_every_poll(async |cut| {
        let (stream, mut peer) = with_peer().await;
        let (alive, answer) = (Rc::new(()), CancelToken::new());
        let service = service_fn(|_: Request<Incoming>| {
            let (alive, answer) = (alive.clone(), answer.clone());
            called.set(called.get() + 1);
            async move {
                answer.cancelled().await;
                drop(alive);
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        peer.write_all(REQUEST).unwrap();
        let (http, shutdown) = (Http::new(), CancelToken::new());
        // It fails where the connection is reset by then.
        let come = || drop(peer.shutdown(Shutdown::Write));
        cut.apply_polling(http.serve_stream(stream, &shutdown, service), come).await;
        answer.cancel();
        turns(3).await;
        assert_eq!(Rc::strong_count(&alive), 1, "it ends when it wants to answer");
        let mut rest = Vec::new();
        // The frames that were written, and an end or a reset.
        let _ = peer.read_to_end(&mut rest);
    }));
    assert!(called.get() > 0, "some were dropped while it worked");
}
