//! HTTP/1 and HTTP/2 on our connections (feature `http`): hyper's servers, with timeouts that are on, and a shutdown that
//! loses no request.
//!
//! [`Http`] holds the settings, and serves what a [`Server`](crate::server::Server) accepts. A service is what hyper calls
//! one: `hyper::service::service_fn`, or anything of `tower`, such as an axum `Router`, inside
//! `hyper_util::service::TowerToHyperService`. It stays on the thread, so it may hold an `Rc`.
//! Which version a client speaks shows in its first bytes.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::convert::Infallible;
//!
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use hyper::{Request, Response, body::Incoming, service::service_fn};
//! use pollywog_net::{TcpStream, http::Http, server::Server, spawn};
//!
//! async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new(format!("hello from {}\n", request.uri().path())))
//! }
//!
//! pollywog_net::run(async {
//!     let server = Server::bind("127.0.0.1:0").await?;
//!     let addr = server.listener().local_addr()?;
//!     let (stop, stopped) = futures::channel::oneshot::channel::<()>();
//!     let serving = spawn(async { Http::new().serve_until(server, service_fn(hello), stopped).await });
//!
//!     let mut client = TcpStream::connect(addr).await?;
//!     client.write_all(b"GET /here HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer).await?;
//!     assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello from /here\n"));
//!     drop((client, stop));
//!     assert!(serving.await??.is_complete());
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # Draining
//!
//! An HTTP/1 connection that is idle when the shutdown begins may have a request on its way, which closing would lose.
//! So it stays for [`keep_alive_grace`](Http::keep_alive_grace), and then closes. Every answer that begins after the
//! shutdown says `connection: close`, and the connection closes behind it; an answer that had begun before is finished
//! first, and then the connection is as good as idle. HTTP/2 has a word of its own for this (GOAWAY), which is said at
//! once.
//!
//! After the last answer the connection is closed in two steps: it is shut down for writing, and what still comes is
//! read and thrown away, for a second at most. Closed at once, it would be reset when a client sends more than was
//! read, a body that is too large for instance, and the client might never see the answer that says so.
//!
//! # Who is slow
//!
//! A client of HTTP/1 that does not finish the header of a request, or does not begin one, is given up after
//! [`header_read_timeout`](Http::header_read_timeout). One of HTTP/2 is given up when it does not answer a
//! [ping](Http::ping_interval), which it cannot do in the middle of a header; one that answers, and asks for nothing, stays.
//! The service is not timed: put a [`timeout`](crate::time::timeout) into it. Clients that send a body or read an answer
//! too slowly are the business of the limits of the server: the [total](crate::server::Server::connection_timeout), since
//! a byte now and then is enough not to be [idle](crate::server::Server::idle_timeout).
//!
//! One client of HTTP/2 may have [200 requests](Http::max_concurrent_streams) under way, and answer pings for as long as it
//! likes. What a request holds meanwhile, a file or the body that came, it holds so many times: count it over all
//! connections (with a semaphore), and refuse what is too much.
//!
//! # Errors
//!
//! What ended a connection comes as an `io::Error`, whose text names the causes, and whose kind is
//!
//! | kind | when |
//! |---|---|
//! | `TimedOut` | a header did not come in time, or a client of HTTP/2 did not answer a ping |
//! | `InvalidData` | what came is no request, or its header is too large; the client was told so with a 400, 414 or 431 |
//! | `UnexpectedEof` | the client was gone before it had its answer |
//! | `ConnectionReset`, `BrokenPipe` … | that of the stream |
//! | `Other` | an error of the service or of its body, or a client of HTTP/2 that breaks its rules |
//!
//! An error that the service got from the body of a request, and gives back, has the kind of what became of the client.
//!
//! A client that closes between two requests, or asks for nothing more in time, is no error. An error of the service
//! closes the connection without an answer: answer with a 500 instead. A panic of the service goes to whoever polls an
//! HTTP/1 connection, so it ends the task of that connection. In HTTP/2, each request is a task, so it ends that request.

mod answer;
mod error;
mod serve;
mod server;
mod stream;
mod waiting;

use std::time::Duration;

use ::hyper::server::conn::{http1, http2};

use crate::hyper::{PollywogExecutor, PollywogTimer};

/// How HTTP is served: the settings, which any number of connections share.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pollywog_net::http::Http;
///
/// let http = Http::new().header_read_timeout(Duration::from_secs(5)).max_headers(32);
/// # drop(http);
/// ```
#[derive(Debug, Clone)]
pub struct Http {
    http1: http1::Builder,
    http2: http2::Builder<PollywogExecutor>,
    http1_only: bool,
    header_read_timeout: Option<Duration>,
    keep_alive_grace: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// HTTP/1 and HTTP/2, and 30 seconds for a header.
    pub fn new() -> Self {
        let mut http1 = http1::Builder::new();
        // Ours is cheaper.
        http1.timer(PollywogTimer).header_read_timeout(None);
        let mut http2 = http2::Builder::new(PollywogExecutor);
        http2.timer(PollywogTimer);
        http2.keep_alive_interval(Duration::from_secs(30));
        Self {
            http1,
            http2,
            http1_only: false,
            header_read_timeout: Some(Duration::from_secs(30)),
            keep_alive_grace: Duration::from_secs(5),
        }
    }

    /// How long the header of a request of HTTP/1 may take: 30 seconds at first. The time begins with the connection, and
    /// after that with the end of the answer before, so an idle connection is kept for so long, and for a second more where
    /// the end cannot be told at once. `None` is no limit.
    ///
    /// So what is still to come of the body of a request that is answered has to come in that time, too: a service that
    /// leaves a large one to a task of its own should answer when that is done.
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.header_read_timeout = timeout.into();
        self
    }

    /// How often a client of HTTP/2 is asked whether it is there: every 30 seconds at first. One that says nothing for 20
    /// more is given up. `None` asks nobody.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.http2.keep_alive_interval(interval);
        self
    }

    /// Whether a connection of HTTP/1 serves one request after the other, as it does at first.
    pub fn keep_alive(mut self, keep_alive: bool) -> Self {
        self.http1.keep_alive(keep_alive);
        self
    }

    /// How long an idle connection of HTTP/1 is kept when the server drains: 5 seconds at first. It should be more than a
    /// round trip, and has to be less than the deadline of the shutdown.
    pub fn keep_alive_grace(mut self, grace: Duration) -> Self {
        self.keep_alive_grace = grace;
        self
    }

    /// Whether a client may end what it sends and still get its answers. At first it may not: its end is taken for its
    /// disappearance, and the service's future is dropped. With `true` the disappearance shows when the answer is
    /// written.
    pub fn half_close(mut self, half_close: bool) -> Self {
        self.http1.half_close(half_close);
        self
    }

    /// The most headers a request of HTTP/1 may have: 100 at first. More are answered with a 431.
    ///
    /// A number that is set costs a little: hyper allocates the room for each request.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.http1.max_headers(count);
        self
    }

    /// The most bytes that the header of a request may have: about 400 KiB at first for HTTP/1, and 16 KiB for HTTP/2,
    /// beyond 4 GiB no limit. More are answered with a 431.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.http1.max_header_size(bytes);
        self.http2.max_header_list_size(u32::try_from(bytes).unwrap_or(u32::MAX));
        self
    }

    /// The most bytes that are read ahead of a service of HTTP/1, or written ahead of a slow client: about 400 KiB at first.
    ///
    /// # Panics
    ///
    /// When it is less than 8,192.
    pub fn max_buf_size(mut self, bytes: usize) -> Self {
        self.http1.max_buf_size(bytes);
        self
    }

    /// The most requests that a client of HTTP/2 may have under way: 200 at first.
    pub fn max_concurrent_streams(mut self, count: u32) -> Self {
        self.http2.max_concurrent_streams(count);
        self
    }

    /// Serves HTTP/1 alone. A client that begins with HTTP/2 is closed, with `InvalidData`.
    pub fn http1_only(mut self) -> Self {
        self.http1_only = true;
        self
    }
}
