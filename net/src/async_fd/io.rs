//! Reading and writing what std can read and write.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

use super::AsyncFd;
use crate::source::Left;
use crate::sources::Direction;

impl<T: AsFd> AsyncFd<T> {
    fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source().poll_io(cx, direction, None, |fd| operation(&fd.0).map(Left::Maybe))
    }
}

macro_rules! io_traits {
    ($($fd:ty),+) => {$(
        impl<T: AsFd> AsyncRead for $fd
        where
            for<'a> &'a T: Read,
        {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                self.poll_with(cx, Direction::Read, |mut fd| fd.read(buffer))
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_with(cx, Direction::Read, |mut fd| fd.read_vectored(buffers))
            }
        }

        impl<T: AsFd> AsyncWrite for $fd
        where
            for<'a> &'a T: Write,
        {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
                self.poll_with(cx, Direction::Write, |mut fd| fd.write(buffer))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_with(cx, Direction::Write, |mut fd| fd.write_vectored(buffers))
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                // At once, whatever is known of room: mostly nothing is buffered.
                match Write::flush(&mut self.get_ref()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.poll_with(cx, Direction::Write, |mut fd| fd.flush())
                    }
                    result => Poll::Ready(result),
                }
            }

            /// Flushes: the descriptor is closed by dropping its owner.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    )+};
}

io_traits!(AsyncFd<T>, &AsyncFd<T>);
