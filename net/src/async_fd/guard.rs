//! What was ready, and whether it still is.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::AsyncFd;
use crate::interest::Ready;
use crate::source::Seen;

/// Says that a descriptor was ready, and is told whether it still is.
///
/// Who waits again without having told gets the same readiness again, at once, and spins. So either an operation runs
/// through [`try_io`](Self::try_io), which clears the readiness where the operation blocked; or
/// [`clear_ready`](Self::clear_ready) says that it is used up; or [`retain_ready`](Self::retain_ready) that it is not.
///
/// # Examples
///
/// ```
/// use pollywog_net::AsyncFd;
/// use rustix::event::{EventfdFlags, eventfd};
/// use rustix::io::read;
///
/// # pollywog_net::run(async {
/// let event = AsyncFd::new(eventfd(3, EventfdFlags::NONBLOCK)?)?;
/// let mut count = [0; 8];
/// let length = loop {
///     let mut guard = event.readable().await?;
///     match guard.try_io(|event| Ok(read(event, &mut count)?)) {
///         Ok(result) => break result?,
///         Err(_would_block) => {} // it was wrong, and is cleared
///     }
/// };
/// assert_eq!((length, u64::from_ne_bytes(count)), (8, 3));
/// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
/// ```
#[must_use = "who waits again without saying what became of the readiness gets the same at once"]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    fd: &'a AsyncFd<T>,
    ready: Ready,
    /// As of the moment when the readiness was given: what comes later is not cleared.
    seen: Seen,
}

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(fd: &'a AsyncFd<T>, ready: Ready) -> Self {
        Self { fd, ready, seen: fd.source().seen() }
    }

    /// Runs an operation, and clears the readiness where it gives [`WouldBlock`](io::ErrorKind::WouldBlock): it must do
    /// so exactly where the system did. Of a guard for two directions both are cleared; see
    /// [`clear_ready_matching`](Self::clear_ready_matching) for one.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] when it would block. Any other error is in the inner result.
    ///
    /// # Examples
    ///
    /// See [`AsyncFdReadyGuard`].
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match operation(self.fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            result => Ok(result),
        }
    }

    /// Says that all of the readiness is used up, the end included: the next to wait waits for another event. One that
    /// came since the guard was given still counts.
    ///
    /// To be called only after the system said 'would block', or at the end of something that begins again: the read
    /// end of a FIFO whose writers are gone stays at its end, and gets an event when the next one writes.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// use futures::FutureExt;
    ///
    /// let event = AsyncFd::new(eventfd(1, EventfdFlags::NONBLOCK)?)?;
    /// let mut guard = event.readable().await?;
    /// rustix::io::read(&event, &mut [0; 8])?; // the whole
    /// guard.clear_ready();
    /// assert!(event.readable().now_or_never().is_none());
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(self.ready);
    }

    /// As [`clear_ready`](Self::clear_ready), for a part of the readiness.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::{AsyncFd, Interest, Ready};
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(0, EventfdFlags::NONBLOCK)?)?;
    /// event.writable().await?.retain_ready();
    /// let mut guard = event.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// guard.clear_ready_matching(Ready::READABLE);
    /// assert_eq!(guard.ready(), Ready::WRITABLE);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.fd.source().clear(&self.seen, self.ready & ready);
        self.ready = self.ready - ready;
    }

    /// Says that the descriptor is still ready. It does nothing but satisfy `must_use`.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(1, EventfdFlags::NONBLOCK)?)?;
    /// event.readable().await?.retain_ready();
    /// event.readable().await?.retain_ready(); // at once
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn retain_ready(&mut self) {}

    /// What was reported, less what was cleared through this guard.
    ///
    /// # Examples
    ///
    /// See [`AsyncFd::ready`].
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// What it is the guard of.
    ///
    /// # Examples
    ///
    /// See [`get_inner`](Self::get_inner).
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// The descriptor's owner.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// # use pollywog_net::AsyncFd;
    /// # use rustix::event::{EventfdFlags, eventfd};
    /// let event = AsyncFd::new(eventfd(1, EventfdFlags::NONBLOCK)?)?;
    /// let guard = event.readable().await?;
    /// rustix::io::read(guard.get_inner(), &mut [0; 8])?;
    /// assert!(std::ptr::eq(guard.get_inner(), guard.get_ref().get_ref()));
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard").field("fd", self.fd).field("ready", &self.ready).finish()
    }
}

/// The operation of [`AsyncFdReadyGuard::try_io`] would block; the readiness is cleared.
///
/// # Examples
///
/// See [`AsyncFdReadyGuard`].
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block: wait until the descriptor is ready again")
    }
}

impl Error for TryIoError {}
