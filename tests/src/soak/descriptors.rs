//! Who takes all descriptors, and gives them back.

use std::fs::File;
use std::time::Duration;

use pollywog_net::cancel::CancelToken;
use pollywog_net::time::sleep;

use super::tally::Tally;
use crate::net::Random;

/// Now and then there is no descriptor left in the process, for some milliseconds.
pub(super) async fn take_all(mut random: Random, tally: &Tally, stop: &CancelToken) {
    let mut pause = |most| Duration::from_millis(1 + random.below(most) as u64);
    while stop.run_until_cancelled(sleep(pause(200))).await.is_some() {
        let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        tally.add("times without a descriptor", 1);
        sleep(pause(20)).await;
        drop(taken);
    }
}
