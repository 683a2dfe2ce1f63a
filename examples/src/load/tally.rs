//! What the connections of one kind were answered.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The percentiles that are told, by name.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Connections that ask in the same way, and what came of it.
#[derive(Debug, Clone)]
pub struct Class {
    /// `asking`, or `hot` and `quiet`.
    pub name: &'static str,
    /// How many they are.
    pub connections: usize,
    /// Connections that failed, of those that had one request each.
    pub errors: u64,
    /// Requests that were due and had no answer at the end. What they had waited until then is among the latencies.
    pub unanswered: u64,
    latencies: Histogram<u64>,
}

impl Class {
    pub(super) fn new(name: &'static str, connections: usize, longest: Duration) -> io::Result<Self> {
        let latencies = Histogram::new_with_max(longest.as_nanos() as u64, 3).map_err(io::Error::other)?;
        Ok(Self { name, connections, errors: 0, unanswered: 0, latencies })
    }

    pub(super) fn answered(&mut self, requests: u64, latency: Duration) {
        self.latencies.saturating_record_n(latency.as_nanos() as u64, requests);
    }

    pub(super) fn unanswered(&mut self, waited: impl Iterator<Item = Duration>) {
        for waited in waited {
            self.answered(1, waited);
            self.unanswered += 1;
        }
    }

    /// Requests that were sent, or due.
    pub fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// Nanoseconds, by name: `p50` to `max`.
    pub fn latencies(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let quantiles = QUANTILES.iter().map(|(name, quantile)| (*name, self.latencies.value_at_quantile(*quantile)));
        quantiles.chain([("max", self.latencies.max())])
    }

    /// All of it as an object of JSON.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "name": self.name,
            "connections": self.connections,
            "requests": self.requests(),
            "errors": self.errors,
            "unanswered": self.unanswered,
        });
        for (name, nanoseconds) in self.latencies() {
            object[name] = nanoseconds.into();
        }
        object
    }
}
