//! Logs of one test among those that run beside it.

use std::sync::Once;

use tracing::subscriber::{self, Interest, Subscriber};
use tracing::{Event, Metadata, span};

/// Has every place that logs ask the thread's own log each time. Without it a place that is reached first on a thread
/// without a log, at the moment at which another gets one, may be off for good.
pub fn ask_each_time() {
    static ONCE: Once = Once::new();
    // Where the test has a log for the whole process, that one is asked.
    ONCE.call_once(|| drop(subscriber::set_global_default(Asks)));
}

struct Asks;

impl Subscriber for Asks {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
