//! One thread and a stack for each client: coroutines that can be left in the middle of any function.
//!
//! ```text
//! cargo run --release --example fibers
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! ```
//!
//! What to look at: `echo` is that of `iterative`, and knows nothing of fibers. Its `read` leaves this stack when there
//! is nothing to read, and comes back to it when there is. That is the way of greenlet: nothing in a function tells
//! whether it may be left. Each fiber costs a whole stack, of which a page or two are touched; and one that computes,
//! or is never told to wait, keeps the thread to itself, so now and then it is made to give way.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

/// How long we sleep at most while a client waits in the kernel's queue for a descriptor: it is not told again.
const PAUSE: Duration = Duration::from_millis(100);
/// How many calls a fiber makes before the others have their turn.
const STEPS: usize = 32;
/// Bytes of a stack, which cannot grow.
const STACK: usize = 64 << 10;

type Fiber = Coroutine<(), Left, ()>;

/// Why a fiber was left.
#[derive(PartialEq)]
enum Left {
    NotReady,
    ForOthers,
}

fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

/// A connection that seems to block.
struct Stream<'fiber> {
    inner: TcpStream,
    yielder: &'fiber Yielder<(), Left>,
    steps: usize,
}

impl Stream<'_> {
    /// Tries, and leaves the fiber until there are news, as often as it takes.
    fn wait_for<T>(&mut self, mut attempt: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) {
            self.yielder.suspend(Left::ForOthers);
        }
        loop {
            match attempt(&mut self.inner) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.yielder.suspend(Left::NotReady),
                result => return result,
            }
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.read(buffer))
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A fiber that has not begun.
fn fiber(inner: TcpStream) -> io::Result<Fiber> {
    let stack = DefaultStack::new(STACK)?;
    Ok(Coroutine::with_stack(stack, move |yielder, ()| {
        // An error ends its connection and nothing else.
        let _ = echo(Stream { inner, yielder, steps: 0 });
    }))
}

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    let door = Token(listener.as_raw_fd() as usize);
    poll.registry().register(&mut listener, door, Interest::READABLE)?;
    let mut fibers = HashMap::new();
    let mut ready = BTreeSet::new();
    let mut knocking = false;
    let mut events = Events::with_capacity(256);
    loop {
        let timeout = if !ready.is_empty() {
            Some(Duration::ZERO)
        } else if knocking {
            Some(PAUSE)
        } else {
            None
        };
        match poll.poll(&mut events, timeout) {
            // A signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            ready.insert(event.token());
        }
        if ready.remove(&door) || knocking {
            knocking = !accept_all(poll.registry(), &listener, &mut fibers);
        }
        ready.retain(|token| {
            // None of that name: it has ended since.
            let Some(fiber) = fibers.get_mut(token) else { return false };
            match fiber.resume(()) {
                CoroutineResult::Yield(left) => left == Left::ForOthers,
                CoroutineResult::Return(()) => {
                    fibers.remove(token);
                    false
                }
            }
        });
    }
}

/// Accepts until the kernel says `WouldBlock`; `false` when there is no descriptor for the next client.
fn accept_all(registry: &Registry, listener: &TcpListener, fibers: &mut HashMap<Token, Fiber>) -> bool {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let token = Token(stream.as_raw_fd() as usize);
        // Registered when there is something to read already, it is told so: that starts the fiber. The numbers of
        // watched descriptors and of stacks have limits too: who is above them is sent away.
        if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok()
            && let Ok(fiber) = fiber(stream)
        {
            fibers.insert(token, fiber);
        }
    }
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
