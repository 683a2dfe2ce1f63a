//! A fixed number of threads, each of which serves one client after the other.
//!
//! ```text
//! cargo run --release --example pooled -- --threads 2
//! nc 127.0.0.1 7007                        # in three terminals: two get their lines back, the third waits
//! ```
//!
//! What to look at: each thread is an iterative server, and all of them accept from one listener. What waits is not a
//! thread but a client, in the kernel's queue. The cost is known before the first client comes; but as many clients as
//! there are threads, and who say nothing, are enough to hold up everybody else.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;

#[derive(Args)]
struct Pool {
    /// How many clients are served at once
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

fn serve(listener: TcpListener, pool: Pool) -> io::Result<()> {
    let listener = Arc::new(listener);
    for _ in 1..pool.threads {
        let listener = Arc::clone(&listener);
        thread::Builder::new().spawn(move || one_after_the_other(&listener))?;
    }
    one_after_the_other(&listener)
}

fn one_after_the_other(listener: &TcpListener) -> ! {
    loop {
        match listener.accept() {
            // An error ends its connection and nothing else.
            Ok((stream, _)) => drop(echo(stream)),
            // No descriptor is free, most likely. The client waits in the kernel's queue, and we try again.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
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
    pollywog_examples::model_with(serve)
}
