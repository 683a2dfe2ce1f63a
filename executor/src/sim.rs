//! A world of its own: virtual time, and nobody outside.

use std::task::Waker;

use crate::driver::{Driver, Park, TaskId, ThreadDriver};

/// A driver for simulations and tests: time is virtual, and nothing outside wakes a task.
///
/// While `block_on` runs with it, the clock is [paused](crate::time::pause) and moves by itself, so that hours of sleep
/// pass in no time. It goes on from there in the executor's next simulation; with another driver the clock is the
/// machine's again. When no task can ever run again, `block_on` does not hang: it panics with a list of the tasks and
/// where each was spawned.
///
/// With [`Builder::seed`](crate::Builder::seed) the order in which ready tasks run is chosen by a number: the same
/// number gives the same run, another number another one. What the program adds by itself (a `HashMap`'s order, the
/// futures crate's `select!`, which picks at random; `select_biased!` does not) is not covered.
///
/// Work on other threads does not exist for a simulation, unless it [holds](crate::time::hold) the clock, as
/// `spawn_blocking` does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pollywog_executor::{Executor, sim::SimDriver, spawn, time};
///
/// // Which of two tasks is first depends on the seed, and on nothing else.
/// let run = |seed| {
///     let executor = Executor::builder().seed(seed).build().expect("few executors are alive");
///     executor.block_on(&mut SimDriver::new(), async {
///         let (send, mut receive) = futures::channel::mpsc::unbounded();
///         for name in ["a", "b"] {
///             let send = send.clone();
///             spawn(async move {
///                 time::sleep(Duration::from_secs(3600)).await;
///                 send.unbounded_send(name).unwrap();
///             });
///         }
///         futures::StreamExt::next(&mut receive).await.unwrap()
///     })
/// };
/// let firsts: Vec<_> = (0..20).map(run).collect();
/// assert_eq!(firsts, (0..20).map(run).collect::<Vec<_>>());
/// assert!(firsts.contains(&"a") && firsts.contains(&"b"));
/// ```
///
/// A deadlock is a panic:
///
/// ```should_panic
/// use pollywog_executor::{Executor, sim::SimDriver};
///
/// let executor = Executor::new().expect("few executors are alive");
/// executor.block_on(&mut SimDriver::new(), std::future::pending::<()>());
/// ```
#[derive(Debug, Default)]
pub struct SimDriver {
    /// Where it waits for work on other threads that holds the clock.
    thread: ThreadDriver,
}

impl SimDriver {
    /// A driver for the current thread.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Driver for SimDriver {
    fn unparker(&self) -> Waker {
        self.thread.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        self.thread.park(park, ready);
    }

    fn is_simulation(&self) -> bool {
        true
    }
}
