//! When a request is due.

use std::time::{Duration, Instant};

use pollywog_net::task::yield_now;
use pollywog_net::time;

use super::Load;

/// A timer may be late by this much.
const COARSE: Duration = Duration::from_millis(1);

/// Who asks when. The connections take turns: with a rate of 10 and two of them, the first is due to ask at 0, 0.2, 0.4
/// seconds and so on, and the second at 0.1, 0.3, 0.5.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    start: Instant,
    pub(super) until: Instant,
    rate: Option<u64>,
    asking: u64,
    requests: u64,
}

impl Pace {
    pub(super) fn new(load: &Load, start: Instant) -> Self {
        let asking = (load.asking - load.hot).max(1) as u64;
        let requests = load.requests.unwrap_or(u64::MAX);
        Self { start, until: start + load.duration, rate: load.rate, asking, requests }
    }

    /// Waits until a connection is due to send its request of this number, counted from 0, and gives the instant that
    /// its latency counts from; `None` when it has sent all.
    pub(super) async fn due(&self, connection: usize, request: u64) -> Option<Instant> {
        let due = self.instant(connection, request)?;
        if self.rate.is_none() {
            return Some(due);
        }
        // Asleep as long as the timer can be trusted, and looking at the clock from then on: who measures has a core of
        // its own.
        if due.saturating_duration_since(Instant::now()) > COARSE {
            time::sleep_until(due - COARSE).await;
        }
        while Instant::now() < due {
            yield_now().await;
        }
        Some(due)
    }

    fn instant(&self, connection: usize, request: u64) -> Option<Instant> {
        let index = request * self.asking + connection as u64;
        let due = match self.rate {
            Some(rate) => self.start + Duration::from_nanos((index as u128 * 1_000_000_000 / rate as u128) as u64),
            None => Instant::now(),
        };
        (index < self.requests && due < self.until).then_some(due)
    }

    /// How long those requests of a connection have waited by now that were due and are not answered.
    pub(super) fn waited(&self, connection: usize, answered: u64) -> impl Iterator<Item = Duration> {
        let now = Instant::now();
        let due = (answered..).map_while(move |request| self.instant(connection, request));
        due.take_while(move |due| *due <= now).map(move |due| now - due)
    }
}
