//! Sends back what it gets over a Unix socket, and says who it was.
//!
//! ```text
//! cargo run --release --example unix_echo
//! nc -U /tmp/pollywog-echo                 # type a line: it comes back
//! ls -l /tmp/pollywog-echo                 # who may write this file may connect
//! ```
//!
//! What to look at: `echo` is that of TCP. What is special to a Unix socket stands around it. The address is a file:
//! binding makes it, and dropping the listener, at Ctrl-C here, removes it. A server that is killed leaves its file; the
//! next one fails, and the error says what to do (try `kill -9`). There is no password, since the kernel knows the user
//! and the process at the other end.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_examples::{interrupted, listening_on, prepare, say, until_interrupted};
use pollywog_net::{UnixListener, UnixStream, spawn};

async fn echo(mut stream: UnixStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// Who is at the other end, when it connected.
fn who(stream: &UnixStream) -> String {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match stream.peer_cred() {
        Ok(peer) => format!("user {}, process {}", peer.uid(), peer.pid().unwrap_or_default()),
        Err(error) => error.to_string(),
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    format!("{:?}", stream.peer_addr())
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    prepare();
    let listener = UnixListener::bind(&options.path)?;
    listening_on(options.path.display());
    let mut served = 0_u64;
    until_interrupted(interrupted, async {
        loop {
            let (stream, _) = listener.accept().await?;
            served += 1;
            say(who(&stream));
            // An error ends its connection and nothing else.
            spawn(echo(stream));
        }
    })
    .await?;
    drop(listener);
    say(format_args!("served {served} connections, removed {}", options.path.display()));
    Ok(())
}

/// Sends back what it gets over a Unix socket, until Ctrl-C.
#[derive(Parser)]
#[command(name = "unix_echo", after_help = "Try it: `nc -U /tmp/pollywog-echo`, and type a line.")]
struct Options {
    /// The file to listen at, which must not be there
    #[arg(long, value_name = "PATH", default_value = "/tmp/pollywog-echo")]
    path: PathBuf,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
