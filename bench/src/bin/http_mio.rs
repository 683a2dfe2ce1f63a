//! HTTP as a bare mio loop: a connection of hyper's for each socket, polled when something happens to it. No tasks, no
//! timeouts, no limits. What a runtime adds is measured against this.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::task::{ArcWake, waker};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Token};
use pollywog_bench::http::hello;
use pollywog_bench::{listening_on, uninterrupted};

const LISTENER: Token = Token(usize::MAX);
const SCRATCH: usize = 64 << 10;

/// What the last events said of a socket.
#[derive(Default)]
struct Ready {
    read: Cell<bool>,
    write: Cell<bool>,
    /// No edge follows a short read any more.
    closed: Cell<bool>,
}

struct Socket {
    stream: TcpStream,
    ready: Rc<Ready>,
    /// One for all: what is read is copied into hyper's buffer, as safe code has to.
    scratch: Rc<RefCell<Vec<u8>>>,
}

/// `Pending` where it would block, which is noted in `ready`.
fn attempt(ready: &Cell<bool>, result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            ready.set(false);
            Poll::Pending
        }
        result => Poll::Ready(result),
    }
}

impl Read for Socket {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !self.ready.read.get() {
            return Poll::Pending;
        }
        let Self { stream, ready, scratch } = &mut *self;
        let mut scratch = scratch.borrow_mut();
        let room = buffer.remaining().min(SCRATCH);
        attempt(&ready.read, stream.read(&mut scratch[..room])).map_ok(|count| {
            // A short read has drained the socket.
            ready.read.set(count == room || ready.closed.get());
            buffer.put_slice(&scratch[..count]);
        })
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if !self.ready.write.get() {
            return Poll::Pending;
        }
        let result = self.stream.write(buffer);
        attempt(&self.ready.write, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.ready.write.get() {
            return Poll::Pending;
        }
        let result = self.stream.write_vectored(buffers);
        attempt(&self.ready.write, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(std::net::Shutdown::Write))
    }
}

/// Connections that hyper wants polled though nothing happened to their sockets.
type Woken = Arc<Mutex<Vec<usize>>>;

struct Wake {
    place: usize,
    woken: Woken,
}

impl ArcWake for Wake {
    fn wake_by_ref(wake: &Arc<Self>) {
        wake.woken.lock().expect("nobody panics").push(wake.place);
    }
}

struct Connection {
    future: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
    ready: Rc<Ready>,
    waker: Waker,
}

fn main() -> io::Result<()> {
    let mut poll = mio::Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    listening_on(listener.local_addr()?);
    let http = http1::Builder::new();
    let scratch = Rc::new(RefCell::new(vec![0; SCRATCH]));
    let woken = Woken::default();
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut due: Vec<usize> = Vec::new();
    loop {
        let again = mem::take(&mut *woken.lock().expect("nobody panics"));
        uninterrupted(poll.poll(&mut events, (!again.is_empty()).then_some(std::time::Duration::ZERO)))?;
        due.extend(again);
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(place), interest)?;
                    let ready = Rc::new(Ready::default());
                    let socket = Socket { stream, ready: ready.clone(), scratch: scratch.clone() };
                    let future = Box::pin(http.serve_connection(socket, service_fn(hello)));
                    let waker = waker(Arc::new(Wake { place, woken: woken.clone() }));
                    connections[place] = Some(Connection { future, ready, waker });
                }
                continue;
            }
            let place = event.token().0;
            let Some(connection) = &connections[place] else { continue };
            let Ready { read, write, closed } = &*connection.ready;
            read.set(read.get() || event.is_readable());
            write.set(write.get() || event.is_writable());
            closed.set(closed.get() || event.is_read_closed());
            due.push(place);
        }
        for place in due.drain(..) {
            let Some(connection) = &mut connections[place] else { continue };
            if connection.future.as_mut().poll(&mut Context::from_waker(&connection.waker)).is_ready() {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}
