//! A descriptor and who has it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use mio::unix::SourceFd;
use mio::{Interest as Events, Token};
use socket2::SockRef;

use super::AsyncFdReadyGuard;
use crate::interest::Interest;
use crate::registration;
use crate::source::{Io, Left, Source};

/// Any descriptor that can be waited for: a pipe, a terminal, an eventfd, a timerfd, inotify, a pidfd, a socket of a kind
/// that has no type here.
///
/// The descriptor has to be non-blocking. Regular files, directories and devices such as `/dev/null` cannot be waited
/// for: the system calls them ready at any time, though reading them may take long. They are for the blocking pool, by
/// `spawn_blocking` or the feature `fs`.
///
/// There are three ways to use it. [`async_io`](Self::async_io) runs an operation until it does not block.
/// [`readable`](Self::readable) and its kin wait, and give a [guard](AsyncFdReadyGuard) that keeps the books of what was
/// ready. And where `&T` can be read or written with std's traits, the `AsyncFd` (and `&AsyncFd`) can be with those of
/// `futures::io`; their `poll_*` methods keep the waker of the task that polled last, one for each direction.
///
/// It is registered when something first waits, for every [`Interest`] at once. Dropping it deregisters the descriptor
/// and drops `T`, which may leave it open: `T` can be a borrowed descriptor or an `Arc`. Two of them on one descriptor
/// (not on duplicates, which are fine) cannot both wait on a thread: the second gets an error.
///
/// Whether it blocks belongs to what is open, and not to the descriptor: making an inherited terminal or pipe
/// non-blocking makes it so for every process that shares it. A terminal can be opened anew, as `/dev/tty`.
///
/// # Examples
///
/// ```
/// use pollywog_net::{AsyncFd, Interest};
/// use rustix::event::{EventfdFlags, eventfd};
/// use rustix::io::{read, write};
///
/// # pollywog_net::run(async {
/// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
/// write(&event, &3_u64.to_ne_bytes())?;
/// let mut count = [0; 8];
/// event.async_io(Interest::READABLE, |event| Ok(read(event, &mut count)?)).await?;
/// assert_eq!(u64::from_ne_bytes(count), 3);
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
///
/// A pipe of std's:
///
/// ```
/// use futures::AsyncReadExt;
/// use pollywog_net::AsyncFd;
/// use std::io::Write;
///
/// # pollywog_net::run(async {
/// let (reader, mut writer) = std::io::pipe()?;
/// rustix::io::ioctl_fionbio(&reader, true)?; // non-blocking
/// let mut reader = AsyncFd::new(reader)?;
/// writer.write_all(b"hello")?;
/// drop(writer);
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
pub struct AsyncFd<T: AsFd> {
    /// Gone only when it was taken to be deregistered: `T` may leave the descriptor open.
    source: Option<Source<Fd<T>>>,
}

/// Any descriptor as a source.
pub(super) struct Fd<T>(pub(super) T);

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsFd> Io for Fd<T> {
    // Nobody knows what it is: an eventfd as a semaphore gives one at a time.
    const SHORT_MEANS_DRAINED: bool = false;
    // It may be borrowed from somebody who has another of these.
    const OWNS_DESCRIPTOR: bool = false;
}

impl<T: AsFd> AsyncFd<T> {
    /// Takes a descriptor, which has to be non-blocking. It need not be inside a runtime.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) when the descriptor cannot be waited for, and
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when it is blocking: one operation would stop every task of the
    /// thread. `T` is dropped.
    ///
    /// # Examples
    ///
    /// See [`AsyncFd`]; and what does not work:
    ///
    /// ```
    /// use pollywog_net::AsyncFd;
    ///
    /// let file = std::fs::File::open("/")?;
    /// assert_eq!(AsyncFd::new(file).unwrap_err().kind(), std::io::ErrorKind::Unsupported);
    /// let (reader, _writer) = std::io::pipe()?;
    /// assert_eq!(AsyncFd::new(reader).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new(inner: T) -> io::Result<Self> {
        check(inner.as_fd())?;
        Ok(Self { source: Some(Source::new(Fd(inner))) })
    }

    pub(super) fn source(&self) -> &Source<Fd<T>> {
        self.source.as_ref().expect("it is taken by who takes or drops the whole")
    }

    /// The descriptor's owner.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// rustix::io::write(event.get_ref(), &1_u64.to_ne_bytes())?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.source().io().0
    }

    /// The descriptor's owner, to be changed. It may have another descriptor afterwards, so it is deregistered, and
    /// registered anew when something next waits: two system calls. What is ready then is reported then.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let mut event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// *event.get_mut() = eventfd(1, EventfdFlags::NONBLOCK)?;
    /// event.readable().await?.retain_ready();
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.source.as_mut().expect("it is taken by who takes or drops the whole").io_mut().0
    }

    /// Gives the descriptor's owner back; the descriptor is registered nowhere.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// let event: std::os::fd::OwnedFd = event.into_inner();
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_inner(mut self) -> T {
        self.source.take().expect("it is taken by who takes or drops the whole").into_io().0
    }

    /// Waits until something can be read, or reading would not block for another reason: the end, an error. It can be
    /// wrong: the operation tells.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be registered with this thread's runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until it is cleared.
    ///
    /// # Examples
    ///
    /// See [`AsyncFdReadyGuard`].
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until something can be written, or writing would not block for another reason: the reader is gone, an
    /// error. It can be wrong: the operation tells.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be registered with this thread's runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until it is cleared.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// use std::io::Write;
    ///
    /// let (reader, writer) = std::io::pipe()?;
    /// # rustix::io::ioctl_fionbio(&writer, true)?;
    /// let writer = AsyncFd::new(writer)?;
    /// let count = loop {
    ///     match writer.writable().await?.try_io(|writer| writer.get_ref().write(b"hello")) {
    ///         Ok(result) => break result?,
    ///         Err(_would_block) => {}
    ///     }
    /// };
    /// assert_eq!(count, 5);
    /// # drop(reader); std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits for any of `interest`, and gives a guard that says what of it was reported. Closed directions count as
    /// ready, since an operation would not block. It can be wrong: the operation tells.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be registered with this thread's runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until it is cleared.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{AsyncFd, Interest};
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(1, EventfdFlags::NONBLOCK)?)?;
    /// let guard = event.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(guard.ready().is_readable() || guard.ready().is_writable());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let ready = self.source().ready(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, ready))
    }

    /// As [`readable`](Self::readable), for hand-written futures. The waker of the task that polled reading last, by
    /// whichever `poll_*` method, is kept.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(1, EventfdFlags::NONBLOCK)?)?;
    /// let mut guard = std::future::poll_fn(|cx| event.poll_read_ready(cx)).await?;
    /// guard.retain_ready();
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let ready = self.source().poll_ready(cx, Interest::READABLE, None);
        ready.map_ok(|ready| AsyncFdReadyGuard::new(self, ready))
    }

    /// As [`writable`](Self::writable), for hand-written futures. The waker of the task that polled writing last, by
    /// whichever `poll_*` method, is kept.
    ///
    /// # Errors
    ///
    /// As [`writable`](Self::writable).
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// let mut guard = std::future::poll_fn(|cx| event.poll_write_ready(cx)).await?;
    /// guard.retain_ready();
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let ready = self.source().poll_ready(cx, Interest::WRITABLE, None);
        ready.map_ok(|ready| AsyncFdReadyGuard::new(self, ready))
    }

    /// Runs an operation on the descriptor, once. It must be one of `interest`, and give
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) exactly where the system did: the readiness is then used up, and waited
    /// for anew.
    ///
    /// # Errors
    ///
    /// Those of `operation`; and `WouldBlock`, without running it, when it is known that it would block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollywog_net::{AsyncFd, Interest};
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// # use rustix::io::read;
    /// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// let result = event.try_io(Interest::READABLE, |event| Ok(read(event, &mut [0; 8])?));
    /// assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_io<R>(&self, interest: Interest, operation: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.source().try_io(interest, |fd| operation(&fd.0).map(Left::Maybe))
    }

    /// Runs an operation on the descriptor whenever it is ready for `interest`, until it does not block. It must give
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) exactly where the system did.
    ///
    /// # Errors
    ///
    /// Those of `operation`, and when the descriptor cannot be registered with this thread's runtime.
    ///
    /// # Cancel safety
    ///
    /// `operation` runs in the poll that ends this, or it blocked: nothing of ours is lost.
    ///
    /// # Examples
    ///
    /// See [`AsyncFd`].
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source().async_io(interest, |fd| operation(&fd.0)).await
    }
}

/// Refuses what cannot be waited for, before anybody waits.
fn check(fd: BorrowedFd<'_>) -> io::Result<()> {
    // A selector of its own: no runtime need turn on this thread. With no descriptor left for it, the first wait tells.
    if let Ok(selector) = mio::Poll::new() {
        let events = Events::READABLE | Events::WRITABLE;
        registration::explain(selector.registry().register(&mut SourceFd(&fd.as_raw_fd()), Token(0), events))?;
    }
    if !SockRef::from(&fd).nonblocking()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this descriptor is blocking: an operation on it would stop every task of the thread; set `O_NONBLOCK` \
             first, as `rustix::io::ioctl_fionbio(&fd, true)` does",
        ));
    }
    Ok(())
}

impl<T: AsFd> Drop for AsyncFd<T> {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            drop(source.into_io());
        }
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source().as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.get_ref()).finish()
    }
}
