//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that double, up to a limit.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pauses {
    /// The pause after an attempt. One that held for longer than the longest pause was none of a series.
    pub(super) fn after(&mut self, held: Duration) -> Duration {
        if held > LONGEST {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (2 * pause).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_double_up_to_the_longest_and_begin_again_after_what_held() {
        let mut pauses = Pauses::default();
        let mut next = |held: u64| pauses.after(Duration::from_secs(held)).as_millis();
        assert_eq!([0; 8].map(&mut next), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!([5, 6, 0].map(&mut next), [5_000, 100, 200]);
    }
}
