//! HTTP on a [`Server`].

use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::rc::Rc;

use ::hyper::body::{Body, Incoming};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use futures::io::{AsyncRead, AsyncWrite};

use super::Http;
use crate::server::{Accepted, Addr, Connection, Drained, Listener, Server};

impl Http {
    /// Serves one connection of a [`Server`], for a handler of your own: one whose service is to know the peer, or one
    /// that goes on with what an upgrade left.
    ///
    /// # Errors
    ///
    /// As [the module](crate::http#errors) says.
    ///
    /// # Panics
    ///
    /// As [`serve_stream`](Self::serve_stream).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_stream`](Self::serve_stream).
    ///
    /// # Examples
    ///
    /// The service opens a tunnel, and the handler goes on with it. So the limits of the server and its shutdown still
    /// hold for the connection.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::cell::Cell;
    /// use std::io;
    ///
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
    /// use pollywog_net::{TcpStream, http::Http, hyper::PollywogIo, spawn};
    /// use pollywog_net::server::{Connection, Server};
    ///
    /// async fn serve(connection: Connection) -> io::Result<()> {
    ///     let upgrade = Cell::new(None);
    ///     let service = service_fn(|request: Request<Incoming>| {
    ///         upgrade.set(Some(hyper::upgrade::on(request)));
    ///         let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    ///         async { response.header("connection", "upgrade").header("upgrade", "echo").body(String::new()) }
    ///     });
    ///     Http::new().serve_connection(connection, service).await?;
    ///     if let Some(upgraded) = upgrade.take() {
    ///         let upgraded = upgraded.await.map_err(io::Error::other)?;
    ///         let (reader, mut writer) = PollywogIo::new(upgraded).split();
    ///         futures::io::copy(reader, &mut writer).await?;
    ///         writer.close().await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// pollywog_net::run(async {
    ///     let server = Server::bind("127.0.0.1:0").await?;
    ///     let addr = server.listener().local_addr()?;
    ///     spawn(server.serve(serve));
    ///
    ///     let mut client = TcpStream::connect(addr).await?;
    ///     client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n").await?;
    ///     client.write_all(b"connection: upgrade\r\nupgrade: echo\r\n\r\nno more HTTP").await?;
    ///     client.shutdown(std::net::Shutdown::Write)?;
    ///     let mut answer = String::new();
    ///     client.read_to_string(&mut answer).await?;
    ///     assert!(answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\nno more HTTP"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn serve_connection<S, T, B>(&self, connection: Connection<S>, service: T) -> io::Result<()>
    where
        S: Accepted + AsyncRead + AsyncWrite,
        T: Service<Request<Incoming>, Response = Response<B>>,
        T::Future: 'static,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let shutdown = connection.shutdown_token().clone();
        self.serve_stream(connection, &shutdown, service).await
    }

    /// As [`serve_until`](Self::serve_until), without an end.
    ///
    /// # Errors
    ///
    /// As [`Server::serve_until`].
    ///
    /// # Cancel safety
    ///
    /// As [`Server::serve_until`].
    pub async fn serve<L, T, B>(&self, server: Server<L>, service: T) -> io::Result<()>
    where
        L: Listener,
        T: Service<Request<Incoming>, Response = Response<B>> + 'static,
        T::Future: 'static,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        self.serve_until(server, service, pending::<()>()).await.map(drop)
    }

    /// Serves all that comes to `server`, until `shutdown` is ready and what had been asked is answered.
    ///
    /// Connections share the service. What ends one is counted in the server's [`Status`](crate::server::Status), by its
    /// kind. Where half the deadline of the shutdown is less than the [grace](Self::keep_alive_grace), that is the grace.
    ///
    /// A connection that a service upgrades, and hands to a task of its own, is not the server's any more: it is beyond
    /// its limits, and its shutdown does not wait for it. [`serve_connection`](Self::serve_connection) shows what to do.
    ///
    /// # Errors
    ///
    /// As [`Server::serve_until`].
    ///
    /// # Cancel safety
    ///
    /// As [`Server::serve_until`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::{convert::Infallible, io, time::Duration};
    /// use hyper::{Request, Response, body::Incoming, service::service_fn};
    /// use pollywog_net::{http::Http, server::Server, signal};
    ///
    /// async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    ///     Ok(Response::new("hello\n".to_owned()))
    /// }
    ///
    /// fn main() -> io::Result<()> {
    ///     pollywog_net::run(async {
    ///         let server = Server::bind("127.0.0.1:8080").await?.idle_timeout(Duration::from_secs(60));
    ///         let drained = Http::new().serve_until(server, service_fn(hello), signal::ctrl_c()).await?;
    ///         println!("{} requests were cut off", drained.left().len());
    ///         Ok(())
    ///     })?
    /// }
    /// ```
    pub async fn serve_until<L, T, B>(
        &self,
        server: Server<L>,
        service: T,
        shutdown: impl Future,
    ) -> io::Result<Drained<Addr<L>>>
    where
        L: Listener,
        T: Service<Request<Incoming>, Response = Response<B>> + 'static,
        T::Future: 'static,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data: 'static, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let grace = self.keep_alive_grace.min(server.get_drain_timeout() / 2);
        let shared = Rc::new((self.clone().keep_alive_grace(grace), service));
        let handler = |connection: Connection<L::Stream>| {
            let shared = shared.clone();
            async move {
                let shutdown = connection.shutdown_token().clone();
                shared.0.serve_stream(connection, &shutdown, &shared.1).await
            }
        };
        server.serve_until(shutdown, handler).await
    }
}
