//! A chat in the browser: the page and its WebSocket on one port.
//!
//! ```text
//! cargo run --release --example websocket
//! xdg-open http://127.0.0.1:7010/          # in two windows
//! ```
//!
//! What to look at: hyper answers the page, and hands over the connection that asks for a WebSocket; the handler of the
//! server goes on with it, so that its limits, its shutdown and its count hold for members too. async-tungstenite takes
//! the stream as it is. A member who reads too slowly misses messages and is told how many; one who does not answer a
//! ping is closed; nobody holds up the others. Stop the server and start it again: every page hears that it goes (1001),
//! and comes back by itself.
//!
//! | file | what it holds |
//! |---|---|
//! | `site.rs` | HTTP: the page, and who may open a WebSocket |
//! | `member.rs` | one member's WebSocket from its first message to its close frame |
//! | `room.rs` | who is here, and what they are told |
//! | `page.html`, `page.css`, `page.js` | the page |

mod member;
mod room;
mod site;

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use pollywog_examples::{address, interrupted, listen, say, summary};
use pollywog_net::http::Http;
use pollywog_net::hyper::PollywogIo;
use pollywog_net::server::{Connection, Server};

use self::room::Room;

/// More wait in the queue of the system.
const CONNECTIONS: usize = 1_000;
/// How long a browser may keep a connection open that it does not use, when the server ends.
const GRACE: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Chat {
    http: Http,
    room: Room,
    ping: Duration,
}

async fn attend(connection: Connection, chat: Chat) -> io::Result<()> {
    let shutdown = connection.shutdown_token().clone();
    let upgrade = Cell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let answer = site::answer(request, &upgrade);
        async { Ok::<_, Infallible>(answer) }
    });
    chat.http.serve_connection(connection, service).await?;
    let Some(upgrade) = upgrade.take() else { return Ok(()) };
    let stream = upgrade.await.map_err(io::Error::other)?;
    member::attend(PollywogIo::new(stream), &chat.room, chat.ping, &shutdown).await
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let room = Room::default();
    let http = Http::new().http1_only().keep_alive_grace(GRACE);
    let chat = Chat { http, room: room.clone(), ping: Duration::from_millis(options.ping) };
    // A member is never idle: there are pings.
    let idle = Duration::from_millis(options.idle_timeout).max(3 * chat.ping);
    let server = Server::new(listen(&options.addr).await?).max_connections(CONNECTIONS);
    let server = server.idle_timeout(idle).drain_timeout(DRAIN);
    let status = server.status();
    let stop = async {
        interrupted.await;
        room.close();
    };
    server.serve_until(stop, |connection| attend(connection, chat.clone())).await?;
    say(summary(&status));
    Ok(())
}

/// A chat for browsers, until Ctrl-C.
#[derive(Parser)]
#[command(name = "websocket", after_help = "Try it: open http://127.0.0.1:7010/ in two windows.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7010", value_parser = address)]
    addr: String,

    /// How often a member is asked for an answer, in milliseconds; two without one are the end
    #[arg(long, value_name = "MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    ping: u64,

    /// How long a connection may stand still, in milliseconds; three times the time between pings at least
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    idle_timeout: u64,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
