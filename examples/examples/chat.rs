//! Rooms in which everybody reads what the others write, on one node or on several.
//!
//! ```text
//! cargo run --release --example chat
//! nc 127.0.0.1 7008                        # in two terminals: first a name, then lines; /who, /join ROOM, /quit
//! ```
//!
//! Several nodes share their rooms through a Redis:
//!
//! ```text
//! redis-server --save ''
//! cargo run --release --example chat -- --redis 127.0.0.1:6379 --node north
//! cargo run --release --example chat -- --redis 127.0.0.1:6379 --node south --addr 127.0.0.1:7018
//! nc 127.0.0.1 7008
//! nc 127.0.0.1 7018                        # bob at the other node is bob@south
//! redis-cli psubscribe 'chat:*'            # what the nodes tell each other
//! ```
//!
//! What to look at: the hall is a few `RefCell`s behind an `Rc`, since all tasks run on one thread and no lock is needed.
//! Each member has a queue that holds 64 lines. Saying something never waits: who reads too slowly misses lines, is told
//! how many, and holds nobody up. Members may be silent for as long as they like, so it is the system that finds out who
//! is gone without a word (TCP's keepalive); who gives no name is let go after a minute.
//!
//! What one process cannot hold is shared by an engine that exists: Redis's PUBLISH and SUBSCRIBE. With `--redis` every
//! line goes through it, also to members of the same node, so that all read them in one order; the node listens to the
//! rooms that have members on it. End Redis, talk, and start it again: a node without it serves its own members, tells
//! them so, and tells who said a line that others may have missed it.
//! What that does not give: nobody is told who was at a node that was killed, and a node that was out of reach does not
//! hear later what was said meanwhile.

use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use pollywog_examples::chat::{Bridge, Hall, Link, attend, is_word};
use pollywog_examples::redis::Place;
use pollywog_examples::{address, at_least_one, interrupted, listen, say, seconds};
use pollywog_net::server::Server;

/// How long members may take to read the last lines when the node ends.
const DRAIN: Duration = Duration::from_secs(2);

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let node = options.node.unwrap_or_else(|| std::process::id().to_string());
    let hall = Rc::new(Hall::new(options.redis.is_some().then(|| Bridge::new(node))));
    let link = match options.redis {
        Some(redis) => Some(Link::open(hall.clone(), redis).await),
        None => None,
    };
    let server = Server::new(listen(&options.addr).await?);
    let server = server.max_connections(options.max_connections).drain_timeout(DRAIN);
    let ended = async {
        interrupted.await;
        hall.end().await;
    };
    server.serve_until(ended, |connection| attend(connection, hall.clone(), options.name_timeout)).await?;
    if let Some(link) = link {
        link.close().await;
    }
    say("the room is closed");
    Ok(())
}

/// Chat rooms, until Ctrl-C.
#[derive(Parser)]
#[command(name = "chat", after_help = "Try it: `nc 127.0.0.1 7008` in two terminals. The first line is your name.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7008", value_parser = address)]
    addr: String,

    /// How many connections are served at once; others wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    max_connections: usize,

    /// How long somebody may take to give a name
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    name_timeout: Duration,

    /// Share the rooms with the other nodes at this Redis: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    redis: Option<Place>,

    /// What other nodes call this one; the number of its process unless given
    #[arg(long, value_name = "NAME", requires = "redis", value_parser = node)]
    node: Option<String>,
}

fn node(text: &str) -> Result<String, &'static str> {
    if is_word(text) { Ok(text.to_owned()) } else { Err("a node's name is one word of at most 24 bytes") }
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
