//! Cancelling against all that others do with a token at the same time, every interleaving.
//!
//! `RUSTFLAGS="--cfg pollywog_loom" cargo test --release -p pollywog-executor --lib loom`

use std::future::Future;
use std::pin::pin;
use std::task::Context;

use loom::sync::{Arc, Notify};
use loom::thread;
use waker_fn::waker_fn;

use super::CancelToken;

fn cancelling(token: &CancelToken) -> thread::JoinHandle<()> {
    let token = token.clone();
    thread::spawn(move || token.cancel())
}

#[test]
fn who_begins_to_wait_while_it_is_cancelled_is_woken() {
    loom::model(|| {
        let token = CancelToken::new();
        let canceller = cancelling(&token);
        let bed = Arc::new(Notify::new());
        let waker = waker_fn({
            let bed = bed.clone();
            move || bed.notify()
        });
        let mut cancelled = pin!(token.cancelled());
        while cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            bed.wait(); // a wake that is lost is a deadlock here
        }
        canceller.join().unwrap();
    });
}

#[test]
fn a_child_that_is_made_while_its_parent_is_cancelled_is_cancelled() {
    loom::model(|| {
        let parent = CancelToken::new();
        let canceller = cancelling(&parent);
        let grandchild = parent.child_token().child_token();
        canceller.join().unwrap();
        assert!(grandchild.is_cancelled());
    });
}

#[test]
fn of_two_who_cancel_at_once_neither_returns_before_all_is_cancelled() {
    loom::model(|| {
        let parent = CancelToken::new();
        let child = parent.child_token();
        let grandchild = child.child_token();
        let canceller = cancelling(&parent);
        parent.cancel();
        assert!(child.is_cancelled() && grandchild.is_cancelled());
        canceller.join().unwrap();
    });
}

#[test]
fn a_child_that_goes_while_its_parent_is_cancelled_goes_once() {
    loom::model(|| {
        let parent = CancelToken::new();
        let grandchild = parent.child_token().child_token();
        let canceller = cancelling(&parent);
        drop(grandchild);
        canceller.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&parent.node), 1);
        assert!(parent.node.lock().children.is_empty());
    });
}
