//! HTTP when the server ends: no request that was sent in time is lost.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, Stream};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client};
use pollywog_net::cancel::CancelToken;
use pollywog_net::http::Http;
use pollywog_net::hyper::{PollywogExecutor, PollywogIo, PollywogTimer};
use pollywog_net::server::Server;
use pollywog_net::{JoinHandle, TcpStream, spawn, time};
use pollywog_tests::http::{answer, get, in_virtual_time};
use pollywog_tests::net::{pair, rest_of, run, turns};

const SECOND: Duration = Duration::from_secs(1);
const QUESTION: &[u8] = b"GET /question HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Says where it was asked.
async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.uri().path().to_owned()))
}

/// Serves `hello`, each answer when `finish` says so.
async fn held(http: Http, shutdown: &CancelToken) -> (JoinHandle<io::Result<()>>, TcpStream, oneshot::Sender<()>) {
    let (server, client) = pair().await;
    let (finish, finished) = oneshot::channel();
    let (finished, shutdown) = (finished.shared(), shutdown.clone());
    let serving = async move {
        let service = service_fn(|request| finished.clone().then(|_| hello(request)));
        http.serve_stream(server, &shutdown, service).await
    };
    (spawn(serving), client, finish)
}

/// As [`held`], and nothing holds the answers.
async fn served(http: Http, shutdown: &CancelToken) -> (JoinHandle<io::Result<()>>, TcpStream) {
    let (serving, client, finish) = held(http, shutdown).await;
    finish.send(()).unwrap();
    (serving, client)
}

#[test]
fn a_request_under_way_is_answered_and_the_answer_says_that_it_is_the_last() {
    run(async {
        let shutdown = CancelToken::new();
        let (serving, mut client, finish) = held(Http::new(), &shutdown).await;
        client.write_all(QUESTION).await.unwrap();
        turns(10).await;
        shutdown.cancel();
        turns(10).await;
        finish.send(()).unwrap();
        let answer = answer(&mut client).await.unwrap();
        assert_eq!((&*answer.body, answer.closes()), ("/question", true));
        assert_eq!(rest_of(&client).await, b"");
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_request_that_is_on_its_way_when_the_shutdown_begins_is_answered() {
    in_virtual_time(async {
        for idle in [4 * SECOND, Duration::ZERO] {
            let shutdown = CancelToken::new();
            let (serving, mut client) = served(Http::new(), &shutdown).await;
            assert!(!get(&mut client, "/before").await.unwrap().closes());
            shutdown.cancel();
            time::sleep(idle).await;
            let answer = get(&mut client, "/after").await.unwrap();
            assert_eq!((&*answer.body, answer.closes()), ("/after", true));
            assert_eq!(rest_of(&client).await, b"");
            drop(client);
            serving.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_client_that_has_asked_for_nothing_yet_may_still_ask() {
    run(async {
        let shutdown = CancelToken::new();
        shutdown.cancel();
        let (serving, mut client) = served(Http::new(), &shutdown).await;
        turns(10).await;
        let answer = get(&mut client, "/first").await.unwrap();
        assert_eq!((&*answer.body, answer.closes()), ("/first", true));
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn an_idle_connection_closes_at_the_end_of_the_grace() {
    in_virtual_time(async {
        for (http, grace) in [(Http::new(), 5 * SECOND), (Http::new().keep_alive_grace(SECOND), SECOND)] {
            for asks_first in [true, false] {
                let shutdown = CancelToken::new();
                let (serving, mut client) = served(http.clone(), &shutdown).await;
                if asks_first {
                    get(&mut client, "/").await.unwrap();
                }
                time::sleep(2 * SECOND).await;
                shutdown.cancel();
                let start = time::now();
                assert_eq!(rest_of(&client).await, b"");
                assert_eq!(time::now() - start, grace);
                drop(client);
                serving.await.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_request_that_is_longer_under_way_than_the_grace_is_answered() {
    in_virtual_time(async {
        let shutdown = CancelToken::new();
        let (serving, mut client, finish) = held(Http::new(), &shutdown).await;
        client.write_all(QUESTION).await.unwrap();
        turns(10).await;
        shutdown.cancel();
        time::sleep(20 * SECOND).await;
        finish.send(()).unwrap();
        let answer = answer(&mut client).await.unwrap();
        assert_eq!((&*answer.body, answer.closes()), ("/question", true));
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

/// A body that comes in parts, from elsewhere.
struct Parts(mpsc::UnboundedReceiver<&'static str>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_next(cx).map(|part| part.map(|part| Ok(Frame::data(part.into()))))
    }
}

/// It did not say that it was the last, so the client may have sent the next request already.
#[test]
fn a_request_behind_an_answer_that_had_begun_is_answered() {
    run(async {
        let (server, mut client) = pair().await;
        let (parts, body) = mpsc::unbounded();
        let body = std::cell::Cell::new(Some(body));
        let shutdown = CancelToken::new();
        let token = shutdown.clone();
        let serving = spawn(async move {
            let service = service_fn(|_| {
                let body = body.take().unwrap_or_else(|| mpsc::unbounded().1);
                async { Ok::<_, Infallible>(Response::new(Parts(body))) }
            });
            Http::new().serve_stream(server, &token, service).await
        });
        client.write_all(QUESTION).await.unwrap();
        parts.unbounded_send("one").unwrap();
        let begun = answer(&mut client).await.unwrap();
        assert!(!begun.closes());
        shutdown.cancel();
        turns(10).await;
        parts.unbounded_send("two").unwrap();
        drop(parts);
        let mut chunks = [0; "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n".len()];
        client.read_exact(&mut chunks).await.unwrap();
        assert!(chunks.ends_with(b"3\r\ntwo\r\n0\r\n\r\n"), "{chunks:?}");
        assert!(get(&mut client, "/").await.unwrap().closes());
        drop(client);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn an_upgrade_during_the_shutdown_is_one() {
    run(async {
        let (server, mut client) = pair().await;
        let (shutdown, upgrade) = (CancelToken::new(), std::cell::Cell::new(None));
        shutdown.cancel();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            .await
            .unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            upgrade.set(Some(hyper::upgrade::on(request)));
            let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            async { switching.header("connection", "upgrade").header("upgrade", "x").body(String::new()) }
        });
        Http::new().serve_stream(server, &shutdown, service).await.unwrap();
        let answer = answer(&mut client).await.unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (101, Some("upgrade")));
        let mut upgraded = PollywogIo::new(upgrade.take().unwrap().await.unwrap());
        client.write_all(b"no more HTTP").await.unwrap();
        let mut text = [0; 12];
        upgraded.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"no more HTTP");
    });
}

#[test]
fn the_grace_leaves_room_for_the_deadline_of_the_server() {
    in_virtual_time(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap().drain_timeout(4 * SECOND);
        let addr = server.listener().local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = spawn(async { Http::new().serve_until(server, service_fn(hello), stopped).await });
        let mut client = TcpStream::connect(addr).await.unwrap();
        get(&mut client, "/").await.unwrap();
        let start = time::now();
        stop.send(()).unwrap();
        assert_eq!(rest_of(&client).await, b"");
        drop(client);
        assert!(serving.await.unwrap().unwrap().is_complete());
        assert_eq!(time::now() - start, 2 * SECOND);
    });
}

#[test]
fn http2_is_told_at_once_and_what_was_asked_is_answered() {
    run(async {
        let shutdown = CancelToken::new();
        let (serving, stream, finish) = held(Http::new(), &shutdown).await;
        let mut builder = client::conn::http2::Builder::new(PollywogExecutor);
        let (mut sender, connection) = builder.timer(PollywogTimer).handshake(PollywogIo::new(stream)).await.unwrap();
        let connection = spawn(connection);
        let ask = |path| Request::get(path).body(Empty::<Bytes>::new()).unwrap();
        let first = spawn(sender.send_request(ask("http://localhost/first")));
        turns(20).await;
        shutdown.cancel();
        turns(20).await;
        let refused = sender.send_request(ask("http://localhost/second")).await;
        refused.expect_err("the client has been told, and asks for nothing more here");
        finish.send(()).unwrap();
        let answer = first.await.unwrap().unwrap();
        assert_eq!(answer.headers().get("connection"), None);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "/first");
        connection.await.unwrap().unwrap();
        serving.await.unwrap().unwrap();
    });
}

/// The task that polls it may be another one the next time.
#[test]
fn who_polls_a_connection_last_is_told_of_the_shutdown() {
    in_virtual_time(async {
        let (server, client) = pair().await;
        let shutdown = CancelToken::new();
        let token = shutdown.clone();
        let mut serving = Box::pin(async move { Http::new().serve_stream(server, &token, service_fn(hello)).await });
        assert!(futures::poll!(serving.as_mut()).is_pending());
        let serving = spawn(serving);
        turns(10).await;
        let start = time::now();
        shutdown.cancel();
        assert_eq!(rest_of(&client).await, b"");
        assert_eq!(time::now() - start, 5 * SECOND);
        drop(client);
        serving.await.unwrap().unwrap();
    });
}
