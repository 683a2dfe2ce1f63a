//! Stands in for the alarm on systems other than Linux: the selector's timeout ends the sleep.

use std::io;
use std::time::{Duration, Instant};

use mio::Registry;

pub(crate) struct Alarm;

impl Alarm {
    pub(crate) fn new(_: &Registry) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn timeout(&mut self, deadline: Instant) -> Option<Duration> {
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn rang(&mut self) {}
}
