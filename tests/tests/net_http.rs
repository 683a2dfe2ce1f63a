//! HTTP on our connections: what clients do to a server.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, poll};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client};
use pollywog_net::cancel::CancelToken;
use pollywog_net::http::Http;
use pollywog_net::hyper::{PollywogExecutor, PollywogIo};
use pollywog_net::server::Server;
use pollywog_net::{JoinHandle, TcpStream, spawn, time};
use pollywog_tests::http::{answer, get, in_virtual_time};
use pollywog_tests::net::{counted, pair, reset, rest_of, run, turns, with_peer};

const SECOND: Duration = Duration::from_secs(1);

/// Says where it was asked.
async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.uri().path().to_owned()))
}

/// Serves `hello`, and gives the client's end.
async fn served(http: Http) -> (JoinHandle<io::Result<()>>, TcpStream) {
    let (server, client) = pair().await;
    (spawn(async move { http.serve_stream(server, &CancelToken::new(), service_fn(hello)).await }), client)
}

#[track_caller]
fn failed(result: io::Result<()>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(text), "no '{text}' in: {error}");
}

#[test]
fn a_connection_serves_request_after_request() {
    run(async {
        let (serving, mut client) = served(Http::new()).await;
        for path in ["/one", "/two"] {
            let answer = get(&mut client, path).await.unwrap();
            assert_eq!((answer.status(), &*answer.body, answer.closes()), (200, path, false));
        }
        drop(client);
        serving.await.unwrap().expect("the end of the client is the end of the connection");
    });
}

#[test]
fn keep_alive_can_be_refused() {
    run(async {
        let (serving, mut client) = served(Http::new().keep_alive(false)).await;
        assert!(get(&mut client, "/").await.unwrap().closes());
        assert_eq!(rest_of(&client).await, b"");
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_client_that_says_nothing_is_given_up_after_half_a_minute() {
    in_virtual_time(async {
        let start = time::now();
        let (serving, client) = served(Http::new()).await;
        failed(serving.await.unwrap(), ErrorKind::TimedOut, "header");
        assert_eq!(time::now() - start, 30 * SECOND);
        assert_eq!(rest_of(&client).await, b"");
    });
}

/// Whoever begins as a client of HTTP/2 does is no exception.
#[test]
fn a_client_that_says_a_byte_now_and_then_is_given_up_in_time() {
    in_virtual_time(async {
        for bytes in [b"GET / HTTP/1.1\r\nx: aaaaaaa".as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n..."] {
            let start = time::now();
            let (serving, mut client) = served(Http::new().header_read_timeout(5 * SECOND)).await;
            let slow = async {
                for byte in &bytes[..20] {
                    client.write_all(&[*byte]).await.unwrap();
                    time::sleep(SECOND).await;
                }
            };
            futures::select_biased! {
                result = serving.fuse() => failed(result.unwrap(), ErrorKind::TimedOut, "header"),
                () = slow.boxed_local().fuse() => panic!("it is not given up"),
            }
            assert_eq!(time::now() - start, 5 * SECOND);
        }
    });
}

#[test]
fn a_client_that_asks_for_nothing_more_is_no_error() {
    in_virtual_time(async {
        let (serving, mut client) = served(Http::new()).await;
        time::sleep(20 * SECOND).await;
        assert_eq!(get(&mut client, "/").await.unwrap().status(), 200);
        let answered = time::now();
        assert_eq!(rest_of(&client).await, b"");
        assert_eq!(time::now() - answered, 30 * SECOND, "the time begins with the answer");
        serving.await.unwrap().unwrap();
    });
}

/// A stream that notes when it is asked to say its end, as one of TLS says close_notify, and takes that long for it.
struct Polite(TcpStream, Option<Pin<Box<time::Sleep>>>, Arc<AtomicUsize>);

impl AsyncRead for Polite {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Polite {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.1 {
            std::task::ready!(pause.as_mut().poll(cx));
        }
        self.2.fetch_add(1, SeqCst);
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[test]
fn who_is_late_is_told_the_end_in_the_words_of_the_stream() {
    in_virtual_time(async {
        for request in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
            // Half a second for the end is time enough, and a day is not.
            for (pause, is_said) in [(SECOND / 2, 1), (86_400 * SECOND, 0)] {
                let (stream, mut client) = pair().await;
                let (start, ends) = (time::now(), Arc::<AtomicUsize>::default());
                let stream = Polite(stream, Some(Box::pin(time::sleep(30 * SECOND + pause))), ends.clone());
                let serving =
                    spawn(
                        async move { Http::new().serve_stream(stream, &CancelToken::new(), service_fn(hello)).await },
                    );
                client.write_all(request.as_bytes()).await.unwrap();
                let result = serving.await.unwrap();
                assert_eq!(result.is_ok(), request.ends_with("\r\n\r\n"), "{result:?}");
                assert_eq!(ends.load(SeqCst), is_said);
                assert_eq!(time::now() - start, 30 * SECOND + pause.min(SECOND));
            }
        }
    });
}

#[test]
fn a_second_request_that_does_not_end_is_an_error() {
    in_virtual_time(async {
        let (serving, mut client) = served(Http::new()).await;
        get(&mut client, "/").await.unwrap();
        client.write_all(b"GET / HT").await.unwrap();
        failed(serving.await.unwrap(), ErrorKind::TimedOut, "header");
    });
}

#[test]
fn garbage_is_answered_and_closed() {
    run(async {
        let (serving, mut client) = served(Http::new()).await;
        client.write_all(b"\0\x01 garbage\r\n\r\n").await.unwrap();
        let refusal = String::from_utf8(rest_of(&client).await).unwrap();
        assert!(refusal.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{refusal}");
        assert!(refusal.contains("\r\nconnection: close\r\n"), "{refusal}");
        drop(client);
        failed(serving.await.unwrap(), ErrorKind::InvalidData, "HTTP");
    });
}

#[test]
fn a_header_that_is_too_large_is_answered_and_closed() {
    run(async {
        let long = format!("x: {}\r\n", "a".repeat(20_000));
        let lines = "x: a\r\n".repeat(20);
        let uri = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
        for (request, http, status, text) in [
            (format!("GET / HTTP/1.1\r\n{long}\r\n"), Http::new().max_header_size(10_000), 431, "too large"),
            (format!("GET / HTTP/1.1\r\n{lines}\r\n"), Http::new().max_headers(10), 431, "too large"),
            (uri, Http::new(), 414, "too long"),
        ] {
            let (serving, mut client) = served(http).await;
            client.write_all(request.as_bytes()).await.unwrap();
            let refusal = answer(&mut client).await.unwrap();
            assert_eq!(refusal.status(), status, "{refusal:?}");
            assert_eq!(rest_of(&client).await, b"");
            drop(client);
            failed(serving.await.unwrap(), ErrorKind::InvalidData, text);
        }
    });
}

/// A connection that counts what is read of it, what had been when it was first written to, and how often it was.
struct Watched {
    stream: TcpStream,
    writes: Arc<AtomicUsize>,
    read: Arc<AtomicUsize>,
    before_answer: Arc<AtomicUsize>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(count)) = result {
            self.read.fetch_add(count, SeqCst);
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, SeqCst);
        let _ = self.before_answer.compare_exchange(0, self.read.load(SeqCst), SeqCst, SeqCst);
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[test]
fn a_header_without_an_end_takes_bounded_memory() {
    run(async {
        for (http, most) in [(Http::new(), 500_000), (Http::new().max_buf_size(8_192), 20_000)] {
            let (stream, client) = pair().await;
            let before_answer = Arc::<AtomicUsize>::default();
            let (read, writes) = (Arc::default(), Arc::default());
            let watched = Watched { stream, writes, read, before_answer: before_answer.clone() };
            let serving =
                spawn(async move { http.serve_stream(watched, &CancelToken::new(), service_fn(hello)).await });
            let (mut reader, mut writer) = client.into_split();
            let flood = spawn(async move {
                writer.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
                loop {
                    writer.write_all(&[b'a'; 10_000]).await?;
                }
            });
            assert_eq!(answer(&mut reader).await.unwrap().status(), 431);
            failed(serving.await.unwrap(), ErrorKind::InvalidData, "too large");
            let error: io::Result<()> = flood.await.unwrap();
            error.expect_err("the server does not listen for ever");
            let read = before_answer.load(SeqCst);
            assert!((8_192..most).contains(&read), "{read} bytes were read");
        }
    });
}

#[test]
fn a_small_answer_is_written_as_one() {
    run(async {
        let (stream, mut client) = pair().await;
        let writes = Arc::<AtomicUsize>::default();
        let (read, before_answer) = (Arc::default(), Arc::default());
        let watched = Watched { stream, writes: writes.clone(), read, before_answer };
        let serving =
            spawn(async move { Http::new().serve_stream(watched, &CancelToken::new(), service_fn(hello)).await });
        for (number, size) in [(1, 5), (2, 1_000), (4, 5_000)] {
            let path = format!("/{}", "a".repeat(size));
            assert_eq!(get(&mut client, &path).await.unwrap().body, path);
            assert_eq!(writes.load(SeqCst), number, "the head and the body, of which the stream takes one at a time");
        }
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

/// Without the wait for the client's end, the close would be a reset, and the answer might not arrive.
#[test]
fn a_client_that_sends_too_much_reads_the_answer_that_says_so() {
    run(async {
        let (server, client) = pair().await;
        let serving = spawn(async move {
            let service = service_fn(async |_: Request<Incoming>| {
                let refusal = Response::builder().status(StatusCode::PAYLOAD_TOO_LARGE);
                Ok::<_, Infallible>(refusal.body("too much".to_owned()).unwrap())
            });
            Http::new().serve_stream(server, &CancelToken::new(), service).await
        });
        let body = vec![b'a'; 8 << 20];
        let (mut reader, mut writer) = client.into_split();
        writer.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8388608\r\n\r\n").await.unwrap();
        writer.write_all(&body).await.expect("the server takes all of it");
        let refusal = answer(&mut reader).await.unwrap();
        assert_eq!((refusal.status(), &*refusal.body), (413, "too much"));
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        drop((reader, writer));
        serving.await.unwrap().unwrap();
    });
}

/// For a second, no matter what it still sends.
#[test]
fn a_client_that_does_not_close_is_not_waited_for_long() {
    in_virtual_time(async {
        let (serving, mut client) = served(Http::new().keep_alive(false)).await;
        let start = time::now();
        get(&mut client, "/").await.unwrap();
        serving.await.unwrap().unwrap();
        assert_eq!(time::now() - start, SECOND);
    });
}

#[test]
fn what_ends_a_connection_has_its_kind() {
    run(async {
        let part = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf";
        for (kind, header_alone) in
            [(ErrorKind::UnexpectedEof, false), (ErrorKind::ConnectionReset, true), (ErrorKind::UnexpectedEof, true)]
        {
            let (server, mut peer) = with_peer().await;
            let count = if header_alone { 20 } else { part.len() };
            io::Write::write_all(&mut peer, &part[..count]).unwrap();
            let service = service_fn(async |request: Request<Incoming>| {
                // The service makes the error of the body its own.
                request.into_body().collect().await.map(|_| Response::new(String::new()))
            });
            let (http, shutdown) = (Http::new(), CancelToken::new());
            let mut serving = pin!(http.serve_stream(server, &shutdown, service));
            assert!(poll!(serving.as_mut()).is_pending());
            if kind == ErrorKind::ConnectionReset {
                reset(peer);
            } else {
                drop(peer);
            }
            assert_eq!(serving.await.unwrap_err().kind(), kind);
        }

        let (server, mut client) = pair().await;
        let service = service_fn(async |_: Request<Incoming>| {
            Err::<Response<String>, _>(io::Error::new(ErrorKind::NotFound, "no such page"))
        });
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let result = Http::new().serve_stream(server, &CancelToken::new(), service).await;
        failed(result, ErrorKind::Other, "no such page");
    });
}

#[test]
fn a_panic_ends_its_connection_and_nothing_else() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (status, addr) = (server.status(), server.listener().local_addr().unwrap());
        let service = service_fn(async |request: Request<Incoming>| {
            assert_ne!(request.uri().path(), "/panic", "on purpose");
            Ok::<_, Infallible>(Response::new("here".to_owned()))
        });
        spawn(async move { Http::new().serve(server, service).await });
        let mut other = TcpStream::connect(addr).await.unwrap();
        assert_eq!(get(&mut other, "/").await.unwrap().body, "here");
        let mut client = TcpStream::connect(addr).await.unwrap();
        get(&mut client, "/panic").await.unwrap_err();
        assert_eq!((status.panicked(), status.active()), (1, 1));
        assert_eq!(get(&mut other, "/").await.unwrap().body, "here");
        assert_eq!(status.errors(), []);
    });
}

#[test]
fn a_server_counts_how_its_connections_end() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (status, addr) = (server.status(), server.listener().local_addr().unwrap());
        spawn(async move { Http::new().serve(server, service_fn(hello)).await });
        for request in ["GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "nonsense\r\n\r\n", "GET / HT"] {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            rest_of(&client).await;
        }
        while status.active() > 0 {
            turns(1).await;
        }
        assert_eq!(status.errors(), [(ErrorKind::InvalidData, 1), (ErrorKind::UnexpectedEof, 1)]);
    });
}

#[test]
fn a_client_that_ends_between_two_requests_costs_no_polls() {
    run(async {
        let (server, mut client) = pair().await;
        let serving = async move { Http::new().serve_stream(server, &CancelToken::new(), service_fn(hello)).await };
        let (serving, polls) = counted(serving);
        let serving = spawn(serving);
        get(&mut client, "/").await.unwrap();
        let before = polls.get();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&client).await, b"");
        serving.await.unwrap().unwrap();
        assert!(polls.get() - before <= 3, "{} polls", polls.get() - before);
    });
}

#[test]
fn a_client_that_has_said_all_is_waited_for_without_polls() {
    run(async {
        let (server, mut client) = pair().await;
        let (finish, finished) = oneshot::channel::<()>();
        let finished = finished.shared();
        let serving = async move {
            let service = service_fn(|request| finished.clone().then(|_| hello(request)));
            Http::new().half_close(true).serve_stream(server, &CancelToken::new(), service).await
        };
        let (serving, polls) = counted(serving);
        let serving = spawn(serving);
        client.write_all(b"GET /late HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        turns(10).await;
        let before = polls.get();
        turns(100).await;
        assert_eq!(polls.get(), before, "it spins");
        finish.send(()).unwrap();
        assert_eq!(answer(&mut client).await.unwrap().body, "/late");
        assert_eq!(rest_of(&client).await, b"");
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_client_that_is_gone_is_noticed_while_the_service_works() {
    run(async {
        let (server, mut client) = pair().await;
        let serving = spawn(async move {
            let service = service_fn(|_| pending::<Result<Response<String>, Infallible>>());
            Http::new().serve_stream(server, &CancelToken::new(), service).await
        });
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        turns(10).await;
        drop(client);
        failed(serving.await.unwrap(), ErrorKind::UnexpectedEof, "closed");
    });
}

/// A body that never ends, and counts what was taken of it.
struct Endless(Rc<Cell<usize>>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.set(self.0.get() + 10_000);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'a'; 10_000])))))
    }
}

#[test]
fn a_client_that_never_reads_takes_bounded_memory_and_is_given_up() {
    in_virtual_time(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap().idle_timeout(10 * SECOND);
        let (status, addr) = (server.status(), server.listener().local_addr().unwrap());
        let taken = Rc::new(Cell::new(0));
        let body = taken.clone();
        let service = service_fn(move |_| {
            let body = Endless(body.clone());
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        spawn(async move { Http::new().serve(server, service).await });
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        time::sleep(5 * SECOND).await;
        assert!(taken.get() > 0);
        time::sleep(6 * SECOND).await;
        assert_eq!((status.timed_out(), status.active()), (1, 0));
        assert!(taken.get() < 16 << 20, "{} bytes are more than the kernel keeps", taken.get());
    });
}

#[test]
fn a_body_that_trickles_is_given_up_in_the_end() {
    in_virtual_time(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server.idle_timeout(10 * SECOND).connection_timeout(60 * SECOND);
        let (status, addr) = (server.status(), server.listener().local_addr().unwrap());
        let service = service_fn(async |request: Request<Incoming>| {
            request.into_body().collect().await.map(|body| Response::new(Full::new(body.to_bytes())))
        });
        spawn(async move { Http::new().serve(server, service).await });
        let start = time::now();
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while status.active() > 0 || status.accepted() == 0 {
            let _ = client.write_all(b"a").await;
            time::sleep(SECOND).await;
        }
        assert_eq!(status.timed_out(), 1);
        let lasted = time::now() - start;
        assert!((60 * SECOND..=61 * SECOND).contains(&lasted), "{lasted:?}");
    });
}

#[test]
fn a_future_that_is_dropped_takes_the_connection_and_the_service_along() {
    run(async {
        let mut is_over = false;
        for polls in 0.. {
            let (server, mut client) = pair().await;
            let held = Rc::new(());
            let service = service_fn(|request| {
                let held = held.clone();
                async {
                    turns(2).await;
                    let answer = hello(request).await;
                    drop(held);
                    answer
                }
            });
            client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
            {
                let (http, shutdown) = (Http::new(), CancelToken::new());
                let mut serving = pin!(http.serve_stream(server, &shutdown, service));
                for _ in 0..polls {
                    is_over = poll!(serving.as_mut()).is_ready();
                    turns(1).await;
                }
            }
            assert_eq!(Rc::strong_count(&held), 1, "after {polls} polls");
            let mut rest = Vec::new();
            // An answer or a reset, but an end.
            let _ = client.read_to_end(&mut rest).await;
            if is_over || rest.ends_with(b"\r\n\r\n/") {
                assert!(polls > 2);
                break;
            }
        }
    });
}

#[test]
fn a_connection_of_http2_that_is_dropped_takes_its_services_along() {
    run(async {
        let (server, client) = pair().await;
        let held = Rc::new(());
        let service = {
            let held = held.clone();
            service_fn(move |_: Request<Incoming>| {
                let held = held.clone();
                async move {
                    pending::<()>().await;
                    drop(held);
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            })
        };
        let serving = spawn(async { Http::new().serve_stream(server, &CancelToken::new(), service).await });
        let (mut sender, connection) =
            client::conn::http2::handshake(PollywogExecutor, PollywogIo::new(client)).await.unwrap();
        let connection = spawn(connection);
        let asked: Vec<_> = (0..3)
            .map(|_| spawn(sender.send_request(Request::get("http://localhost/").body(String::new()).unwrap())))
            .collect();
        // This one, that of the service, and one for each request.
        while Rc::strong_count(&held) < 5 {
            turns(1).await;
        }
        serving.abort();
        turns(10).await;
        assert_eq!(Rc::strong_count(&held), 1);
        for asked in asked {
            asked.await.unwrap().unwrap_err();
        }
        let _ = connection.await.unwrap();
    });
}

/// The preface in parts is the preface all the same.
#[test]
fn http2_shows_in_the_first_bytes_however_they_come() {
    run(async {
        let (serving, mut client) = served(Http::new()).await;
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            client.write_all(&[*byte]).await.unwrap();
            turns(2).await;
        }
        client.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frame = [0; 9];
        client.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "settings come first");
        client.shutdown(Shutdown::Write).unwrap();
        rest_of(&client).await;
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn what_begins_as_http2_and_goes_on_otherwise_is_a_bad_request() {
    run(async {
        for request in [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".as_slice(), b"PR / HTTP/3.7\r\n\r\n"] {
            let (serving, mut client) = served(Http::new()).await;
            let (first, second) = request.split_at(2);
            client.write_all(first).await.unwrap();
            turns(10).await;
            client.write_all(second).await.unwrap();
            assert_eq!(answer(&mut client).await.unwrap().status(), 400);
            drop(client);
            failed(serving.await.unwrap(), ErrorKind::InvalidData, "HTTP");
        }
        let (server, mut client) = pair().await;
        let serving = spawn(async move {
            let method = service_fn(async |request: Request<Incoming>| {
                Ok::<_, Infallible>(Response::new(request.method().to_string()))
            });
            Http::new().serve_stream(server, &CancelToken::new(), method).await
        });
        client.write_all(b"P").await.unwrap();
        turns(10).await;
        client.write_all(b"UT / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut client).await.unwrap().body, "PUT");
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn http2_can_be_refused() {
    run(async {
        let (serving, mut client) = served(Http::new().http1_only()).await;
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        failed(serving.await.unwrap(), ErrorKind::InvalidData, "HTTP");
    });
}

#[test]
fn a_client_of_http2_that_does_not_answer_is_given_up() {
    in_virtual_time(async {
        let start = time::now();
        let (serving, mut client) = served(Http::new()).await;
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        failed(serving.await.unwrap(), ErrorKind::TimedOut, "");
        assert_eq!(time::now() - start, 50 * SECOND);
    });
}

/// Two parts, with a pause between them.
struct Slow(Option<Pin<Box<time::Sleep>>>, Vec<Bytes>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.1.len() == 1 {
            let pause = self.0.get_or_insert_with(|| Box::pin(time::sleep(20 * SECOND)));
            std::task::ready!(pause.as_mut().poll(cx));
        }
        Poll::Ready(self.1.pop().map(Frame::data).map(Ok))
    }

    /// With the last part, so that hyper drops it then.
    fn is_end_stream(&self) -> bool {
        self.1.is_empty()
    }
}

#[test]
fn an_answer_that_takes_its_time_makes_nobody_late() {
    in_virtual_time(async {
        let (server, mut client) = pair().await;
        let serving = spawn(async move {
            let service = service_fn(async |_: Request<Incoming>| {
                time::sleep(20 * SECOND).await;
                // More than the kernel keeps, and handed to hyper at once: nothing of it waits here.
                let rest = Bytes::from(vec![b'b'; 16 << 20]);
                Ok::<_, Infallible>(Response::new(Slow(None, vec![rest, Bytes::from_static(b"a")])))
            });
            Http::new().header_read_timeout(5 * SECOND).serve_stream(server, &CancelToken::new(), service).await
        });
        let start = time::now();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        time::sleep(60 * SECOND).await;
        let received = rest_of(&client).await;
        assert!(received.ends_with(b"bbb") && received.len() > 16 << 20, "{} bytes", received.len());
        drop(client);
        serving.await.unwrap().unwrap();
        assert_eq!(time::now() - start, 60 * SECOND);
    });
}

#[test]
fn the_time_for_a_header_begins_with_the_end_of_the_answer_before() {
    in_virtual_time(async {
        let (serving, mut client) = served(Http::new().header_read_timeout(5 * SECOND)).await;
        let start = time::now();
        for second in [0, 4, 8, 10] {
            time::sleep_until(start + second * SECOND).await;
            let hold = time::hold();
            get(&mut client, "/").await.unwrap();
            client.write_all(b"GET").await.unwrap();
            client.write_all(b" / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            answer(&mut client).await.unwrap();
            drop(hold);
        }
        client.write_all(b"GE").await.unwrap();
        failed(serving.await.unwrap(), ErrorKind::TimedOut, "header");
        assert_eq!(time::now() - start, 15 * SECOND);
    });
}

/// The task that polls it may be another one the next time.
#[test]
fn who_polls_a_connection_last_is_woken_when_it_is_late() {
    in_virtual_time(async {
        let (server, mut client) = pair().await;
        let start = time::now();
        let mut serving = Box::pin(async move {
            let (http, shutdown) = (Http::new().header_read_timeout(5 * SECOND), CancelToken::new());
            http.serve_stream(server, &shutdown, service_fn(hello)).await
        });
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(poll!(serving.as_mut()).is_pending());
        // Whatever the reactor has to tell of it is told to this task; the other's first poll is one with a request.
        turns(10).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGE").await.unwrap();
        turns(10).await;
        failed(spawn(serving).await.unwrap(), ErrorKind::TimedOut, "header");
        assert_eq!(time::now() - start, 5 * SECOND);
    });
}
