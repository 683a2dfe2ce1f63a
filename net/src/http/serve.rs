//! One connection from its first byte to its end.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Incoming};
use ::hyper::rt::Write;
use ::hyper::server::conn::{http1, http2};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use futures::io::{AsyncRead, AsyncWrite};

use super::Http;
use super::answer::{Answering, Progress};
use super::error::into_io;
use super::stream::HttpIo;
use super::waiting::Waiting;
use crate::budget::consume_budget;
use crate::cancel::{CancelToken, Cancelled};
use crate::hyper::PollywogExecutor;
use crate::time::{Sleep, sleep, timeout};

/// How long saying the end may take, and how long the peer may take to close after that.
const LINGER: Duration = Duration::from_secs(1);

impl Http {
    /// Serves what comes over `stream`, a TLS stream for instance, until one of the two ends it, and drains when
    /// `shutdown` is cancelled.
    ///
    /// [`serve_connection`](Self::serve_connection) is this for the connection of a server. A connection that is
    /// upgraded is the service's from then on, and this returns.
    ///
    /// # Errors
    ///
    /// As [the module](crate::http#errors) says.
    ///
    /// # Panics
    ///
    /// As the service does. Outside a runtime it panics where hyper needs a timer or a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection, and drops the service's futures; those of HTTP/2 are tasks, which are
    /// woken, and dropped in their next turn.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::convert::Infallible;
    ///
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use hyper::{Request, Response, body::Incoming, service::service_fn};
    /// use pollywog_net::{TcpListener, TcpStream, cancel::CancelToken, http::Http, spawn};
    ///
    /// pollywog_net::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (stream, peer) = listener.accept().await?;
    ///     let serving = spawn(async move {
    ///         let service = service_fn(|request: Request<Incoming>| async move {
    ///             Ok::<_, Infallible>(Response::new(format!("{peer} wants {}", request.uri().path())))
    ///         });
    ///         Http::new().serve_stream(stream, &CancelToken::new(), service).await
    ///     });
    ///     client.write_all(b"GET /tea HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    ///     let mut answer = String::new();
    ///     client.read_to_string(&mut answer).await?;
    ///     assert!(answer.ends_with(&format!("{} wants /tea", client.local_addr()?)));
    ///     drop(client);
    ///     serving.await.unwrap()
    /// })?
    /// # }
    /// ```
    pub async fn serve_stream<S, T, B>(&self, stream: S, shutdown: &CancelToken, service: T) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: Service<Request<Incoming>, Response = Response<B>>,
        T::Future: 'static,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let io = if self.http1_only { HttpIo::http1(stream) } else { HttpIo::either(stream) };
        let progress = Progress::new(io.is_held_up().clone());
        let service = Answering { service, progress: progress.clone() };
        let mut connection = self.http1.serve_connection(io, service).with_upgrades();
        let ended = {
            let waiting = Waiting::new(self.header_read_timeout);
            let connection = Pin::new(&mut connection);
            let mut drive = Drive::new(connection, shutdown, self.keep_alive_grace, &progress, waiting);
            poll_fn(|cx| drive.poll(cx)).await
        };
        let Some(parts) = connection.into_parts() else { return Ok(()) };
        match ended {
            Err(Late) => {
                close(parts.io).await;
                // A client that has asked for nothing more is not late.
                let is_late = progress.requests() == 0 || !parts.read_buf.is_empty();
                let text = "the header of a request did not come in time";
                if is_late { Err(io::Error::new(io::ErrorKind::TimedOut, text)) } else { Ok(()) }
            }
            Ok(Err(error)) if error.is_parse_version_h2() && !self.http1_only => {
                let io = parts.io.again(parts.read_buf);
                // Apart, so that a connection of HTTP/1 does not hold the memory for it.
                Box::pin(self.serve_http2(io, shutdown, parts.service)).await
            }
            Ok(Err(error)) if !error.is_parse() => Err(into_io(error)),
            Ok(result) => {
                linger(parts.io).await;
                result.map_err(into_io)
            }
        }
    }

    async fn serve_http2<S, T, B>(
        &self,
        mut io: HttpIo<S>,
        shutdown: &CancelToken,
        service: Answering<T>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: Service<Request<Incoming>, Response = Response<B>>,
        T::Future: 'static,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let progress = service.progress.clone();
        let mut connection = self.http2.serve_connection(&mut io, service);
        // It tells the client to ask elsewhere, and answers what has been asked.
        let at_once = Duration::ZERO;
        let ended = {
            let connection = Pin::new(&mut connection);
            let mut drive = Drive::new(connection, shutdown, at_once, &progress, Waiting::new(None));
            poll_fn(|cx| drive.poll(cx)).await
        };
        drop(connection);
        let Ok(result) = ended else { return Ok(()) };
        result.map_err(into_io)?;
        linger(io).await;
        Ok(())
    }
}

/// A connection of hyper's that can be asked to end.
trait Graceful: Future<Output = ::hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<S, T, B> Graceful for http1::UpgradeableConnection<S, T>
where
    S: ::hyper::rt::Read + ::hyper::rt::Write + Unpin + Send + 'static,
    T: Service<Request<Incoming>, Response = Response<B>>,
    T::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, T, B> Graceful for http2::Connection<S, T, PollywogExecutor>
where
    S: ::hyper::rt::Read + ::hyper::rt::Write + Unpin,
    T: Service<Request<Incoming>, Response = Response<B>>,
    T::Future: 'static,
    T::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// The client has let us wait for too long.
struct Late;

/// What runs a connection to its end.
struct Drive<'a, C> {
    connection: Pin<&'a mut C>,
    stage: Stage<'a>,
    grace: Duration,
    progress: &'a Progress,
    waiting: Waiting,
}

enum Stage<'a> {
    Serving(Cancelled<'a>),
    /// Draining, it stays for the grace: whoever has just sent a request gets an answer, which says that it was the
    /// last. hyper by itself closes an idle connection at once, and resets that request.
    Grace(Sleep),
    Ending,
}

impl<'a, C: Graceful> Drive<'a, C> {
    fn new(
        connection: Pin<&'a mut C>,
        shutdown: &'a CancelToken,
        grace: Duration,
        progress: &'a Progress,
        waiting: Waiting,
    ) -> Self {
        Self { connection, stage: Stage::Serving(shutdown.cancelled()), grace, progress, waiting }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Output, Late>> {
        if let Stage::Serving(cancelled) = &mut self.stage {
            if Pin::new(cancelled).poll(cx).is_pending() {
                return self.poll_connection(cx);
            }
            self.progress.is_draining.set(true);
            self.stage = Stage::Grace(sleep(self.grace));
        }
        self.poll_drain(cx)
    }

    #[cold]
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Output, Late>> {
        // In this order: what has come by the end of the grace is answered too.
        let ended = self.poll_connection(cx);
        if ended.is_pending()
            && let Stage::Grace(sleep) = &mut self.stage
            && Pin::new(sleep).poll(cx).is_ready()
        {
            self.stage = Stage::Ending;
            self.connection.as_mut().graceful_shutdown();
            return self.poll_connection(cx);
        }
        ended
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Output, Late>> {
        if let Poll::Ready(result) = self.connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(result));
        }
        self.waiting.poll(cx, self.progress).map(|()| Err(Late))
    }
}

/// Says that this is the end, in the stream's own words: TLS has some, and a peer that misses them takes the end for an
/// attack. hyper does it for a connection that it ends itself.
async fn close<S: AsyncWrite + Unpin>(mut io: HttpIo<S>) {
    // Said or not: what follows is the close.
    let _ = timeout(LINGER, poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))).await;
}

/// Waits until the peer closes too. A socket that is closed with something unread resets the connection, and takes
/// with it what the peer has not read of the answer.
async fn linger<S: AsyncRead + Unpin>(mut io: HttpIo<S>) {
    let ended = async {
        while !io.has_ended {
            // An error is an end too.
            let _ = poll_fn(|cx| io.poll_bytes(cx, usize::MAX, |_| ())).await;
            consume_budget().await;
        }
    };
    // In time or not: what follows is the close.
    let _ = timeout(LINGER, ended).await;
}
