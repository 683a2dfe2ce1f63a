//! A panic that nobody observes is reported, once, with the task's name and where it was spawned.

use std::fmt::Debug;
use std::future::{pending, poll_fn, ready};
use std::panic;
use std::sync::{Arc, Mutex, Once};
use std::task::Poll;
use std::thread;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{AbortHandle, Executor, spawn, task, task::yield_now};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What an event says: its fields in the order of their names.
type Report = std::collections::BTreeMap<&'static str, String>;

#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

struct Fields(Report);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::ERROR {
            assert_eq!(event.metadata().target(), "pollywog::task");
            let mut fields = Fields(Report::new());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

/// Runs `test` with a log of its own, and returns what was reported.
fn reported(test: impl FnOnce()) -> Vec<Report> {
    silence_expected_panics();
    let reports = Reports::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(reports.clone()), test);
    std::mem::take(&mut *reports.0.lock().unwrap())
}

fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().downcast_ref::<&str>().is_some_and(|text| text.starts_with("expected")) {
                default(info);
            }
        }));
    });
}

fn run<F: Future>(future: F) -> F::Output {
    Executor::new().unwrap().block_on(&mut ThreadDriver::new(), future)
}

async fn explode() {
    panic!("expected: explosion")
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("expected: drop");
    }
}

#[test]
fn unobserved_panic() {
    let mut id = String::new();
    let mut line = 0;
    let reports = reported(|| {
        run(async {
            let task = task::Builder::new().name("the exploding one").spawn(explode());
            line = line!() - 1;
            id = task.id().to_string();
            drop(task);
            yield_now().await;
            yield_now().await;
        });
    });
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert_eq!(report["name"], "the exploding one");
    assert_eq!(report["error"], format!("task {id} 'the exploding one' panicked: expected: explosion"));
    assert_eq!(report["message"], "a task panicked and nobody looked at its result");
    let place = format!("{}:{line}:", file!());
    assert!(report["spawned"].starts_with(&place), "{} is not at {place}", report["spawned"]);
}

#[test]
fn every_way_to_leave_a_panic_unobserved_is_reported_once() {
    let reports = reported(|| {
        let executor = Executor::new().unwrap();
        let kept = executor.block_on(&mut ThreadDriver::new(), async {
            drop(spawn(explode())); // detached first
            let (here, there, kept) = (spawn(explode()), spawn(explode()), spawn(explode()));
            yield_now().await;
            drop(here);
            thread::spawn(move || drop(there)).join().unwrap();
            let bomb = Bomb;
            let aborted = spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            aborted.abort();
            drop(aborted); // its panic is that of the future's drop
            yield_now().await;
            yield_now().await;
            [kept]
        });
        drop(executor); // with the result in it
        drop(kept);
    });
    let mut errors: Vec<_> = reports.iter().map(|report| report["error"].split_once(": ").unwrap().1).collect();
    errors.sort();
    assert_eq!(errors, [&["expected: drop"][..], &["expected: explosion"; 4]].concat());
    assert!(reports.iter().all(|report| report["name"] == "(no name)"));
}

#[test]
fn a_panic_that_somebody_observes_is_not_reported() {
    let reports = reported(|| {
        run(async {
            assert!(spawn(explode()).await.unwrap_err().is_panic());
            let task = spawn(explode());
            yield_now().await;
            assert!(task.await.unwrap_err().is_panic());
            // Nor is what is no panic of a task.
            spawn(ready(())).await.unwrap();
            drop(spawn(ready(())));
            let aborted = spawn(pending::<()>());
            aborted.abort();
            drop(aborted);
            drop(spawn(pending::<()>()));
            yield_now().await;
        });
    });
    assert_eq!(reports, []);
}

/// A log that panics, after it has come back into the executor.
struct Faulty(Mutex<Option<AbortHandle>>);

impl<S: tracing::Subscriber> Layer<S> for Faulty {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::ERROR {
            drop(spawn(async {}));
            if let Some(victim) = self.0.lock().unwrap().take() {
                victim.abort();
            }
            panic!("expected: log");
        }
    }
}

#[test]
fn a_log_that_panics_or_comes_back_in_does_no_harm() {
    silence_expected_panics();
    let executor = Executor::new().unwrap();
    let victim = executor.spawn(pending::<()>());
    let log = Faulty(Mutex::new(Some(victim.abort_handle())));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log), || {
        executor.block_on(&mut ThreadDriver::new(), async {
            let mut turns = 0;
            let bystander = spawn(poll_fn(move |cx| {
                turns += 1;
                cx.waker().wake_by_ref();
                if turns == 10 { Poll::Ready(turns) } else { Poll::Pending }
            }));
            drop(spawn(explode()));
            let unread = spawn(explode());
            yield_now().await;
            drop(unread);
            assert!(victim.await.unwrap_err().is_cancelled());
            assert_eq!(bystander.await.unwrap(), 10);
            drop(spawn(explode()));
        });
        drop(executor);
    });
}
