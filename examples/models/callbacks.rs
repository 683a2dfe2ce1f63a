//! One thread, and a function for whatever comes next: an event loop with callbacks.
//!
//! ```text
//! cargo run --release --example callbacks
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! ```
//!
//! What to look at: `echo` cannot wait, so it says what is to happen afterwards, and returns. The loop of `iterative`
//! has become a chain: read, then write, then `echo` again. What a stack would keep meanwhile (the connection, the
//! buffer, how far the writing has come) has moved into closures on the heap, and an error has nobody to return to.
//! When the last closure of a connection is dropped, so is the connection.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// How long we sleep at most while a client waits in the kernel's queue for a descriptor: it is not told again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often what has to be called soon is called before we look for news.
const STEPS: usize = 16;

type Callback = Box<dyn FnOnce(&mut Loop)>;

struct Loop {
    poll: Poll,
    /// To be called when the descriptor has news. No more than one for each: whoever waits has nothing else to do.
    waiting: HashMap<RawFd, Callback>,
    soon: Vec<Callback>,
    after_a_pause: Vec<Callback>,
}

impl Loop {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            for _ in 0..STEPS {
                for callback in mem::take(&mut self.soon) {
                    callback(self);
                }
            }
            let timeout = if !self.soon.is_empty() {
                Some(Duration::ZERO)
            } else if !self.after_a_pause.is_empty() {
                Some(PAUSE)
            } else {
                None
            };
            match self.poll.poll(&mut events, timeout) {
                // A signal.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            // Nobody waits for news that come while a callback is to be called soon: it tries by itself.
            let woken = events.iter().filter_map(|event| self.waiting.remove(&(event.token().0 as RawFd)));
            self.soon.extend(woken.chain(self.after_a_pause.drain(..)));
        }
    }

    fn when_ready(&mut self, socket: &impl AsRawFd, callback: impl FnOnce(&mut Loop) + 'static) {
        self.waiting.insert(socket.as_raw_fd(), Box::new(callback));
    }

    fn soon(&mut self, callback: impl FnOnce(&mut Loop) + 'static) {
        self.soon.push(Box::new(callback));
    }
}

fn echo(events: &mut Loop, stream: TcpStream) {
    read(events, stream, |events, stream, bytes| {
        if !bytes.is_empty() {
            write_all(events, stream, bytes, echo);
        }
    });
}

/// `then` gets what came. Nothing is the end.
fn read<F>(events: &mut Loop, mut stream: TcpStream, then: F)
where
    F: FnOnce(&mut Loop, TcpStream, Vec<u8>) + 'static,
{
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(count) => then(events, stream, buffer[..count].to_vec()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            events.when_ready(&stream.as_raw_fd(), move |events| read(events, stream, then));
        }
        // It ends its connection and nothing else: `stream` is dropped, and with `then` all that was to come.
        Err(_) => {}
    }
}

/// `then` is called when all of `bytes` are gone.
fn write_all<F>(events: &mut Loop, mut stream: TcpStream, mut bytes: Vec<u8>, then: F)
where
    F: FnOnce(&mut Loop, TcpStream) + 'static,
{
    match stream.write(&bytes) {
        // Not at once: a client that is always ready would pile up one frame of the stack for each read.
        Ok(count) if count == bytes.len() => events.soon(move |events| then(events, stream)),
        Ok(count) => {
            bytes.drain(..count);
            events.soon(move |events| write_all(events, stream, bytes, then));
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            events.when_ready(&stream.as_raw_fd(), move |events| write_all(events, stream, bytes, then));
        }
        Err(_) => {}
    }
}

fn accept(events: &mut Loop, listener: TcpListener) {
    match listener.accept() {
        Ok((mut stream, _)) => {
            let (token, everything) = (Token(stream.as_raw_fd() as usize), Interest::READABLE | Interest::WRITABLE);
            // The number of watched descriptors has a limit too: who is above it is sent away.
            if events.poll.registry().register(&mut stream, token, everything).is_ok() {
                echo(events, stream);
            }
            events.soon(move |events| accept(events, listener));
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            events.when_ready(&listener.as_raw_fd(), move |events| accept(events, listener));
        }
        Err(_) => events.after_a_pause.push(Box::new(move |events| accept(events, listener))),
    }
}

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let (poll, token) = (Poll::new()?, Token(listener.as_raw_fd() as usize));
    poll.registry().register(&mut listener, token, Interest::READABLE)?;
    let mut events = Loop { poll, waiting: HashMap::new(), soon: Vec::new(), after_a_pause: Vec::new() };
    accept(&mut events, listener);
    events.run()
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
