//! Passes connections on to another server, in both directions at once.
//!
//! ```text
//! cargo run --release --example echo
//! cargo run --release --example proxy -- --to 127.0.0.1:7007
//! nc 127.0.0.1 7009                        # talks to `echo`, through the proxy
//! ```
//!
//! What to look at: `copy_bidirectional` runs the two directions in one task, and the first error ends both. An end is no
//! error: when one side has nothing more to say, the other is told so, and the answer can still come back.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pollywog_examples::{address, explain, interrupted, listen, say, until_interrupted, warn};
use pollywog_net::io::copy_bidirectional;
use pollywog_net::{TcpStream, spawn, time};

/// How long the other server may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);

async fn carry(mut client: TcpStream, to: String) -> io::Result<()> {
    let connected = time::timeout(PATIENCE, TcpStream::connect(&*to)).await;
    let server = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let mut server =
        server.inspect_err(|error| warn(explain(format_args!("a connection was dropped: {to}"), error)))?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let listener = listen(&options.addr).await?;
    let mut carried = 0_u64;
    until_interrupted(interrupted, async {
        loop {
            let (client, _) = listener.accept().await?;
            carried += 1;
            spawn(carry(client, options.to.clone()));
        }
    })
    .await?;
    say(format_args!("carried {carried} connections"));
    Ok(())
}

/// Passes connections on to another server, until Ctrl-C.
#[derive(Parser)]
#[command(
    name = "proxy",
    after_help = "Try it: start `echo`, then `proxy --to 127.0.0.1:7007`, then `nc 127.0.0.1 7009`."
)]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7009", value_parser = address)]
    addr: String,

    /// The server that connections are passed on to
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    to: String,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
