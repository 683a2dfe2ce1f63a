//! An HTTP server: a page, files, a JSON status, an echo, health checks, and an end that loses no request.
//!
//! ```text
//! cargo run --release --example http -- --root .
//! curl http://127.0.0.1:8080/
//! curl --range 0-99 http://127.0.0.1:8080/files/README.md
//! curl --data hello http://127.0.0.1:8080/echo
//! curl --http2-prior-knowledge http://127.0.0.1:8080/status
//! ```
//!
//! What to look at: HTTP/1 and HTTP/2 are hyper's, on connections of `pollywog_net::server`, so the limits here are those
//! of the server: how many, how long idle, how long for a header. What is to be sent back has a limit of its own: a client
//! that sends a byte now and then is never idle. A large file is read in chunks by the blocking pool, each when the client
//! has taken the one before: `curl --limit-rate 1M` downloads it, and the program stays small. One connection of HTTP/2
//! may ask for a lot at once, so what a request holds, a file or a megabyte to send back, is counted over all connections,
//! and who comes when all is taken gets a 503. Ctrl-C, or SIGTERM, ends it
//! in order: `/ready` says 503 so that a load balancer looks elsewhere, requests under way are answered, idle connections
//! have a moment for a last one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use pollywog_examples::{
    Files, HttpBody, address, at_least_one, busy, full, interrupted, json, listen, say, seconds, text, warn,
};
use pollywog_net::http::Http;
use pollywog_net::server::{Server, Status};
use pollywog_net::time::timeout;
use serde::Serialize;

/// The most that is sent back, and how often at once.
const ECHO: usize = 1 << 20;
const ECHOES: usize = 64;
/// The most requests that one connection of HTTP/2 may have under way.
const STREAMS: u32 = 32;

/// What the service knows.
struct Site {
    files: Option<Files>,
    status: Status,
    echoes: Arc<Semaphore>,
    body_timeout: Duration,
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<HttpBody> {
        if !names_its_host(&request) {
            return text(StatusCode::BAD_REQUEST, "a request has one Host, and it is one");
        }
        let path = request.uri().path();
        let (allowed, is_allowed) = match (path, request.method()) {
            ("/echo", method) => ("POST", method == Method::POST),
            (_, method) => ("GET, HEAD", method == Method::GET || method == Method::HEAD),
        };
        if !is_allowed {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "not here");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return refusal;
        }
        match path {
            "/" => text(StatusCode::OK, "hello"),
            "/echo" => {
                let Some(place) = self.echoes.try_acquire_arc() else { return busy("too much is being sent back") };
                let echoed = timeout(self.body_timeout, echo(request.into_body(), place)).await;
                echoed.unwrap_or_else(|_| text(StatusCode::REQUEST_TIMEOUT, "that took too long"))
            }
            "/status" => json(&State::from(&self.status)),
            "/health" => text(StatusCode::OK, "alive"),
            "/ready" if self.status.is_draining() => text(StatusCode::SERVICE_UNAVAILABLE, "going"),
            "/ready" => text(StatusCode::OK, "ready"),
            _ => match (&self.files, path.strip_prefix("/files/")) {
                (Some(files), Some(name)) => files.answer(request.method(), name, request.headers()).await,
                _ => text(StatusCode::NOT_FOUND, "there is no such page"),
            },
        }
    }
}

/// Whether it says once for which host it is (RFC 9112, section 3.2). One of HTTP/1.0 need not, and one of HTTP/2 says it
/// elsewhere.
fn names_its_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        (Some(host), None) => host.is_empty() || Authority::try_from(host.as_bytes()).is_ok(),
        _ => false,
    }
}

/// What is sent back, and its place among the echoes: however long it waits to be taken, it has both.
struct Echoed {
    bytes: Bytes,
    _place: SemaphoreGuardArc,
}

impl AsRef<[u8]> for Echoed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

async fn echo(body: Incoming, place: SemaphoreGuardArc) -> Response<HttpBody> {
    let too_much = || text(StatusCode::PAYLOAD_TOO_LARGE, &format!("{ECHO} bytes are the most"));
    if body.size_hint().lower() > ECHO as u64 {
        return too_much();
    }
    match Limited::new(body, ECHO).collect().await {
        Ok(body) => Response::new(full(Bytes::from_owner(Echoed { bytes: body.to_bytes(), _place: place }))),
        Err(error) if error.is::<LengthLimitError>() => too_much(),
        Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// The server's status, as JSON has it.
#[derive(Serialize)]
struct State {
    accepted: u64,
    active: u64,
    rejected: u64,
    timed_out: u64,
    panicked: u64,
    errors: BTreeMap<String, u64>,
    draining: bool,
}

impl From<&Status> for State {
    fn from(status: &Status) -> Self {
        Self {
            accepted: status.accepted(),
            active: status.active(),
            rejected: status.rejected(),
            timed_out: status.timed_out(),
            panicked: status.panicked(),
            errors: status.errors().into_iter().map(|(kind, count)| (format!("{kind:?}"), count)).collect(),
            draining: status.is_draining(),
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let files = options.root.as_deref().map(Files::new).transpose()?;
    let interrupted = interrupted()?;
    let server = Server::new(listen(&options.addr).await?)
        .max_connections(options.max_connections)
        .idle_timeout(options.idle_timeout)
        .connection_timeout(options.connection_timeout)
        .drain_delay(options.drain_delay)
        .drain_timeout(options.drain_timeout);
    let status = server.status();
    let site = Rc::new(Site {
        files,
        status: status.clone(),
        echoes: Arc::new(Semaphore::new(ECHOES)),
        body_timeout: options.body_timeout,
    });
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let http = Http::new().header_read_timeout(options.header_timeout).max_concurrent_streams(STREAMS);
    let drained = http.serve_until(server, service, interrupted).await?;
    for left in drained.left() {
        warn(format_args!("{} was cut off after {:?}", left.peer, left.age));
    }
    say(format_args!("served {} connections", status.accepted()));
    Ok(())
}

/// Serves a page, files, a status and an echo over HTTP/1 and HTTP/2, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(name = "http", after_help = "Try it: `curl http://127.0.0.1:8080/status`.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    addr: String,

    /// The folder whose files are at /files/ [default: none]
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,

    /// How many connections at once; further ones wait
    #[arg(long, value_name = "NUMBER", default_value = "10000", value_parser = at_least_one)]
    max_connections: usize,

    /// How long a connection may stand still
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle_timeout: Duration,

    /// How long a connection may last, also if something moves on it all the time
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    connection_timeout: Duration,

    /// How long the header of a request may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    header_timeout: Duration,

    /// How long what is to be sent back may take to come
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    body_timeout: Duration,

    /// How long it goes on after the signal, for load balancers to notice that /ready says no
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    drain_delay: Duration,

    /// How long requests under way have at the end
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    drain_timeout: Duration,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
