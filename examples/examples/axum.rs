//! An axum application, served here: routes, extractors, JSON and state, without tokio's runtime.
//!
//! ```text
//! cargo run --release --example axum
//! curl 'http://127.0.0.1:8080/greet/you?times=2'
//! curl --json '{"text": "buy milk"}' http://127.0.0.1:8080/notes
//! curl http://127.0.0.1:8080/notes/0
//! ```
//!
//! What to look at: a `Router` is a service of `tower`, `TowerToHyperService` makes it one of hyper, and `Http` serves it;
//! that is all. axum's own `serve` needs tokio's sockets and is left out (`default-features = false`), and so are the
//! extractors that need it. axum wants handlers and state that are `Send`, though everything runs on one thread here. A
//! handler may use whatever runs on Pollywog: `/slow` sleeps by its timer.

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use hyper_util::service::TowerToHyperService;
use pollywog_examples::{address, interrupted, listen, say, warn};
use pollywog_net::http::Http;
use pollywog_net::server::Server;
use pollywog_net::time::{sleep, timeout};
use serde::{Deserialize, Serialize};

/// More wait in the queue of the system.
const CONNECTIONS: usize = 1_000;
/// How long a connection may stand still.
const IDLE: Duration = Duration::from_secs(60);
/// As many as are kept.
const NOTES: usize = 10_000;
/// Bytes of a note as JSON. axum by itself takes two megabytes, and of notes like that these would be twenty gigabytes.
const LONGEST: usize = 4_096;

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// All handlers have the same one.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Note>>>);

impl Notes {
    fn with<R>(&self, use_it: impl FnOnce(&mut Vec<Note>) -> R) -> R {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Deserialize)]
struct Greeting {
    #[serde(default = "once")]
    times: u8,
}

fn once() -> u8 {
    1
}

async fn greet(Path(name): Path<String>, Query(greeting): Query<Greeting>) -> String {
    format!("hello, {name}\n").repeat(greeting.times.into())
}

async fn list(State(notes): State<Notes>) -> Json<Vec<Note>> {
    Json(notes.with(|notes| notes.clone()))
}

async fn add(State(notes): State<Notes>, Json(note): Json<Note>) -> Result<(StatusCode, Json<usize>), StatusCode> {
    notes.with(|notes| {
        if notes.len() == NOTES {
            return Err(StatusCode::INSUFFICIENT_STORAGE);
        }
        notes.push(note);
        Ok((StatusCode::CREATED, Json(notes.len() - 1)))
    })
}

async fn read(State(notes): State<Notes>, Path(number): Path<usize>) -> Result<Json<Note>, StatusCode> {
    notes.with(|notes| notes.get(number).cloned()).map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Takes as many milliseconds as it is asked for, a second at most.
async fn slow(Path(milliseconds): Path<u64>, route: MatchedPath) -> Result<String, StatusCode> {
    let work = sleep(Duration::from_millis(milliseconds));
    let done = timeout(Duration::from_secs(1), work).await;
    done.map(|()| format!("{} is done\n", route.as_str())).map_err(|_| StatusCode::GATEWAY_TIMEOUT)
}

fn application() -> Router {
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/greet/{name}", get(greet))
        .route("/notes", get(list).post(add))
        .route("/notes/{number}", get(read))
        .route("/slow/{milliseconds}", get(slow))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(Notes::default())
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let server = Server::new(listen(&options.addr).await?).max_connections(CONNECTIONS).idle_timeout(IDLE);
    let status = server.status();
    let service = TowerToHyperService::new(application());
    let drained = Http::new().serve_until(server, service, interrupted).await?;
    for left in drained.left() {
        warn(format_args!("{} was cut off after {:?}", left.peer, left.age));
    }
    say(format_args!("served {} connections", status.accepted()));
    Ok(())
}

/// Serves an axum application over HTTP/1 and HTTP/2, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(name = "axum", after_help = "Try it: `curl http://127.0.0.1:8080/greet/you`.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    addr: String,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
