//! What `tracing` tells, for people.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::time::uptime;

use crate::terminal::{StandardError, warn};

/// Shows everything on standard error: every poll (`enter`), wake, park and readiness, where the feature `trace` is
/// compiled in, and what is rare in any case.
pub fn show_everything() {
    if !cfg!(feature = "trace") {
        warn(
            "polls, wakes, parks and readiness are not compiled in: add `--features trace`, as in `cargo run --release \
             --features trace --example echo -- --trace`",
        );
    }
    show("trace", FmtSpan::NEW | FmtSpan::ENTER | FmtSpan::CLOSE, true);
}

/// Shows what somebody should look into, unless more is shown already.
pub(crate) fn show_warnings() {
    show("warn", FmtSpan::NONE, false);
}

/// `RUST_LOG` overrides `filter`. Where it `waits`, nothing is dropped for want of a reader.
fn show(filter: &str, spans: FmtSpan, waits: bool) {
    // Fails where a subscriber is there already, which then does the work.
    let _ = tracing_subscriber::fmt()
        .compact()
        .with_timer(uptime())
        .with_ansi(io::stderr().is_terminal())
        .with_span_events(spans)
        .with_writer(move || StandardError { waits })
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter)))
        .try_init();
}
