//! HTTPS, and an echo over TLS, on one port: ALPN decides.
//!
//! ```text
//! cargo run --release --example tls -- --write-cert /tmp/pollywog.pem
//! curl --cacert /tmp/pollywog.pem https://localhost:7443/
//! openssl s_client -connect localhost:7443 -CAfile /tmp/pollywog.pem -alpn echo -quiet
//! ```
//!
//! What to look at: futures-rustls takes any stream of `futures::io`, so our sockets need no adapter. The handshake has a
//! limit of its own, since a client that connects and says nothing would hold its place. The end of a TLS stream is
//! close_notify: where the connection ends without it, somebody may have cut off what was still to come, and that is an
//! error, of this connection alone. Ctrl-C tells what there was of each kind, and with `RUST_LOG=debug` each is told at
//! once.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::server::TlsStream;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use pollywog_examples::{address, explain, interrupted, listen, say, summary, warn};
use pollywog_net::cancel::CancelToken;
use pollywog_net::http::Http;
use pollywog_net::server::{Connection, Server};
use pollywog_net::time;
use rcgen::{CertificateParams, CertifiedKey, DnType, KeyPair};

/// More wait in the queue of the system.
const CONNECTIONS: usize = 1_000;
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How long the end of a connection waits for the peer to read it.
const LINGER: Duration = Duration::from_secs(1);
/// How long a peer may take to read what is sent back to it, when the server ends.
const LAST: Duration = Duration::from_secs(2);
/// How long a certificate that is made here is good for.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What ALPN offers, the best first. A client that does not ask gets HTTP.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", ECHO];
const ECHO: &[u8] = b"echo";

#[derive(Clone)]
struct Site {
    tls: TlsAcceptor,
    http: Http,
    /// How long the handshake may take.
    patience: Duration,
}

async fn attend(connection: Connection, site: Site) -> io::Result<()> {
    let shutdown = connection.shutdown_token().clone();
    let handshake = time::timeout(site.patience, site.tls.accept(connection)).await;
    let stream = handshake.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time"))??;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() == Some(ECHO) {
        return echo(stream, &shutdown).await;
    }
    let version = session.protocol_version();
    let hello = service_fn(move |request: Request<Incoming>| async move {
        let tls = version.and_then(|version| version.as_str()).unwrap_or("TLS");
        Ok::<_, Infallible>(Response::new(format!("hello over {tls} and {:?}\n", request.version())))
    });
    site.http.serve_stream(stream, &shutdown, hello).await
}

/// Sends everything back until the peer has said that this was all, or the server ends.
async fn echo(mut stream: TlsStream<Connection>, shutdown: &CancelToken) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let late = async {
        shutdown.cancelled().await;
        time::sleep(LAST).await;
    };
    match select(pin!(send_back(&mut stream, &mut buffer, shutdown)), pin!(late)).await {
        Either::Left((result, _)) => result?,
        Either::Right(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "what came back was not read in time")),
    }
    // A socket that is closed with something unread resets the connection, and takes along what the peer has not read.
    let _ = time::timeout(LINGER, async {
        // With close_notify.
        stream.close().await?;
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
    Ok(())
}

async fn send_back(stream: &mut TlsStream<Connection>, buffer: &mut [u8], shutdown: &CancelToken) -> io::Result<()> {
    while let Some(count) = shutdown.run_until_cancelled(stream.read(buffer)).await {
        match count? {
            0 => break,
            count => stream.write_all(&buffer[..count]).await?,
        }
        // What the socket had no room for waits in the session.
        stream.flush().await?;
    }
    Ok(())
}

/// A certificate with its chain, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(cert: &Path, key: &Path) -> io::Result<Identity> {
    let cannot = |file: &Path, error| io::Error::other(format!("cannot use {}: {error}", file.display()));
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|error| cannot(cert, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| cannot(key, error))?;
    Ok((chain, key))
}

/// One for this machine, which only those trust who were given it.
fn make_identity(write_to: Option<&Path>) -> io::Result<Identity> {
    let CertifiedKey { cert, signing_key } = self_signed().map_err(io::Error::other)?;
    if let Some(file) = write_to {
        fs::write(file, cert.pem())
            .map_err(|error| explain(format_args!("cannot write {}", file.display()), &error))?;
    }
    Ok((vec![cert.der().clone()], signing_key.into()))
}

fn self_signed() -> Result<CertifiedKey<KeyPair>, rcgen::Error> {
    let signing_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let now = SystemTime::now();
    // A clock that is a little behind is no reason to refuse it.
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + VALIDITY).into();
    let cert = params.self_signed(&signing_key)?;
    Ok(CertifiedKey { cert, signing_key })
}

fn acceptor(options: &Options) -> io::Result<TlsAcceptor> {
    let (chain, key) = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => read_identity(cert, key)?,
        _ => make_identity(options.write_cert.as_deref())?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| io::Error::other(format!("no TLS with this certificate: {error}")))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config).into())
}

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let patience = Duration::from_millis(options.handshake_timeout);
    let site = Site { tls: acceptor(&options)?, http: Http::new(), patience };
    let server = Server::new(listen(&options.addr).await?).max_connections(CONNECTIONS).idle_timeout(IDLE);
    if let Some(file) = &options.write_cert {
        say(format_args!("the certificate is in {}", file.display()));
    }
    let status = server.status();
    let drained = server.serve_until(interrupted, |connection| attend(connection, site.clone())).await?;
    say(summary(&status));
    for left in drained.left() {
        warn(format_args!("{} was cut off after {:?}", left.peer, left.age));
    }
    Ok(())
}

/// A server of HTTPS and of an echo over TLS, until Ctrl-C.
#[derive(Parser)]
#[command(
    name = "tls",
    after_help = "Try it: `tls --write-cert cert.pem`, then `curl --cacert cert.pem https://localhost:7443/`."
)]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7443", value_parser = address)]
    addr: String,

    /// A certificate and its chain (PEM), instead of one that is made at the start
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "write_cert")]
    cert: Option<PathBuf>,

    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Where to leave the certificate that is made at the start, for clients that are to trust it
    #[arg(long, value_name = "FILE")]
    write_cert: Option<PathBuf>,

    /// How long a client may take to the end of the handshake, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    handshake_timeout: u64,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
