//! What the reactor and the sockets tell `tracing`, one function per event.
//!
//! Cold events are always there. Readiness is behind the feature `trace`; without it its function is empty.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::signal::SignalKind;

/// The process or the machine has no descriptor or memory for a connection that waits; accepting pauses.
#[cold]
pub(crate) fn accept_paused(error: &io::Error, pause: Duration) {
    tracing::warn!(target: "pollywog::net", %error, ?pause, "accepting pauses: the connection stays in the queue");
}

/// A connection broke before it was accepted.
#[cold]
pub(crate) fn accept_skipped(error: &io::Error) {
    tracing::debug!(target: "pollywog::net", %error, "a connection broke before it was accepted");
}

/// Who waited for a signal cannot: `None` does not say why.
#[cold]
pub(crate) fn signal_unheard(kind: SignalKind, error: &io::Error) {
    tracing::warn!(target: "pollywog::net", %kind, %error, "the signal is not waited for");
}

/// A listener is broken, and nobody is there to be told.
#[cold]
pub(crate) fn accept_ended(error: &io::Error) {
    tracing::error!(target: "pollywog::net", %error, "a listener is broken: this core accepts no more from it");
}

/// The span of a connection of a server, in which its handler is polled.
pub(crate) fn connection(peer: &dyn fmt::Debug) -> tracing::Span {
    tracing::info_span!(target: "pollywog::server", "connection", ?peer)
}

/// A handler gave an error, which ends its connection and nothing else.
#[cold]
pub(crate) fn connection_failed(error: &io::Error) {
    tracing::debug!(target: "pollywog::server", %error, "the connection ends with an error");
}

/// A connection was idle, or there at all, for too long.
#[cold]
pub(crate) fn connection_timed_out(timeout: &str) {
    tracing::debug!(target: "pollywog::server", timeout, "the connection ends, it took too long");
}

/// A server was told to stop, or has to.
#[cold]
pub(crate) fn drain_started(active: usize) {
    tracing::info!(target: "pollywog::server", active, "the server shuts down");
}

/// A server has stopped.
#[cold]
pub(crate) fn drain_ended(aborted: usize) {
    if aborted == 0 {
        tracing::info!(target: "pollywog::server", "the server has shut down");
    } else {
        tracing::warn!(target: "pollywog::server", aborted, "the server has shut down, with connections that took too long");
    }
}

/// What one turn of the reactor reported.
#[cfg(feature = "trace")]
pub(crate) fn events(events: &mio::Events) {
    // A log layer is foreign code, and its panic must not end the loop.
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(events)));
    told.unwrap_or_else(std::mem::forget);
}

#[cfg(feature = "trace")]
fn tell(events: &mio::Events) {
    use pollywog_executor::driver::Key;

    use crate::reactor::ALARM;

    for event in events.iter().filter(|event| event.token() != ALARM) {
        let Some(source) = Key::from_u64(event.token().0 as u64) else { continue };
        tracing::trace!(
            target: "pollywog::reactor",
            ?source,
            readable = event.is_readable(),
            writable = event.is_writable(),
            closed = event.is_read_closed() || event.is_write_closed(),
            error = event.is_error(),
            "ready"
        );
    }
}

#[cfg(not(feature = "trace"))]
#[inline(always)]
pub(crate) fn events(_: &mio::Events) {}
