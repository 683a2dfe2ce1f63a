//! What says that it is cancel safe is dropped after each of its polls, and nothing is lost.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures::StreamExt;
use futures::channel::mpsc;
use pollywog_executor::task::{JoinSet, unconstrained, yield_now};
use pollywog_executor::{Handle, budget, spawn};
use pollywog_tests::executor::{OnDrop, bounded, run};

/// Polls `future` at most `polls` times, letting others run between, then drops it.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

/// Ready after `polls` polls.
async fn slow(polls: usize) -> &'static str {
    for _ in 0..polls {
        yield_now().await;
    }
    "result"
}

#[test]
fn a_handle_that_is_polled_by_reference() {
    bounded(|| {
        for cut in 0..6 {
            run(async {
                let mut task = spawn(slow(4));
                match polled(&mut task, cut).await {
                    Some(result) => assert_eq!(result.unwrap(), "result"),
                    None => assert_eq!(task.await.unwrap(), "result", "cut after {cut}"),
                }
                let mut remote = Handle::current().spawn(slow(4));
                match polled(&mut remote, cut).await {
                    Some(result) => assert_eq!(result.unwrap(), "result"),
                    None => assert_eq!(remote.await.unwrap(), "result", "cut after {cut}"),
                }
            });
        }
    });
}

#[test]
fn a_message_that_is_received_with_a_budget_or_without() {
    bounded(|| {
        run(async {
            let (send, mut receive) = mpsc::unbounded();
            (0..400).for_each(|number| send.unbounded_send(number).unwrap());
            let mut got = Vec::new();
            // The budget is used up now and then, and what was refused is dropped.
            while got.len() < 400 {
                let next = poll_fn(|cx| Poll::Ready(pin!(budget::coop(receive.next())).poll(cx))).await;
                match next {
                    Poll::Ready(number) => got.extend(number),
                    Poll::Pending => yield_now().await,
                }
            }
            assert_eq!(got, (0..400).collect::<Vec<_>>());

            for number in 0..8 {
                let waits = polled(unconstrained(receive.next()), 1).await;
                assert_eq!(waits, None, "dropped while it waits");
                send.unbounded_send(number).unwrap();
                assert_eq!(unconstrained(receive.next()).await, Some(number));
            }
        });
    });
}

#[test]
fn a_shutdown_that_is_dropped_leaves_the_rest_aborted_in_the_set() {
    bounded(|| {
        for cut in 0..4 {
            run(async {
                let dropped = Rc::new(Cell::new(0));
                let mut set = JoinSet::new();
                for _ in 0..3 {
                    let dropped = dropped.clone();
                    set.spawn(async move {
                        let _guard = OnDrop::new(move || dropped.set(dropped.get() + 1));
                        pending::<()>().await;
                    });
                }
                yield_now().await;
                polled(set.shutdown(), cut).await;
                if cut == 0 {
                    set.abort_all();
                }
                while let Some(result) = set.join_next().await {
                    assert!(result.unwrap_err().is_cancelled());
                }
                assert_eq!(dropped.get(), 3, "cut after {cut}");
            });
        }
    });
}
