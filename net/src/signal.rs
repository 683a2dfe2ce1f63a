//! Signals of the process, as something to await.
//!
//! Each [`Signal`] has a socket pair of its own. The handler, that of the crate signal-hook, writes a byte to every pair
//! whose signal came; the other end is a source of the reactor like any other socket.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read};
use std::os::raw::c_int;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use signal_hook::{SigId, consts, low_level};

use crate::source::{Left, Source};
use crate::sources::Direction;
use crate::trace;
use crate::waiter::Waiter;

/// Waits for the next Ctrl-C (SIGINT). Those that come before this is first polled count for nothing.
///
/// From then on SIGINT no longer ends the process, also when this is done or dropped: see [`signal`].
///
/// # Errors
///
/// As [`signal`], and where no runtime runs.
///
/// # Cancel safety
///
/// Dropping it closes its descriptors. What comes then is lost: to hear every one, keep a [`Signal`].
///
/// # Examples
///
/// ```no_run
/// use std::future::pending;
/// use pollywog_net::{signal, spawn};
///
/// pollywog_net::run(async {
///     spawn(async { pending::<()>().await }); // a server
///     signal::ctrl_c().await
/// })?
/// # .map(drop)
/// # ; Ok::<(), std::io::Error>(())
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.heard().await
}

/// Listens for a signal from now on.
///
/// The first call for a kind installs a handler, for the whole process and for good: the signal's default action, such
/// as ending the process, does not come back when every [`Signal`] is dropped. A handler that was there before is called
/// too. Any number of `Signal`s, on any threads and runtimes, may listen for one kind, and each hears every signal.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for SIGKILL, SIGSTOP, SIGILL, SIGFPE and SIGSEGV, which are not for
/// handlers, and for numbers that are no signals. When the process has no descriptor left: it takes two.
///
/// # Examples
///
/// ```standalone_crate
/// # fn main() -> std::io::Result<()> {
/// use pollywog_net::signal::{SignalKind, signal};
/// use signal_hook::low_level::raise;
///
/// pollywog_net::run(async {
///     let mut reload = signal(SignalKind::hangup())?;
///     raise(SignalKind::hangup().as_raw_value())?;
///     reload.recv().await; // read the configuration again
///     Ok(())
/// })?
/// # }
/// ```
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    if consts::FORBIDDEN.contains(&kind.0) {
        let text =
            format!("{kind} cannot be listened for: SIGKILL, SIGSTOP, SIGILL, SIGFPE and SIGSEGV are not for handlers");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (ours, handlers) = mio::net::UnixStream::pair()?;
    let id = low_level::pipe::register(kind.0, handlers)
        .map_err(|error| io::Error::new(error.kind(), format!("{kind} cannot be listened for: {error}")))?;
    Ok(Signal { id, kind, source: Source::new(ours) })
}

/// Hears the signals of one [kind](SignalKind), from the moment when [`signal`] made it.
///
/// Signals are not counted: those that come before they are asked for are not lost, but become one. The next
/// [`recv`](Self::recv) is done at once, and the one after it waits.
///
/// It is also a [`Stream`] of them. It may move to another thread and be awaited on the runtime there. Dropping it closes
/// its descriptors.
pub struct Signal {
    id: SigId,
    kind: SignalKind,
    source: Source<mio::net::UnixStream>,
}

impl Signal {
    /// Waits until the signal has come since the last time. `None` means that it cannot wait: no runtime runs on this
    /// thread, or the system refuses; a `tracing` warning says which.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a signal that this has not answered is there for the next.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use pollywog_net::signal::{SignalKind, signal};
    ///
    /// let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    /// futures::future::select(Box::pin(interrupt.recv()), Box::pin(terminate.recv())).await;
    /// println!("the process is to end");
    /// # Ok(()) }
    /// ```
    pub async fn recv(&mut self) -> Option<()> {
        self.answer(self.heard().await)
    }

    /// As [`recv`](Self::recv). The waker of the task that polled last is woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_heard(cx, None).map(|result| self.answer(result))
    }

    async fn heard(&self) -> io::Result<()> {
        let waiter = Waiter::new(Direction::Read);
        poll_fn(|cx| self.poll_heard(cx, Some(&waiter))).await
    }

    fn poll_heard(&self, cx: &mut Context<'_>, waiter: Option<&Waiter>) -> Poll<io::Result<()>> {
        self.source.poll_io(cx, Direction::Read, waiter, |io| drain(io).map(Left::Maybe))
    }

    fn answer(&self, result: io::Result<()>) -> Option<()> {
        result.inspect_err(|error| trace::signal_unheard(self.kind, error)).ok()
    }
}

/// Takes out what has come, all of it: signals that nobody asked for yet are one.
fn drain(mut io: &mio::net::UnixStream) -> io::Result<()> {
    let mut bytes = [0; 256];
    let mut has_come = false;
    loop {
        match io.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) if count == bytes.len() => has_come = true,
            Ok(_) => return Ok(()),
            Err(_) if has_come => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_recv(cx)
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // Closes the handler's end, when no handler is about to write to it.
        low_level::unregister(self.id);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Which signal.
///
/// # Examples
///
/// ```
/// use pollywog_net::signal::SignalKind;
///
/// assert_eq!(SignalKind::terminate().to_string(), "SIGTERM");
/// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $signal:ident)*) => {$(
        $(#[$doc])*
        pub const fn $name() -> Self {
            Self(consts::$signal)
        }
    )*};
}

impl SignalKind {
    kinds! {
        /// SIGALRM: a timer of the system's has come.
        alarm SIGALRM
        /// SIGCHLD: a child process has ended, stopped or gone on. Ignored by default.
        child SIGCHLD
        /// SIGHUP: the terminal is gone. For servers: read the configuration again.
        hangup SIGHUP
        /// SIGINT: Ctrl-C.
        interrupt SIGINT
        /// SIGIO: a descriptor that was set up for it is ready.
        io SIGIO
        /// SIGPIPE: a pipe or socket was written to whose reader is gone. Rust programs ignore it.
        pipe SIGPIPE
        /// SIGQUIT: Ctrl-\\, to end with a core dump.
        quit SIGQUIT
        /// SIGTERM: to end, in good order.
        terminate SIGTERM
        /// SIGUSR1: whatever the program makes of it.
        user_defined1 SIGUSR1
        /// SIGUSR2: whatever the program makes of it.
        user_defined2 SIGUSR2
        /// SIGWINCH: the terminal has another size. Ignored by default.
        window_change SIGWINCH
    }

    /// The signal of that number, whether there is one or not.
    pub const fn from_raw(signal: c_int) -> Self {
        Self(signal)
    }

    /// The system's number.
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }
}

impl From<c_int> for SignalKind {
    fn from(signal: c_int) -> Self {
        Self::from_raw(signal)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> Self {
        kind.0
    }
}

/// Its name, as in `SIGINT`, or `signal 40` where it has none.
impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match low_level::signal_name(self.0) {
            Some(name) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}
