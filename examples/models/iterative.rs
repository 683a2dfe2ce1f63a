//! One client after the other: the next one waits until this one has gone.
//!
//! ```text
//! cargo run --release --example iterative
//! nc 127.0.0.1 7007                        # type a line: it comes back
//! nc 127.0.0.1 7007                        # in a second terminal: nothing comes back until the first has left
//! ```
//!
//! What to look at: one thread, one connection, no state. The second client is connected all the same, since the
//! kernel does that by itself; what it sends waits in its socket's buffer.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        // An error ends its connection and nothing else.
        let _ = echo(stream);
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
