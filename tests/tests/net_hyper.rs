//! hyper on our sockets, timers and tasks: both ends of HTTP/1 and HTTP/2.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::io::Cursor;
use futures::{AsyncReadExt, AsyncWriteExt, poll};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBuf, Timer, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use pollywog_net::hyper::{PollywogExecutor, PollywogIo, PollywogTimer};
use pollywog_net::task::yield_now;
use pollywog_net::{TcpStream, spawn, time};
use pollywog_tests::net::{Arrival, arrived, finish, pair, reset, run, with_peer};

type Body = Full<Bytes>;

fn request(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::post(path).header("host", "localhost").body(Full::new(body.into())).unwrap()
}

/// The body goes back as it comes.
async fn echo(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    Ok(Response::new(request.into_body()))
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// An HTTP/1 client, its connection a task.
async fn client(stream: TcpStream) -> client::conn::http1::SendRequest<Body> {
    let (sender, connection) = client::conn::http1::handshake(PollywogIo::new(stream)).await.unwrap();
    spawn(async move { connection.with_upgrades().await.unwrap() });
    sender
}

/// What the system said, below an error of hyper's.
fn io_error(error: &hyper::Error) -> ErrorKind {
    let source = error.source().unwrap_or_else(|| panic!("{error:?} has no source"));
    source.downcast_ref::<io::Error>().expect("it comes from the socket").kind()
}

#[test]
fn one_connection_serves_request_after_request() {
    run(async {
        let (server, stream) = pair().await;
        let served = Rc::new(Cell::new(0));
        let count = served.clone();
        let serving = spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                count.set(count.get() + 1);
                let answer = format!("{} to {}", count.get(), request.uri().path());
                async { Ok::<_, Infallible>(Response::new(answer)) }
            });
            server::conn::http1::Builder::new().serve_connection(PollywogIo::new(server), service).await
        });
        let mut client = client(stream).await;
        for (number, path) in ["/one", "/two", "/three"].into_iter().enumerate() {
            let response = client.send_request(request(path, "")).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(text(response).await, format!("{} to {path}", number + 1));
            client.ready().await.unwrap();
        }
        drop(client);
        serving.await.unwrap().expect("the end of the client is the end of the connection");
        assert_eq!(served.get(), 3);
    });
}

#[test]
fn a_body_of_megabytes_goes_both_ways() {
    run(async {
        let (server, stream) = pair().await;
        spawn(async move {
            let server = PollywogIo::new(server);
            server::conn::http1::Builder::new().serve_connection(server, service_fn(echo)).await.unwrap();
        });
        let bytes: Vec<u8> = (0..4_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut client = client(stream).await;
        let response = client.send_request(request("/", bytes.clone())).await.unwrap();
        let back = response.into_body().collect().await.unwrap().to_bytes();
        assert!(back == bytes, "something else came back");
    });
}

#[test]
fn a_header_that_does_not_end_is_given_up_in_time() {
    run(async {
        let (server, mut peer) = with_peer().await;
        time::pause();
        let start = time::now();
        let mut builder = server::conn::http1::Builder::new();
        builder.timer(PollywogTimer).header_read_timeout(Duration::from_secs(5));
        peer.write_all(b"GET / HTTP/1.1\r\nhost: local").unwrap();
        let error = builder.serve_connection(PollywogIo::new(server), service_fn(echo)).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(time::now() - start, Duration::from_secs(5));
    });
}

#[test]
fn the_time_for_a_header_begins_anew_with_each_request() {
    run(async {
        let (server, stream) = pair().await;
        time::pause();
        let start = time::now();
        let serving = spawn(async move {
            let mut builder = server::conn::http1::Builder::new();
            builder.timer(PollywogTimer).header_read_timeout(Duration::from_secs(3));
            builder.serve_connection(PollywogIo::new(server), service_fn(echo)).await
        });
        let mut client = client(stream).await;
        for _ in 0..2 {
            let hold = time::hold();
            let response = client.send_request(request("/", "x")).await.unwrap();
            assert_eq!(text(response).await, "x");
            drop(hold);
            time::sleep(Duration::from_secs(2)).await;
            client.ready().await.unwrap();
        }
        assert!(serving.await.unwrap().unwrap_err().is_timeout());
        assert_eq!(time::now() - start, Duration::from_secs(5));
    });
}

#[test]
fn a_timer_is_moved_and_not_made_again() {
    run(async {
        time::pause();
        let start = PollywogTimer.now();
        assert_eq!(start, time::now());
        let mut sleep = PollywogTimer.sleep(Duration::from_secs(1));
        assert!(poll!(sleep.as_mut()).is_pending());
        let place = &raw const *sleep;
        PollywogTimer.reset(&mut sleep, start + Duration::from_secs(3));
        assert!(std::ptr::addr_eq(place, &raw const *sleep));
        sleep.await;
        assert_eq!(time::now() - start, Duration::from_secs(3));
        PollywogTimer.sleep_until(start + Duration::from_secs(4)).await;
        assert_eq!(PollywogTimer.now() - start, Duration::from_secs(4));
    });
}

#[test]
fn a_reset_in_a_body_is_an_error_and_not_the_end() {
    run(async {
        let (server, mut peer) = with_peer().await;
        let began = Rc::new(Cell::new(false));
        let begins = began.clone();
        let serving = spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                begins.set(true);
                async {
                    let error = request.into_body().collect().await.unwrap_err();
                    assert_eq!(io_error(&error), ErrorKind::ConnectionReset);
                    Err::<Response<Body>, _>(error)
                }
            });
            server::conn::http1::Builder::new().serve_connection(PollywogIo::new(server), service).await
        });
        peer.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nhalf").unwrap();
        while !began.get() {
            yield_now().await;
        }
        reset(peer);
        serving.await.unwrap().unwrap_err();
    });
}

#[test]
fn a_reset_in_a_header_is_an_error_and_not_the_end() {
    run(async {
        let (server, mut peer) = with_peer().await;
        peer.write_all(b"GET / HTTP/1.1\r\nhost: local").unwrap();
        arrived(&server, Arrival::IN);
        let serving = server::conn::http1::Builder::new().serve_connection(PollywogIo::new(server), service_fn(echo));
        let mut serving = pin!(serving);
        assert!(poll!(serving.as_mut()).is_pending());
        reset(peer);
        assert_eq!(io_error(&serving.await.unwrap_err()), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    run(async {
        let (server, mut peer) = with_peer().await;
        peer.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\nquestion").unwrap();
        finish(&peer);
        arrived(&server, Arrival::IN | Arrival::RDHUP);
        let mut builder = server::conn::http1::Builder::new();
        builder.half_close(true);
        builder.serve_connection(PollywogIo::new(server), service_fn(echo)).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("question"), "{answer}");
    });
}

#[test]
fn an_upgraded_connection_is_a_stream_again() {
    run(async {
        let (server, stream) = pair().await;
        spawn(async move {
            let service = service_fn(|mut request: Request<Incoming>| async move {
                spawn(async move {
                    let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                    let (reader, mut writer) = PollywogIo::new(upgraded).split();
                    futures::io::copy(reader, &mut writer).await.unwrap();
                    writer.close().await.unwrap();
                });
                let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
                switching.header("connection", "upgrade").header("upgrade", "echo").body(String::new())
            });
            let serving = server::conn::http1::Builder::new().serve_connection(PollywogIo::new(server), service);
            serving.with_upgrades().await.unwrap();
        });
        let mut client = client(stream).await;
        let mut asking = request("/", "");
        for (name, value) in [("connection", "upgrade"), ("upgrade", "echo")] {
            asking.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut response = client.send_request(asking).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let upgraded = hyper::upgrade::on(&mut response).await.unwrap();

        let parts = upgraded.downcast::<PollywogIo<TcpStream>>().expect("that is what it was");
        assert!(parts.read_buf.is_empty());
        let mut stream = parts.io.into_inner();
        stream.write_all(b"no more HTTP").await.unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "no more HTTP");
    });
}

/// The service holds an `Rc`, and what hyper spawns for it is no more `Send` than it.
#[test]
fn streams_of_http2_are_served_at_once() {
    run(async {
        let (server, stream) = pair().await;
        let waiting = Rc::new(Cell::new(0));
        let count = waiting.clone();
        spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let waiting = count.clone();
                async move {
                    waiting.set(waiting.get() + 1);
                    while waiting.get() < 8 {
                        yield_now().await;
                    }
                    let body = request.into_body().collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                }
            });
            let mut builder = server::conn::http2::Builder::new(PollywogExecutor);
            builder.timer(PollywogTimer).serve_connection(PollywogIo::new(server), service).await.unwrap();
        });
        let mut builder = client::conn::http2::Builder::new(PollywogExecutor);
        let (sender, connection) = builder.timer(PollywogTimer).handshake(PollywogIo::new(stream)).await.unwrap();
        spawn(async move { connection.await.unwrap() });
        let answers = (0..8).map(|number| {
            let mut sender = sender.clone();
            async move {
                let body = number.to_string().repeat(100_000);
                let response = sender.send_request(request("/", body.clone())).await.unwrap();
                assert!(text(response).await == body, "stream {number} got something else");
            }
        });
        join_all(answers).await;
        assert_eq!(waiting.get(), 8);
    });
}

async fn fill<S: Read + Unpin>(stream: &mut S, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await
}

#[test]
fn a_read_appends_and_takes_no_more_than_there_is_room_for() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let mut stream = PollywogIo::new(stream);
        let mut memory = [MaybeUninit::uninit(); 10];
        let mut buffer = ReadBuf::uninit(&mut memory);
        assert!(poll!(pin!(fill(&mut stream, &mut buffer))).is_pending());
        peer.write_all(b"first").unwrap();
        fill(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"first");
        peer.write_all(b" and second").unwrap();
        arrived(stream.inner(), Arrival::IN);
        fill(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"first and ");
        let mut rest = String::new();
        drop(peer);
        stream.inner_mut().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "second");
    });
}

#[test]
fn several_buffers_are_written_at_once() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let mut stream = PollywogIo::new(stream);
        assert!(Write::is_write_vectored(&stream));
        let parts = [b"one ".as_slice(), b"call"].map(io::IoSlice::new);
        let written = poll_fn(|cx| Write::poll_write_vectored(Pin::new(&mut stream), cx, &parts)).await;
        assert_eq!(written.unwrap(), 8);
        let mut text = [0; 8];
        peer.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one call");
    });
}

/// Wrapped twice, a stream of ours goes through hyper's traits and back.
#[test]
fn a_stream_of_hypers_is_one_of_ours() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let mut stream = PollywogIo::new(PollywogIo::new(stream));
        stream.write_all(b"question").await.unwrap();
        let parts = [b" one ".as_slice(), b"call"].map(io::IoSlice::new);
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 9);
        stream.flush().await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question one call", "and the end, though reading goes on");

        peer.write_all(b"answer").unwrap();
        arrived(stream.inner().inner(), Arrival::IN);
        let mut part = [0; 4];
        assert_eq!(stream.read(&mut part).await.unwrap(), 4);
        assert_eq!(&part, b"answ");
        reset(peer);
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_in_memory_needs_no_runtime() {
    let bytes: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
    let mut stream = PollywogIo::new(Cursor::new(bytes.clone()));
    let mut memory = vec![MaybeUninit::uninit(); 20_000];
    let mut buffer = ReadBuf::uninit(&mut memory);
    futures::executor::block_on(async {
        let mut before = 0;
        loop {
            fill(&mut stream, &mut buffer).await.unwrap();
            if buffer.filled().len() == before {
                break;
            }
            before = buffer.filled().len();
        }
    });
    assert!(buffer.filled() == bytes, "something is lost");
}
