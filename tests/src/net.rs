//! What the tests of `pollywog-net` share: connected sockets, poll counts, child processes, and limits on everything.

use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use pollywog_net::task::yield_now;
use pollywog_net::time::timeout;
use pollywog_net::{TcpListener, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// How long a test waits for anything before it fails.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs `future` on a runtime of its own, and fails when it takes longer than [`LIMIT`].
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = Watchdog::start();
    pollywog_net::run(async { timeout(LIMIT, future).await.expect("it hangs") }).expect("there are descriptors")
}

/// Ends the process if it is not dropped within twice [`LIMIT`]: for loops that a timer cannot interrupt.
#[derive(Debug)]
pub struct Watchdog(#[expect(dead_code, reason = "dropping it tells the thread")] mpsc::Sender<()>);

impl Watchdog {
    /// Starts the time.
    pub fn start() -> Self {
        let (alive, dropped) = mpsc::channel::<()>();
        let test = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            if dropped.recv_timeout(2 * LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{test} hangs, and its loop does not turn");
                process::abort();
            }
        });
        Self(alive)
    }
}

/// A connection, both ends here.
pub async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

/// A connection whose other end is a blocking socket of std, for a test that acts as the peer between two turns.
pub async fn with_peer() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (stream, peer)
}

/// Resets the connection.
pub fn reset(peer: std::net::TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Ends what `peer` sends.
pub fn finish(peer: &std::net::TcpStream) {
    peer.shutdown(Shutdown::Write).unwrap();
}

/// What can have arrived at a socket.
pub use rustix::event::PollFlags as Arrival;

/// Blocks the thread until the kernel has all of `what` for `socket`, without telling the reactor.
pub fn arrived(socket: &impl AsFd, what: Arrival) {
    let limit = Timespec { tv_sec: LIMIT.as_secs() as i64, tv_nsec: 0 };
    loop {
        let mut fds = [PollFd::new(socket, what)];
        assert_ne!(poll(&mut fds, Some(&limit)).unwrap(), 0, "{what:?} does not arrive");
        if fds[0].revents().contains(what) {
            return;
        }
        assert!(!fds[0].revents().contains(PollFlags::NVAL), "the socket is closed");
        thread::yield_now();
    }
}

/// Blocks the thread until `count` bytes can be read from `socket`.
pub fn arrived_bytes(socket: &impl AsFd, count: usize) {
    arrived(socket, Arrival::IN);
    while rustix::io::ioctl_fionread(socket).unwrap() < count as u64 {
        thread::yield_now();
    }
}

/// Reads once, with the stream borrowed: several can be under way.
pub async fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.read(buffer).await
}

/// What `stream` gives until its end, read with a buffer that is larger than anything small that comes.
pub async fn rest_of(stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match read(stream, &mut buffer).await.unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Writes until there is no room, and gives the number of bytes.
pub fn fill(mut stream: &TcpStream) -> usize {
    let mut total = 0;
    while let Some(count) = stream.write(&[0; 1 << 16]).now_or_never() {
        total += count.unwrap();
    }
    total
}

/// An address that refuses connections for as long as the socket lives: it is bound, so nobody else gets the port, and
/// does not listen.
pub fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// Lets the reactor look `count` times.
pub async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Polls a new future each time, until one is ready: those before are dropped after their one poll.
pub async fn anew<R>(mut make: impl AsyncFnMut() -> R) -> R {
    loop {
        if let Poll::Ready(result) = futures::poll!(std::pin::pin!(make())) {
            return result;
        }
        turns(1).await;
    }
}

/// A future that counts its polls.
#[derive(Debug)]
pub struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Polls,
}

/// How often a [`Counted`] future was polled.
#[derive(Debug, Clone, Default)]
pub struct Polls(Arc<AtomicUsize>);

impl Polls {
    /// The number so far.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts the polls of `future`.
pub fn counted<F: Future>(future: F) -> (Counted<F>, Polls) {
    let polls = Polls::default();
    (Counted { future: Box::pin(future), polls: polls.clone() }, polls)
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.0.fetch_add(1, Ordering::SeqCst);
        self.future.as_mut().poll(cx)
    }
}

/// How many descriptors the process has open.
pub fn descriptors() -> usize {
    // The directory itself is open while it is read.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Small numbers that look random and are the same at each run.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end` (splitmix64).
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) % end as u64) as usize
    }
}

const CHILD: &str = "POLLYWOG_NET_CHILD";

/// Inside the child process that [`child`] made for this test: its argument.
pub fn inside(test: &str) -> Option<String> {
    let value = env::var(CHILD).ok()?;
    let (name, argument) = value.split_once(' ')?;
    (name == test).then(|| argument.to_owned())
}

/// The command that runs `test` alone, in a process of its own: the test binary again, under `wrapper` if there is
/// one.
pub fn child(wrapper: &[&str], test: &str, argument: &str) -> Command {
    let binary = env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(binary),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, format!("{test} {argument}")).stdin(Stdio::null());
    command
}

/// Runs [`child`] and fails as it does.
pub fn run_child(wrapper: &[&str], test: &str, argument: &str) {
    let _watchdog = Watchdog::start();
    let output = child(wrapper, test, argument).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "the child of '{test} {argument}': {}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no child ran '{test}':\n{out}\n{err}");
}

/// Runs `body` in a process of its own: for a test that counts descriptors, or needs one of a known number.
pub fn alone(test: &str, body: impl FnOnce()) {
    match inside(test) {
        Some(_) => body(),
        None => run_child(&[], test, ""),
    }
}

/// The command line that lets a child's system calls fail, as in `epoll_wait:error=EINTR:when=1`, or `None`, with a
/// line that says so, where strace cannot be used.
pub fn strace(test: &str, injection: &str) -> Option<Vec<String>> {
    if env::var_os("POLLYWOG_SANITIZER").is_some() {
        eprintln!("{test} is skipped: LeakSanitizer does not run under strace");
        return None;
    }
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{test} needs strace");
        eprintln!("{test} is skipped: it needs strace");
        return None;
    }
    let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={injection}")];
    Some(words.map(str::to_owned).to_vec())
}

/// [`run_child`] under [`strace`].
pub fn run_injected(injection: &str, test: &str, argument: &str) {
    if let Some(wrapper) = strace(test, injection) {
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        run_child(&wrapper, test, argument);
    }
}

/// Gives the warnings of `pollywog-net` on this thread, as text, until the guard is dropped.
pub fn warnings() -> (UnboundedReceiver<String>, tracing::subscriber::DefaultGuard) {
    let (sender, receiver) = unbounded();
    crate::log::ask_each_time();
    (receiver, tracing::subscriber::set_default(Warnings(sender)))
}

struct Warnings(UnboundedSender<String>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("pollywog::net")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        // Nobody listens any more when the test is over.
        let _ = self.0.unbounded_send(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}
