//! The example `tls`, talked to by curl, by `openssl s_client`, by rustls, and by clients that do not speak TLS.

use std::fs;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::future::select;
use futures::{AsyncReadExt, AsyncWriteExt};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::pki_types::CertificateDer;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use pollywog_net::TcpStream as AsyncTcpStream;
use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has;
use pollywog_tests::net;
use pollywog_tests::program::{self, Program, Signal};
use pollywog_tests::queues::sleeps_over;
use socket2::{Domain, Socket, Type};

/// A server, and the certificate that it made.
struct Server {
    program: Program,
    cert: PathBuf,
    _folder: Folder,
}

impl Server {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let cert = folder.file("cert.pem");
        let program = Program::start("tls", &[&["--write-cert", cert.to_str().unwrap()], arguments].concat());
        Self { program, cert, _folder: folder }
    }

    /// A connection of rustls, which has agreed on `protocol`.
    async fn connect(&self, protocol: &str) -> TlsStream<AsyncTcpStream> {
        self.over(AsyncTcpStream::connect(self.program.addr()).await.unwrap(), protocol).await
    }

    async fn over(&self, stream: AsyncTcpStream, protocol: &str) -> TlsStream<AsyncTcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.cert).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    /// Whether it still does what it is there for.
    fn still_serves(&self) {
        net::run(async {
            let mut stream = self.connect("echo").await;
            said_back(&mut stream, "are you there?").await;
            stream.close().await.unwrap();
            assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
        });
    }

    /// Asks for `/` with curl, which trusts the certificate in `cert`.
    fn curl(&self, cert: &Path, arguments: &[&str]) -> Output {
        let addr = self.program.addr();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--noproxy", "*"]).arg("--cacert").arg(cert);
        // Not the other loopback address, which somebody else may have.
        command.args(["--resolve", &format!("localhost:{}:127.0.0.1", addr.port())]).args(arguments);
        command.arg(format!("https://localhost:{}/", addr.port())).output().unwrap()
    }

    /// Ends it, and checks what it says of its connections.
    #[track_caller]
    fn end(self, summary: &str) {
        let ended = self.program.end(Signal::INT);
        assert!(ended.status.success(), "{ended:?}");
        let said = ended.said.lines().last().unwrap_or_default();
        assert_eq!((said, &*ended.complained), (summary, ""));
    }
}

async fn said_back(stream: &mut TlsStream<AsyncTcpStream>, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), text);
}

/// `openssl s_client`, connected to a server. It is killed when this is dropped.
struct OpenSsl {
    child: Child,
    out: BufReader<ChildStdout>,
    _watchdog: net::Watchdog,
}

impl OpenSsl {
    /// Connects, and trusts what the server made for `localhost` and nobody else.
    fn connect(server: &Server, arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &server.program.addr().to_string(), "-servername", "localhost"]);
        command.arg("-CAfile").arg(&server.cert).args(["-verify_return_error", "-verify_hostname", "localhost"]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, _watchdog: net::Watchdog::start() }
    }

    fn say(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Reads its output as far as a line with `text` in it, and gives that line.
    fn hear(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            assert_ne!(self.out.read_line(&mut all).unwrap(), 0, "it ended without '{text}':\n{all}");
            if all[start..].contains(text) {
                return all[start..].trim_end().to_owned();
            }
        }
    }

    /// The rest of its output, then what it complained of.
    fn end(mut self) -> String {
        let mut all = String::new();
        self.out.read_to_string(&mut all).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut all).unwrap();
        all
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn curl_gets_a_page_over_both_versions_of_http() {
    if !has("curl_gets_a_page_over_both_versions_of_http", "curl") {
        return;
    }
    let server = Server::start();
    let page = |arguments: &[&str]| {
        let output = server.curl(&server.cert, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(page(&["--http1.1"]), "hello over TLSv1_3 and HTTP/1.1\n");
    assert_eq!(page(&["--http1.1", "--tls-max", "1.2"]), "hello over TLSv1_2 and HTTP/1.1\n");
    assert_eq!(page(&["--no-alpn"]), "hello over TLSv1_3 and HTTP/1.1\n");
    // With `--http2`, curl takes what ALPN gives it.
    assert_eq!(page(&["--http2"]), "hello over TLSv1_3 and HTTP/2.0\n");
    server.end("connections: 4, failed: 0");
}

#[test]
fn curl_refuses_a_certificate_that_it_was_not_given() {
    if !has("curl_refuses_a_certificate_that_it_was_not_given", "curl") {
        return;
    }
    let (server, other) = (Server::start(), Server::start());
    let output = server.curl(&other.cert, &[]);
    // CURLE_PEER_FAILED_VERIFICATION
    assert_eq!((output.status.code(), &*output.stdout), (Some(60), &b""[..]), "{output:?}");
    server.still_serves();
    // It got an alert: 'unknown certificate authority'.
    server.end("connections: 2, failed: 1 (invalid data: 1)");
}

#[test]
fn openssl_sees_close_notify_behind_a_page() {
    if !has("openssl_sees_close_notify_behind_a_page", "openssl") {
        return;
    }
    let server = Server::start();
    for option in ["-tls1_2", "-tls1_3"] {
        let mut client = OpenSsl::connect(&server, &[option, "-alpn", "http/1.1", "-msg", "-crlf"]);
        client.say("GET / HTTP/1.1\nhost: localhost\nconnection: close\n\n");
        client.hear("hello over TLS");
        client.hear("close_notify");
        let rest = client.end();
        assert!(rest.contains("closed") && !rest.contains("unexpected eof"), "{rest}");
    }
    server.end("connections: 2, failed: 0");
}

#[test]
fn openssl_hears_its_own_words_in_both_versions() {
    if !has("openssl_hears_its_own_words_in_both_versions", "openssl") {
        return;
    }
    let server = Server::start();
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let mut client = OpenSsl::connect(&server, &[option, "-alpn", "echo"]);
        client.hear(&format!("New, {version}, Cipher is "));
        assert_eq!(client.hear("ALPN"), "ALPN protocol: echo");
        client.say("what you send comes back\n");
        assert_eq!(client.hear("what you"), "what you send comes back");
    }
}

#[test]
fn what_only_others_speak_is_refused_with_an_alert() {
    if !has("what_only_others_speak_is_refused_with_an_alert", "openssl") {
        return;
    }
    let server = Server::start();
    let said = OpenSsl::connect(&server, &["-alpn", "gopher"]).end();
    assert!(said.contains("no application protocol"), "{said}");
    let said = OpenSsl::connect(&server, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).end();
    assert!(said.contains("SSL alert number"), "{said}");
    server.still_serves();
}

/// Every byte comes back, in its order, also of what is far more than the buffers on the way hold. The client says that
/// it has nothing more to send, and still hears the rest.
#[test]
fn a_megabyte_comes_back_whole_after_close_notify() {
    let server = Server::start();
    net::run(async {
        let stream = server.connect("echo").await;
        let (mut reader, mut writer) = stream.split();
        let sent: Vec<u8> = (0..1 << 20).map(|index: u32| (index / 7) as u8).collect();
        let sending = async {
            writer.write_all(&sent).await.unwrap();
            writer.close().await.unwrap();
        };
        let mut came = Vec::new();
        // It ends with close_notify: without, this is an error.
        let (_, count) = futures::join!(sending, reader.read_to_end(&mut came));
        assert_eq!(count.unwrap(), sent.len());
        assert!(came == sent, "not what was sent");
    });
}

#[test]
fn a_peer_that_goes_without_close_notify_breaks_its_own_connection_alone() {
    let server = Server::start();
    net::run(async {
        let mut other = server.connect("echo").await;
        let mut stream = server.connect("echo").await;
        said_back(&mut stream, "hello").await;
        let (mut stream, _) = stream.into_inner();
        stream.close().await.unwrap();
        // Nothing but the end comes after that.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        said_back(&mut other, "I am still here").await;
        other.close().await.unwrap();
        assert_eq!(other.read(&mut [0; 64]).await.unwrap(), 0);
    });
    server.end("connections: 2, failed: 1 (unexpected end of file: 1)");
}

#[test]
fn what_is_no_tls_gets_an_alert_and_the_end() {
    let server = Server::start();
    let mut stream = server.program.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // An alert (21) of two bytes, that is fatal (2).
    assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{answer:?}");
    server.still_serves();
    server.end("connections: 2, failed: 1 (invalid data: 1)");
}

const PATIENCE: [&str; 2] = ["--handshake-timeout", "1000"];

#[test]
fn a_client_that_says_nothing_is_closed() {
    let server = Server::with(&PATIENCE);
    let mut stream = within_limit(server.program.connect());
    assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0);
    server.still_serves();
    server.end("connections: 2, failed: 1 (timed out: 1)");
}

/// Whoever sends the record of a handshake byte by byte has no more time than others.
#[test]
fn a_handshake_that_does_not_come_to_its_end_is_closed() {
    let server = Server::with(&PATIENCE);
    let mut stream = within_limit(server.program.connect());
    let mut dribbling = stream.try_clone().unwrap();
    dribbling.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
    let dribbling = thread::spawn(move || {
        let mut sent = 0;
        while dribbling.write_all(&[0]).is_ok() {
            sent += 1;
            assert!(sent < 500, "the whole record was taken");
            thread::sleep(Duration::from_millis(20));
        }
    });
    match stream.read(&mut [0; 64]) {
        Ok(count) => assert_eq!(count, 0),
        // The next byte came when it was closed already.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    dribbling.join().unwrap();
    server.still_serves();
    server.end("connections: 2, failed: 1 (timed out: 1)");
}

/// `stream`, whose reads fail long before a test is taken to hang.
fn within_limit(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(net::LIMIT)).unwrap();
    stream
}

/// The limit is one for the handshake, not for the connection.
#[test]
fn who_has_shaken_hands_may_be_silent() {
    let server = Server::with(&PATIENCE);
    net::run(async {
        let mut stream = server.connect("echo").await;
        // Somebody who came later is closed for being silent meanwhile.
        let mut silent = AsyncTcpStream::connect(server.program.addr()).await.unwrap();
        assert_eq!(silent.read(&mut [0; 64]).await.unwrap(), 0);
        said_back(&mut stream, "sorry, I was thinking").await;
    });
}

#[test]
fn who_is_connected_when_the_server_ends_hears_close_notify() {
    let server = Server::start();
    net::run(async {
        let mut stream = server.connect("echo").await;
        said_back(&mut stream, "hello").await;
        server.end("connections: 1, failed: 0");
        // Without close_notify, this is an error.
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
    });
}

#[test]
fn what_was_said_before_the_server_ends_comes_back() {
    let server = Server::start();
    net::run(async {
        // Its system keeps little for it: most of what comes back waits in that of the server.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(&server.program.addr().into()).unwrap();
        let mut slow = server.over(AsyncTcpStream::from_std(socket.into()).unwrap(), "echo").await;
        let said = vec![b'a'; 16_000];
        slow.write_all(&said).await.unwrap();
        slow.flush().await.unwrap();
        let mut other = server.connect("echo").await;
        said_back(&mut other, "hello").await;
        let ending = thread::spawn(move || server.end("connections: 2, failed: 0"));
        assert_eq!(other.read(&mut [0; 64]).await.unwrap(), 0);
        slow.write_all(b"one more").await.unwrap();
        slow.flush().await.unwrap();
        let mut came = Vec::new();
        slow.read_to_end(&mut came).await.unwrap();
        assert!(came == said, "{} bytes came", came.len());
        drop((slow, other));
        ending.join().unwrap();
    });
}

#[test]
fn who_does_not_read_what_comes_back_is_cut_off_at_the_end() {
    let server = Server::start();
    net::run(async {
        let socket = TcpStream::connect(server.program.addr()).unwrap();
        let seen = socket.try_clone().unwrap();
        let mut stream = server.over(AsyncTcpStream::from_std(socket).unwrap(), "echo").await;
        // Until it sleeps though there is something to read: it waits for room.
        let is_full = poll_fn(|cx| match sleeps_over(&server.program, &seen) {
            Some(_) => Poll::Ready(()),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        });
        let writing = async { while stream.write_all(&[b'a'; 16 << 10]).await.is_ok() {} };
        select(pin!(writing), is_full).await;
        server.end("connections: 1, failed: 1 (timed out: 1)");
    });
}

#[test]
fn a_certificate_of_ones_own_is_used() {
    let (first, folder) = (Server::start(), Folder::new());
    let (cert, key) = (folder.file("cert.pem"), folder.file("key.pem"));
    if !has("a_certificate_of_ones_own_is_used", "openssl") {
        return;
    }
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&cert).output().unwrap();
    assert!(made.status.success(), "{made:?}");

    let files = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let server = Server { program: Program::start("tls", &files), cert: cert.clone(), _folder: folder };
    server.still_serves();
    // The key of another certificate does not pass for its own.
    let mixed = ["--addr", "127.0.0.1:0", "--cert", first.cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    program::run("tls", &mixed).failed_with(1, "tls: no TLS with this certificate: ");
}

#[test]
fn files_that_are_no_certificate_are_one_line() {
    let folder = Folder::new();
    let [empty, missing] = ["empty.pem", "missing.pem"].map(|name| folder.file(name).to_str().unwrap().to_owned());
    fs::write(&empty, "").unwrap();
    let run = |arguments: &[&str]| program::run("tls", &[&["--addr", "127.0.0.1:0"], arguments].concat());
    run(&["--cert", &empty]).failed_with(2, "--key <FILE>");
    run(&["--key", &empty]).failed_with(2, "--cert <FILE>");
    run(&["--cert", &missing, "--key", &missing]).failed_with(1, &format!("tls: cannot use {missing}: "));
    run(&["--cert", &empty, "--key", &empty]).failed_with(1, &format!("tls: cannot use {empty}: "));
    run(&["--write-cert", "/proc/nowhere"]).failed_with(1, "tls: cannot write /proc/nowhere: ");
    run(&["--handshake-timeout", "0"]).failed_with(2, "--handshake-timeout");
}
