//! What hyper needs of a runtime (feature `hyper`): I/O, a timer, an executor.
//!
//! [`PollywogIo`] wraps a stream, [`PollywogTimer`] keeps hyper's timeouts by our clock, paused or not, and
//! [`PollywogExecutor`] spawns what HTTP/2 needs spawned. Everything stays on the thread, so services and bodies may hold
//! an `Rc`. The features of hyper itself (`server`, `client`, `http1`, `http2`) are chosen in its own line in Cargo.toml.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::time::Duration;
//!
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
//! use pollywog_net::hyper::{PollywogIo, PollywogTimer};
//! use pollywog_net::{TcpListener, TcpStream, spawn};
//!
//! async fn hello(request: Request<Incoming>) -> hyper::Result<Response<String>> {
//!     Ok(Response::new(format!("hello from {}\n", request.uri().path())))
//! }
//!
//! pollywog_net::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     spawn(async move {
//!         while let Ok((stream, peer)) = listener.accept().await {
//!             spawn(async move {
//!                 let mut server = http1::Builder::new();
//!                 server.timer(PollywogTimer).header_read_timeout(Duration::from_secs(10));
//!                 if let Err(error) = server.serve_connection(PollywogIo::new(stream), service_fn(hello)).await {
//!                     eprintln!("{peer}: {error}");
//!                 }
//!             });
//!         }
//!     });
//!
//!     let mut client = TcpStream::connect(addr).await?;
//!     client.write_all(b"GET /here HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer).await?;
//!     assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello from /here\n"));
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! hyper reads into spare capacity, and lets safe code only copy into it. So [`PollywogIo`] reads into the reactor's
//! buffer, which one thread has once, and copies what came: less work than zeroing hyper's buffer before each read, and
//! no memory for an idle connection.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::hyper::rt::{Executor, Read, ReadBuf, ReadBufCursor, Sleep, Timer, Write};
use futures::io::{AsyncRead, AsyncWrite};
use pin_project_lite::pin_project;

use crate::uninit::poll_read_uninit;
use crate::{spawn, time};

pin_project! {
    /// A stream in hyper's terms, or a stream of hyper's in ours.
    ///
    /// Around an `AsyncRead` or `AsyncWrite` of `futures::io`, such as [`TcpStream`](crate::TcpStream) or a TLS stream
    /// over it, it is a `hyper::rt::Read` or `Write`; around one of hyper's, such as `hyper::upgrade::Upgraded`, it is an
    /// `AsyncRead` or `AsyncWrite`.
    ///
    /// It says of itself that it writes several buffers at once. A stream that writes only the first of them does better
    /// with hyper's `writev(false)`.
    #[derive(Debug)]
    pub struct PollywogIo<S> {
        #[pin]
        stream: S,
    }
}

impl<S> PollywogIo<S> {
    /// Wraps `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The stream inside.
    pub fn inner(&self) -> &S {
        &self.stream
    }

    /// The stream inside.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, unwrapped.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead> Read for PollywogIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let stream = self.project().stream;
        poll_read_uninit(buffer.remaining(), |room| stream.poll_read(cx, room), |bytes| buffer.put_slice(bytes))
    }
}

impl<S: AsyncWrite> Write for PollywogIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }
}

impl<S: Read> AsyncRead for PollywogIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.project().stream.poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<S: Write> AsyncWrite for PollywogIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}

/// Our [`time`] as hyper's timer: for `timer` of its builders, without which their timeouts do nothing or panic.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollywogTimer;

#[derive(Debug)]
struct PollywogSleep(time::Sleep);

impl Future for PollywogSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for PollywogSleep {}

impl Timer for PollywogTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(PollywogSleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(PollywogSleep(time::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<PollywogSleep>() {
            Some(mut sleep) => sleep.0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// [`spawn`](fn@crate::spawn) as hyper's executor: for the builders of HTTP/2. What it spawns runs on this thread and
/// need not be `Send`.
///
/// # Panics
///
/// hyper panics with it outside a runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollywogExecutor;

impl<F> Executor<F> for PollywogExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        // It runs on without its handle.
        drop(spawn(future));
    }
}
