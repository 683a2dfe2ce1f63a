//! Wrong: a poll loop with a handler that takes its time.
//!
//! ```text
//! cargo run --release --example busy_handler
//! nc 127.0.0.1 7007                        # type 'count 3000000000'
//! nc 127.0.0.1 7007                        # in a second terminal: a line comes back when the counting is over
//! cargo run --release --example busy_handler -- --aside
//! ```
//!
//! What one sees: everybody waits for the one who asked for much. With `--aside` nobody does.
//!
//! Why: there is one thread, and between two polls it does one thing. Multiplexing shares the waiting among many; the
//! work is done by one, piece by piece. A piece that is long has to be cut, or done elsewhere.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

#[derive(Args)]
struct Counting {
    /// Count on a thread beside the loop
    #[arg(long)]
    aside: bool,
}

fn serve(listener: TcpListener, options: Counting) -> io::Result<()> {
    let mut streams = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&listener, PollFlags::IN)];
        fds.extend(streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)));
        retry_on_intr(|| poll(&mut fds, None))?;
        let mut ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let somebody_comes = ready.remove(0);
        let mut ready = ready.into_iter();
        streams.retain(|stream| ready.next() != Some(true) || handle(stream, &options).is_ok());
        if somebody_comes {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
    }
}

/// Answers a line that says how far to count, and sends any other back. Fails at the end of the connection.
fn handle(mut stream: &TcpStream, options: &Counting) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = &buffer[..count];
    let end = str::from_utf8(line).ok().and_then(|line| line.strip_prefix("count ")?.trim_end().parse().ok());
    match end {
        None => stream.write_all(line),
        Some(end) if options.aside => {
            let stream = stream.try_clone()?;
            thread::spawn(move || count_to(end, &stream));
            Ok(())
        }
        Some(end) => count_to(end, stream),
    }
}

fn count_to(end: u64, mut stream: &TcpStream) -> io::Result<()> {
    pollywog_examples::say("counting");
    for number in 0..end {
        black_box(number);
    }
    writeln!(stream, "{end}")
}

fn main() -> ExitCode {
    pollywog_examples::model_with(serve)
}
