//! Log layers that misbehave, with the feature `trace`.
#![cfg(feature = "trace")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::time::sleep;
use pollywog_executor::{Executor, spawn, task::yield_now};
use tracing::{Event, Metadata, Subscriber, span};

thread_local!(static PANICS: Cell<bool> = const { Cell::new(false) });

/// Panics once when a span is entered.
struct Faulty;

impl Subscriber for Faulty {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {
        assert!(!PANICS.take(), "expected: a log layer");
    }
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_layer_that_panics_when_a_task_is_polled_harms_nobody() {
    let _guard = tracing::subscriber::set_default(Faulty);
    let executor = Executor::new().unwrap();
    let task = executor.spawn(async {
        yield_now().await;
        5
    });
    PANICS.set(true);
    assert_eq!(executor.block_on(&mut ThreadDriver::new(), task).unwrap(), 5);
}

/// Gives each event to a task.
struct Forward(UnboundedSender<()>);

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "pollywog::executor"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        let _ = self.0.unbounded_send(());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_layer_that_hands_the_park_event_to_a_task_here_does_not_keep_the_thread_awake() {
    let (sender, mut receiver) = unbounded();
    let _guard = tracing::subscriber::set_default(Forward(sender));
    let events = Rc::new(Cell::new(0_u32));
    let count = events.clone();
    Executor::new().unwrap().block_on(&mut ThreadDriver::new(), async {
        spawn(async move {
            while receiver.next().await.is_some() {
                count.set(count.get() + 1);
            }
        });
        sleep(Duration::from_millis(20)).await;
    });
    assert!((1..20).contains(&events.get()), "{} events in one sleep", events.get());
}
