//! Two streams joined.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};
use pollywog_executor::budget;

use super::with_lent;

/// Copies from `a` to `b` and from `b` to `a` at once, until both have ended, and gives the number of bytes of each
/// direction, `a` to `b` first.
///
/// The end of one side is passed on to the other: everything is written and flushed, then the writing of the other side
/// is closed. The opposite direction goes on until it ends too, so a half-closed connection still gets its answer. What
/// is written is flushed before waiting for more. The two directions take turns at going first, and share the budget of
/// their task, so neither keeps the other from going on.
///
/// A pair that waits holds no buffer: bytes come into the reactor's (64 KiB), and only what the receiver does not take
/// at once is kept, at most that much in each direction. Nothing more is read before it is written.
///
/// # Errors
///
/// The first error of either side ends both directions; what was read by then may not have been written. A stream that
/// takes no bytes is [`WriteZero`](io::ErrorKind::WriteZero). An error of a stream shows when it is read or written: while
/// one side takes nothing, nothing is read from the other, and that it has been reset is not noticed.
///
/// # Cancel safety
///
/// It is not cancel safe. Dropping the future loses the counts, and the bytes that were read and not yet written. The
/// streams stay open, and neither side is told.
///
/// # Examples
///
/// A proxy for one connection:
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use pollywog_net::io::copy_bidirectional;
/// use pollywog_net::{TcpListener, TcpStream, spawn};
///
/// pollywog_net::run(async {
///     let behind = TcpListener::bind("127.0.0.1:0").await?;
///     let to = behind.local_addr()?;
///     let before = TcpListener::bind("127.0.0.1:0").await?;
///     let addr = before.local_addr()?;
///     let proxy = spawn(async move {
///         let (mut client, _) = before.accept().await?;
///         let mut server = TcpStream::connect(to).await?;
///         copy_bidirectional(&mut client, &mut server).await
///     });
///
///     let mut client = TcpStream::connect(addr).await?;
///     client.write_all(b"question").await?;
///     client.close().await?;
///     let (mut server, _) = behind.accept().await?;
///     let mut text = String::new();
///     server.read_to_string(&mut text).await?;
///     server.write_all(format!("{text}, answer").as_bytes()).await?;
///     drop(server);
///     text.clear();
///     client.read_to_string(&mut text).await?;
///     assert_eq!(text, "question, answer");
///     assert_eq!(proxy.await??, (8, 16));
///     Ok(())
/// })?
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut to_b, mut to_a) = (Direction::default(), Direction::default());
    let mut is_turn_of_b = true;
    poll_fn(|cx| {
        // One that never waits uses the budget of the poll up.
        is_turn_of_b = !is_turn_of_b;
        let (sent, received) = if is_turn_of_b {
            let received = to_a.poll(cx, b, a)?;
            (to_b.poll(cx, a, b)?, received)
        } else {
            let sent = to_b.poll(cx, a, b)?;
            (sent, to_a.poll(cx, b, a)?)
        };
        Poll::Ready(Ok((ready!(sent), ready!(received))))
    })
    .await
}

#[derive(Default)]
struct Direction {
    stage: Stage,
    count: u64,
    /// What the writer has not taken yet: all from `start` on.
    rest: Vec<u8>,
    start: usize,
    needs_flush: bool,
}

#[derive(Default, Clone, Copy)]
enum Stage {
    #[default]
    Copying,
    /// The reader has ended, and everything is written.
    Ending,
    Ended,
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            match self.stage {
                Stage::Copying => {
                    // For streams that charge nothing themselves.
                    ready!(budget::charge(cx, |_| Poll::Ready(())));
                    ready!(self.poll_rest(cx, writer))?;
                    ready!(with_lent(|buffer| self.poll_fresh(cx, reader, writer, buffer)))?;
                }
                Stage::Ending => {
                    ready!(self.poll_flush(cx, writer))?;
                    ready!(Pin::new(&mut *writer).poll_close(cx))?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(self.count)),
            }
        }
    }

    fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut (impl AsyncWrite + Unpin + ?Sized),
    ) -> Poll<io::Result<()>> {
        ready!(poll_write_all(cx, writer, &self.rest, &mut self.start))?;
        self.rest = Vec::new();
        self.start = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what came.
    fn poll_fresh<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        buffer: &mut [u8],
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        let count = match Pin::new(reader).poll_read(cx, buffer)? {
            Poll::Ready(count) => count,
            Poll::Pending => {
                ready!(self.poll_flush(cx, writer))?;
                return Poll::Pending;
            }
        };
        if count == 0 {
            self.stage = Stage::Ending;
            return Poll::Ready(Ok(()));
        }
        self.count += count as u64;
        self.needs_flush = true;
        let mut written = 0;
        let result = poll_write_all(cx, writer, &buffer[..count], &mut written);
        if result.is_pending() {
            self.rest = buffer[written..count].to_vec();
        }
        result
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut (impl AsyncWrite + Unpin + ?Sized),
    ) -> Poll<io::Result<()>> {
        if self.needs_flush {
            ready!(Pin::new(writer).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes `bytes` from `written` on, and moves it.
fn poll_write_all(
    cx: &mut Context<'_>,
    writer: &mut (impl AsyncWrite + Unpin + ?Sized),
    bytes: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    while *written < bytes.len() {
        match ready!(Pin::new(&mut *writer).poll_write(cx, &bytes[*written..]))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => *written += count,
        }
    }
    Poll::Ready(Ok(()))
}
