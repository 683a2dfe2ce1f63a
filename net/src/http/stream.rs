//! The connection as hyper sees it: the preface of HTTP/2 comes whole or not at all, and the end is noted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use ::hyper::body::{Buf, Bytes};
use ::hyper::rt::{Read, ReadBufCursor, Write};
use futures::io::{AsyncRead, AsyncWrite};

use crate::hyper::PollywogIo;
use crate::io::with_lent;
use crate::uninit::poll_read_uninit;

/// What a client of HTTP/2 says first. No request of HTTP/1 begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Parts that are together no larger are written as one: that costs the kernel less than two of them, and the copy next
/// to nothing. The lent buffer has room for them, also where no runtime runs.
const SMALL: usize = 2048;

#[derive(Debug)]
pub(super) struct HttpIo<S> {
    stream: PollywogIo<S>,
    start: Start,
    /// Nothing more can be read.
    pub(super) has_ended: bool,
    /// A part of what was to be written waits for room.
    is_held_up: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Start {
    /// So many bytes have come, all of them the preface's. They are held back: hyper's parser of HTTP/1 knows the
    /// preface when it sees the whole of it, and takes a part for a bad request.
    Preface(usize),
    /// Read by the parser of HTTP/1, and not for it.
    Again(Bytes),
    Over,
}

impl<S> HttpIo<S> {
    /// A connection that may turn out to be one of HTTP/2.
    pub(super) fn either(stream: S) -> Self {
        Self { stream: PollywogIo::new(stream), start: Start::Preface(0), has_ended: false, is_held_up: Arc::default() }
    }

    pub(super) fn http1(stream: S) -> Self {
        Self { start: Start::Over, ..Self::either(stream) }
    }

    pub(super) fn is_held_up(&self) -> &Arc<AtomicBool> {
        &self.is_held_up
    }

    fn noting<R>(&self, written: Poll<R>) -> Poll<R> {
        if written.is_pending() {
            self.is_held_up.store(true, Ordering::Relaxed);
        }
        written
    }

    /// Gives `bytes` before anything else.
    pub(super) fn again(mut self, bytes: Bytes) -> Self {
        self.start = Start::Again(bytes);
        self
    }
}

impl<S: AsyncRead + Unpin> HttpIo<S> {
    /// Reads what is there, or nothing where only a part of the preface is. `room` is not zero.
    #[inline]
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        put: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        match self.start {
            Start::Over => self.poll_plain(cx, room, put),
            _ => self.poll_first(cx, room, put),
        }
    }

    /// hyper makes room for a few thousand bytes before its first read.
    #[inline]
    fn poll_plain(&mut self, cx: &mut Context<'_>, room: usize, put: impl FnOnce(&[u8])) -> Poll<io::Result<()>> {
        let Self { stream, has_ended, .. } = self;
        let read = poll_read_uninit(
            room,
            |buffer| Pin::new(stream.inner_mut()).poll_read(cx, buffer),
            |bytes| {
                *has_ended = bytes.is_empty();
                put(bytes);
            },
        );
        if let Poll::Ready(Err(_)) = read {
            *has_ended = true;
        }
        read
    }

    #[cold]
    fn poll_first(&mut self, cx: &mut Context<'_>, room: usize, mut put: impl FnMut(&[u8])) -> Poll<io::Result<()>> {
        loop {
            let held = match &mut self.start {
                Start::Preface(held) => *held,
                Start::Again(bytes) => {
                    let count = room.min(bytes.len());
                    put(&bytes[..count]);
                    bytes.advance(count);
                    if bytes.is_empty() {
                        self.start = Start::Over;
                    }
                    return Poll::Ready(Ok(()));
                }
                Start::Over => return Poll::Ready(Ok(())),
            };
            let mut start = Start::Over;
            ready!(self.poll_plain(cx, room - held, |bytes| {
                let expected = &PREFACE[held..];
                if !bytes.is_empty() && bytes.len() < expected.len() && expected.starts_with(bytes) {
                    start = Start::Preface(held + bytes.len());
                } else {
                    put(&PREFACE[..held]);
                    put(bytes);
                }
            }))?;
            self.start = start;
        }
    }
}

impl<S: AsyncRead + Unpin> Read for HttpIo<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_bytes(cx, buffer.remaining(), |bytes| buffer.put_slice(bytes))
    }
}

impl<S: AsyncWrite + Unpin> Write for HttpIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Write::poll_write(Pin::new(&mut self.stream), cx, buffer);
        self.noting(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let written = match buffers {
            [buffer] => Write::poll_write(stream, cx, buffer),
            _ => with_lent(|room| {
                let mut end = 0;
                for buffer in buffers {
                    let start = end;
                    end += buffer.len();
                    match room[..SMALL].get_mut(start..end) {
                        Some(place) => place.copy_from_slice(buffer),
                        None => return Write::poll_write_vectored(stream, cx, buffers),
                    }
                }
                Write::poll_write(stream, cx, &room[..end])
            }),
        };
        self.noting(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written all it has.
        let flushed = Write::poll_flush(Pin::new(&mut self.stream), cx);
        self.is_held_up.store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}
