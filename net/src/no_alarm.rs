//! In the place of the alarm where there is no timerfd: the timeout of the selector does.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

pub(crate) const ALARM: Token = Token(usize::MAX);

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
