//! What a server says at its end.

use pollywog_net::server::Status;

/// How many connections there were, and how many of them failed, as in `connections: 3, failed: 1 (timed out: 1)`.
pub fn summary(status: &Status) -> String {
    let errors = status.errors();
    let failed: u64 = errors.iter().map(|(_, count)| count).sum();
    let kinds: Vec<_> = errors.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("connections: {}, failed: {failed}{kinds}", status.accepted())
}
