//! The task of one connection.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use pollywog_executor::time::{self, Sleep, sleep_until};

use super::connection::Activity;
use super::crowd::Crowd;
use crate::trace;

/// How long a connection may last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// Without a byte that moves.
    pub(super) idle: Option<Duration>,
    /// At all.
    pub(super) total: Option<Duration>,
}

pin_project! {
    /// Runs a handler within its limits, and leaves the crowd however it ends. In this order: what each poll looks at lies
    /// together, before the handler.
    #[repr(C)]
    pub(super) struct Attend<F, A: Clone> {
        place: Place<A>,
        span: tracing::Span,
        watch: Option<Watch>,
        #[pin]
        handler: Option<F>,
    }

    impl<F, A: Clone> PinnedDrop for Attend<F, A> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // It goes first, in its span, so that the connection is closed when its place is free.
            let _entered = this.span.enter();
            let in_handler = this.place.in_handler.replace(true);
            this.handler.set(None);
            this.place.in_handler.set(in_handler);
        }
    }
}

/// Where a connection stands in the crowd, until it is dropped.
struct Place<A: Clone> {
    crowd: Rc<Crowd<A>>,
    number: u64,
    /// Still true in the drop where a poll or the drop of the handler did not come back: it panicked.
    in_handler: Cell<bool>,
    is_new: Cell<bool>,
}

impl<A: Clone> Place<A> {
    fn turned(&self) {
        if self.is_new.replace(false) {
            self.crowd.turned();
        }
    }
}

impl<A: Clone> Drop for Place<A> {
    fn drop(&mut self) {
        if self.in_handler.get() {
            self.crowd.counters().panicked.add(1);
        }
        self.turned();
        self.crowd.leave(self.number);
    }
}

impl<F, A: Clone> Attend<F, A> {
    pub(super) fn new(
        handler: F,
        crowd: Rc<Crowd<A>>,
        number: u64,
        limits: Limits,
        activity: Option<Arc<Activity>>,
        span: tracing::Span,
    ) -> Self {
        crowd.comes();
        let place = Place { crowd, number, in_handler: Cell::new(false), is_new: Cell::new(true) };
        Self { place, span, watch: Watch::new(limits, activity), handler: Some(handler) }
    }
}

impl<F: Future<Output = io::Result<()>>, A: Clone> Future for Attend<F, A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let _entered = this.span.enter();
        let Some(handler) = this.handler.as_pin_mut() else { return Poll::Ready(()) };
        this.place.in_handler.set(true);
        let result = handler.poll(cx);
        this.place.in_handler.set(false);
        this.place.turned();
        match result {
            Poll::Ready(Ok(())) => return Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                this.place.crowd.counters().error(error.kind());
                trace::connection_failed(&error);
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        let Some(watch) = this.watch else { return Poll::Pending };
        watch.poll(cx).map(|which| {
            this.place.crowd.counters().timed_out.add(1);
            trace::connection_timed_out(which);
        })
    }
}

/// The limits of one connection, and the timer for the nearer one.
struct Watch {
    idle: Option<(Duration, Arc<Activity>)>,
    /// When the last byte moved.
    active: Instant,
    end: Option<Instant>,
    sleep: Sleep,
}

impl Watch {
    fn new(limits: Limits, activity: Option<Arc<Activity>>) -> Option<Self> {
        if limits.idle.is_none() && limits.total.is_none() {
            return None;
        }
        let now = time::now();
        // An end that no clock reaches is none.
        let end = limits.total.and_then(|total| now.checked_add(total));
        let mut watch = Self { idle: limits.idle.zip(activity), active: now, end, sleep: sleep_until(now) };
        watch.sleep = sleep_until(watch.next().map_or(now, |(at, _)| at));
        Some(watch)
    }

    /// The nearer end, and whether it is that of an idle connection.
    fn next(&self) -> Option<(Instant, &'static str)> {
        let idle = self.idle.as_ref().and_then(|(idle, _)| self.active.checked_add(*idle)).map(|at| (at, "idle"));
        let end = self.end.map(|at| (at, "total"));
        idle.into_iter().chain(end).min_by_key(|(at, _)| *at)
    }

    /// Ready at the end, with the name of the timeout. The timer is set anew when it fires, not with each byte.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        match &self.idle {
            Some((_, activity)) if activity.is_untracked() => self.idle = None,
            Some((_, activity)) if activity.take() => self.active = time::coarse_now(),
            _ => {}
        }
        loop {
            if Pin::new(&mut self.sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let Some((at, which)) = self.next() else { return Poll::Pending };
            if at <= self.sleep.deadline() {
                return Poll::Ready(which);
            }
            self.sleep.reset(at);
        }
    }
}
