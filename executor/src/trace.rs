//! What the executor tells `tracing`, one function per event.
//!
//! Cold events are always there. A span per task and the events for wake and park are behind the feature `trace`;
//! without it their functions are empty.

use crate::contain::contain_quietly;
use crate::join::JoinError;

/// A task panicked, and its result was dropped unread.
#[cold]
pub(crate) fn unobserved_panic(error: &JoinError) {
    // A log layer is foreign code like any other.
    contain_quietly(|| {
        tracing::error!(
            target: "pollywog::task",
            name = error.name().unwrap_or("(no name)"),
            spawned = error.location().map(tracing::field::display),
            %error,
            "a task panicked and nobody looked at its result"
        );
    });
}

#[cfg(feature = "trace")]
mod hot {
    use std::panic::Location;

    use crate::contain::{contain, contain_quietly, discard};
    use crate::task::Id;
    use crate::waker::TaskId;

    /// The span that is entered while its task is polled.
    pub(crate) struct TaskSpan(tracing::Span);

    impl TaskSpan {
        pub(crate) fn new(id: Id, name: Option<&str>, location: &Location<'_>) -> Self {
            let span = || tracing::trace_span!(target: "pollywog::task", "task", %id, name, spawned = %location);
            Self(contain(span).map_err(discard).unwrap_or_else(|()| tracing::Span::none()))
        }

        pub(crate) fn enter(&self) -> Entered<'_> {
            Entered(contain(|| self.0.enter()).map_err(discard).ok())
        }
    }

    impl Drop for TaskSpan {
        fn drop(&mut self) {
            let span = std::mem::replace(&mut self.0, tracing::Span::none());
            contain_quietly(|| drop(span));
        }
    }

    /// Leaves the span when dropped; a log layer's panic goes no further.
    pub(crate) struct Entered<'a>(Option<tracing::span::Entered<'a>>);

    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            contain_quietly(|| drop(self.0.take()));
        }
    }

    pub(crate) fn wake(task: TaskId, local: bool) {
        contain_quietly(|| tracing::trace!(target: "pollywog::waker", ?task, local, "wake"));
    }

    pub(crate) fn idle() {
        contain_quietly(|| tracing::trace!(target: "pollywog::executor", "park"));
    }
}

#[cfg(not(feature = "trace"))]
mod hot {
    use std::panic::Location;

    use crate::task::Id;
    use crate::waker::TaskId;

    pub(crate) struct TaskSpan;

    /// Stands for the guard of an entered span.
    pub(crate) struct Entered;

    impl TaskSpan {
        #[inline(always)]
        pub(crate) fn new(_: Id, _: Option<&str>, _: &Location<'_>) -> Self {
            Self
        }

        #[inline(always)]
        pub(crate) fn enter(&self) -> Entered {
            Entered
        }
    }

    #[inline(always)]
    pub(crate) fn wake(_: TaskId, _: bool) {}

    #[inline(always)]
    pub(crate) fn idle() {}
}

pub(crate) use hot::{TaskSpan, idle, wake};
