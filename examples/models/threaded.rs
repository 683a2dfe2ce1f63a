//! A thread for each client: none of them waits for another.
//!
//! ```text
//! cargo run --release --example threaded
//! nc 127.0.0.1 7007                        # type a line: it comes back
//! nc 127.0.0.1 7007                        # in a second terminal, at the same time: its lines come back too
//! ps -L -C threaded                        # in a third: one process, and a thread for each client
//! ```
//!
//! What to look at: `echo` is that of the iterative server, and each thread waits in its own `read`. The memory is
//! shared, so a thread is cheaper to make than a process, and a fault in one is a fault in all.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No descriptor is free, most likely. The client waits in the kernel's queue, and we try again.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // An error says that there are threads enough, and has dropped the stream: this client is sent away, the others
        // stay.
        let _ = thread::Builder::new().spawn(|| echo(stream));
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
