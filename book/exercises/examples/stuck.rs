//! Two tasks that wait for a message from each other, in a world where nobody else can send one.
//!
//! ```console
//! $ cargo run -p pollywog-exercises --example stuck
//! ```

use futures::channel::oneshot;
use pollywog_executor::sim::SimDriver;
use pollywog_executor::{Executor, task};

fn main() {
    let executor = Executor::new().expect("few executors are alive");
    executor.block_on(&mut SimDriver::new(), both());
}

async fn both() {
    let (to_left, from_right) = oneshot::channel::<()>();
    let (to_right, from_left) = oneshot::channel();
    let left = task::Builder::new().name("left").spawn(async move {
        if from_right.await.is_ok() {
            let _ = to_right.send(());
        }
    });
    let right = task::Builder::new().name("right").spawn(async move {
        if from_left.await.is_ok() {
            let _ = to_left.send(());
        }
    });
    let _ = (left.await, right.await);
}
