//! The queue of a peer that is full: Linux says 'would block', and has no event for when there is room again.

use std::io;
use std::task::{Context, Poll, ready};

use pollywog_executor::budget;

use crate::accept::Backoff;
use crate::context;

/// Makes an attempt, and another one after each pause while it would block.
pub(super) fn poll_attempt<R>(
    cx: &mut Context<'_>,
    backoff: &mut Backoff,
    mut attempt: impl FnMut() -> io::Result<R>,
) -> Poll<io::Result<R>> {
    budget::charge(cx, |cx| {
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    backoff.reset();
                    return Poll::Ready(result);
                }
            }
            if context::with(|reactor| reactor.is_none()) {
                return Poll::Ready(Err(io::Error::other(
                    "the peer's queue is full, and no Pollywog runtime runs on this thread to wait with: poll it inside \
                     `pollywog_net::run` or `Runtime::block_on`",
                )));
            }
            // Over, or the first.
            if backoff.poll_over(cx).is_ready() {
                backoff.start();
            }
            ready!(backoff.poll_over(cx));
        }
    })
}
