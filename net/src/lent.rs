//! Reading into a buffer that is lent.
//!
//! A connection that waits needs no buffer, so with ten thousand idle ones there is one: the reactor's. It is lent for
//! the length of one call; what the caller does not consume is kept in a buffer of the stream, which exists only then.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use pollywog_executor::budget;

use crate::byte_stream::{ByteIo, ByteStream, left};
use crate::io::Lent;
use crate::sources::Direction;
use crate::waiter::Waiter;

/// What `read_with` left.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    /// Spares everybody who leaves nothing the lock. Relaxed: it is set and read where the stream is read.
    is_some: AtomicBool,
    rest: Mutex<Option<Box<Rest>>>,
}

#[derive(Debug)]
struct Rest {
    bytes: Vec<u8>,
    /// Where those begin that are not consumed: many small messages are taken off without moving the others each time.
    start: usize,
    /// The last caller consumed nothing: it needs more bytes, not the same again.
    needs_more: bool,
}

impl Rest {
    fn new(bytes: &[u8], needs_more: bool) -> Box<Self> {
        Box::new(Self { bytes: bytes.to_vec(), start: 0, needs_more })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.needs_more = count == 0;
    }

    fn extend(&mut self, fresh: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(fresh);
    }
}

impl Leftover {
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.is_some.load(Ordering::Relaxed)
    }

    #[inline]
    fn take(&self) -> Option<Box<Rest>> {
        if self.is_some() { self.take_some() } else { None }
    }

    #[cold]
    #[inline(never)]
    fn take_some(&self) -> Option<Box<Rest>> {
        self.is_some.store(false, Ordering::Relaxed);
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    #[cold]
    #[inline(never)]
    fn put(&self, mut rest: Box<Rest>) {
        let mut slot = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        // Left by who read while these bytes were lent: it came after them.
        if let Some(newer) = slot.take() {
            rest.extend(newer.bytes());
            rest.needs_more = false;
        }
        let is_some = !rest.bytes().is_empty();
        *slot = is_some.then_some(rest);
        self.is_some.store(is_some, Ordering::Relaxed);
    }

    /// Moves what there is into the buffers of an ordinary read, as far as they reach.
    pub(crate) fn read(&self, buffers: &mut [io::IoSliceMut<'_>]) -> usize {
        let Some(mut rest) = self.take() else { return 0 };
        let count = copy(rest.bytes(), buffers);
        rest.consume(count);
        // An ordinary read says nothing of messages.
        rest.needs_more = false;
        self.put(rest);
        count
    }

    /// Moves what there is behind the bytes of a vector, as far as `room` reaches.
    #[cfg(feature = "rustix")]
    pub(crate) fn append(&self, room: usize, buffer: &mut Vec<u8>) -> usize {
        let Some(mut rest) = self.take() else { return 0 };
        let count = rest.bytes().len().min(room);
        buffer.extend_from_slice(&rest.bytes()[..count]);
        rest.consume(count);
        rest.needs_more = false;
        self.put(rest);
        count
    }

    /// Copies without consuming.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> usize {
        let Some(rest) = self.take() else { return 0 };
        let count = copy(rest.bytes(), &mut [io::IoSliceMut::new(buffer)]);
        self.put(rest);
        count
    }
}

/// What is left over is read without a system call, but not for nothing: a task must not stay in it for ever.
pub(crate) fn one_charge(cx: &mut Context<'_>) -> Poll<()> {
    budget::charge(cx, |_| Poll::Ready(()))
}

fn no_runtime() -> io::Error {
    io::Error::other("`read_with` borrows from a Pollywog runtime: none runs here")
}

fn copy(mut from: &[u8], buffers: &mut [io::IoSliceMut<'_>]) -> usize {
    let all = from.len();
    for buffer in buffers {
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        from = &from[count..];
    }
    all - from.len()
}

impl<S: ByteIo> ByteStream<S> {
    /// A future of one layer, like the methods that call this: an `async fn` around it would be another one to go through
    /// with each message.
    pub(crate) fn read_with<R>(
        &self,
        borrow: impl FnOnce(&[u8]) -> (usize, R),
    ) -> impl Future<Output = io::Result<Option<R>>> {
        let waiter = Waiter::new(Direction::Read);
        let mut borrow = Some(borrow);
        poll_fn(move |cx| {
            self.poll_read_with(cx, Some(&waiter), |bytes| {
                borrow.take().expect("a future is not polled after it is ready")(bytes)
            })
        })
    }

    pub(crate) fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        waiter: Option<&Waiter>,
        borrow: impl FnOnce(&[u8]) -> (usize, R),
    ) -> Poll<io::Result<Option<R>>> {
        let call = |bytes: &[u8]| {
            let (consumed, result) = borrow(bytes);
            assert!(consumed <= bytes.len(), "consumed {consumed} bytes of {} that were lent", bytes.len());
            (consumed, result)
        };
        if self.leftover.is_some() {
            ready!(one_charge(cx));
        }
        match self.leftover.take() {
            Some(mut rest) if !rest.needs_more => {
                let (consumed, result) = call(rest.bytes());
                rest.consume(consumed);
                self.leftover.put(rest);
                return Poll::Ready(Ok(Some(result)));
            }
            Some(rest) => self.leftover.put(rest),
            None => {}
        }
        // Borrowed for a read that is worth a try: a wait needs none.
        let mut lent = None;
        let read = self.source.poll_syscall(cx, Direction::Read, waiter, |io| {
            let lent = match &mut lent {
                Some(lent) => lent,
                none => none.insert(Lent::take().ok_or_else(no_runtime)?),
            };
            Ok(left(io.read(&mut lent.buffer)?, lent.buffer.len()))
        });
        let count = match ready!(read) {
            Ok(0) => return Poll::Ready(Ok(None)),
            Ok(count) => count,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let lent = lent.expect("what was read is in there");
        let fresh = &lent.buffer[..count];
        let rest = match self.leftover.take() {
            Some(mut rest) => {
                rest.extend(fresh);
                let (consumed, result) = call(rest.bytes());
                rest.consume(consumed);
                self.leftover.put(rest);
                result
            }
            None => {
                let (consumed, result) = call(fresh);
                if consumed < count {
                    self.leftover.put(Rest::new(&fresh[consumed..], consumed == 0));
                }
                result
            }
        };
        Poll::Ready(Ok(Some(rest)))
    }
}
