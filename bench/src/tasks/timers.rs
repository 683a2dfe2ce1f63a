//! Timers that are dropped, and timers that fire.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rustix::time::{ClockId, clock_gettime};

use super::Peer;
use super::work::each;

/// Durations from half a minute to a minute and a half, in no order, the same in every run.
struct Durations(u64);

impl Durations {
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_nanos(30_000_000_000 + self.0 % 60_000_000_000)
    }
}

/// Sets a timer: most do that when they are polled first.
async fn set(mut sleep: Pin<&mut impl Future<Output = ()>>) {
    poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A task with this many timers keeps them: glommio lets no task have more than 32,767 wakers.
const KEPT: usize = 10_000;

/// While so many timers wait, so many are set one after the other, and each is dropped at once. That is an operation,
/// in nanoseconds.
pub async fn set_and_drop<P: Peer>(among: usize, times: usize) -> f64 {
    let mut handles = Vec::new();
    for first in (0..among).step_by(KEPT) {
        let (ready, is_ready) = oneshot::channel();
        handles.push(P::spawn(async move {
            let mut durations = Durations(first as u64);
            let mut kept: Vec<_> =
                (first..among.min(first + KEPT)).map(|_| Box::pin(P::sleep_among_many(durations.next()))).collect();
            for one in &mut kept {
                set(one.as_mut()).await;
            }
            let _ = ready.send(());
            pending::<()>().await;
        }));
        is_ready.await.expect("the task sets its timers");
    }
    let mut durations = Durations(1);
    let start = Instant::now();
    for _ in 0..times {
        set(pin!(P::sleep_among_many(durations.next()))).await;
    }
    each(start.elapsed(), times)
}

/// The processor time of this process, in all its threads.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// So many tasks, each with a timer; the timers fire one after the other over so long. Nanoseconds of processor time for
/// each, from its spawn to its join.
pub async fn fire<P: Peer>(timers: u32, over: Duration) -> f64 {
    let start = processor_time();
    let handles: Vec<_> = (1..=timers).map(|number| P::spawn(P::sleep(over * number / timers))).collect();
    for handle in handles {
        handle.await;
    }
    each(processor_time() - start, timers as usize)
}
