//! Sends back what it gets: the smallest server.
//!
//! ```text
//! cargo run --release --example echo
//! nc 127.0.0.1 7007                        # type a line: it comes back
//! cargo run --release --example client     # 50 connections ask for five seconds
//! ```
//!
//! What to look at: `echo` is one task per connection, written as if it were alone. A message costs a `read` and a
//! `write`, and nothing else: `strace -f` shows it. `--trace` (with `cargo run --features trace`) shows each task
//! from `new` to `close`, each of its polls as `enter`, and between them what became ready, who was woken, and when the
//! thread parked. `echo_lent` shows how a connection that waits needs no buffer.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_examples::{address, interrupted, listen, say, show_everything, until_interrupted};
use pollywog_net::{TcpStream, spawn};

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// The same without a buffer: the runtime lends one when bytes are there, and only what the socket did not take at
/// once is copied.
async fn echo_lent(stream: TcpStream) -> io::Result<()> {
    let answer = |bytes: &[u8]| {
        let rest = match stream.try_write(bytes) {
            Ok(count) => Ok(bytes[count..].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(bytes.to_vec()),
            Err(error) => Err(error),
        };
        (bytes.len(), rest)
    };
    while let Some(rest) = stream.read_with(answer).await? {
        (&stream).write_all(&rest?).await?;
    }
    Ok(())
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    if options.trace {
        show_everything();
    }
    let listener = listen(&options.addr).await?;
    let mut served = 0_u64;
    until_interrupted(interrupted, async {
        loop {
            let (stream, _) = listener.accept().await?;
            served += 1;
            // An error ends its connection and nothing else.
            if options.lent {
                spawn(echo_lent(stream));
            } else {
                spawn(echo(stream));
            }
        }
    })
    .await?;
    say(format_args!("served {served} connections"));
    Ok(())
}

/// Sends back what it gets, until Ctrl-C.
#[derive(Parser)]
#[command(name = "echo", after_help = "Try it: `nc 127.0.0.1 7007`, and type a line.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,

    /// Read into a buffer that the runtime lends: a connection that waits has none
    #[arg(long)]
    lent: bool,

    /// Show tasks, polls, wakes, parks and readiness on standard error (needs `--features trace`)
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
