//! Channels and locks of other crates between our tasks, and from a thread of its own: each wakes through our wakers.

use std::rc::Rc;
use std::thread;

use futures::StreamExt;
use pollywog_net::task::yield_now;
use pollywog_net::{JoinSet, spawn};
use pollywog_tests::net::run;

const COUNT: u32 = 1_000;

#[test]
fn channels_of_futures() {
    run(async {
        let (sender, mut receiver) = futures::channel::mpsc::unbounded();
        let (end, ended) = futures::channel::oneshot::channel();
        let there = thread::spawn(move || {
            (0..COUNT).for_each(|n| sender.unbounded_send(n).unwrap());
            end.send("end").unwrap();
        });
        for n in 0..COUNT {
            assert_eq!(receiver.next().await, Some(n));
        }
        assert_eq!(receiver.next().await, None);
        assert_eq!(ended.await, Ok("end"));
        there.join().unwrap();
    });
}

#[test]
fn channels_of_tokio() {
    run(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
        let (end, ended) = tokio::sync::oneshot::channel();
        let there = thread::spawn(move || {
            (0..COUNT).for_each(|n| sender.blocking_send(n).unwrap());
            end.send("end").unwrap();
        });
        for n in 0..COUNT {
            assert_eq!(receiver.recv().await, Some(n));
        }
        assert_eq!(receiver.recv().await, None);
        assert_eq!(ended.await, Ok("end"));
        there.join().unwrap();
    });
}

#[test]
fn a_bounded_channel_of_tokio_holds_its_sender_up() {
    run(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let sending = spawn(async move {
            for n in 0..COUNT {
                sender.send(n).await.unwrap();
            }
        });
        yield_now().await;
        assert_eq!(receiver.len(), 1);
        for n in 0..COUNT {
            assert_eq!(receiver.recv().await, Some(n));
        }
        sending.await.unwrap();
    });
}

/// Adds one in each task, with a pause between looking and writing.
macro_rules! counts_under {
    ($name:ident, $lock:path) => {
        #[test]
        fn $name() {
            run(async {
                let count = Rc::new(<$lock>::new(0));
                let mut tasks = JoinSet::new();
                for _ in 0..COUNT {
                    let count = count.clone();
                    tasks.spawn(async move {
                        let mut count = count.lock().await;
                        let before = *count;
                        yield_now().await;
                        *count = before + 1;
                    });
                }
                while let Some(ended) = tasks.join_next().await {
                    ended.unwrap();
                }
                assert_eq!(*count.lock().await, COUNT);
            });
        }
    };
}

counts_under!(a_lock_of_futures_is_held_across_a_pause, futures::lock::Mutex<u32>);
counts_under!(a_lock_of_tokio_is_held_across_a_pause, tokio::sync::Mutex<u32>);
