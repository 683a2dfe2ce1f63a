//! What the tests of the executor share.

// Each test file includes this and uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::env;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, spawn, task::yield_now};

/// Far more than any of the tests takes; a lost wake takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A new executor that drives `future` on this thread, and is then dropped.
pub fn run<F: Future>(future: F) -> F::Output {
    Executor::new().expect("few executors are alive").block_on(&mut ThreadDriver::new(), future)
}

/// Runs `test` on a thread of its own, so that one that hangs fails. Its panic goes on in the caller.
pub fn bounded<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let (running, end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _running = running;
        test()
    });
    if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// As [`bounded`], with a stack of `size` bytes.
pub fn on_a_stack_of(size: usize, test: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(size).spawn(test).expect("a thread starts");
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
}

/// Runs `test` in a process of its own: this test binary again, with the name of the one test that calls this. So
/// `test` may change limits, or die.
pub fn in_a_child(name: &str, test: impl FnOnce()) {
    const NAME: &str = "POLLYWOG_TEST_CHILD";
    if env::var_os(NAME).is_some_and(|value| value == name) {
        return test();
    }
    let mut child = Command::new(env::current_exe().expect("the test binary has a path"));
    let output = child.args(["--exact", name, "--nocapture"]).env(NAME, name).output().expect("the child starts");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{said}{complained}", output.status);
    assert!(said.contains("1 passed"), "no test is named {name}:\n{said}");
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panic hook silent about panics whose message begins with 'expected' (see also [`panic_of`]).
pub fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_expected = text(info.payload()).is_none_or(|text| text.starts_with("expected"));
            if !is_expected && !QUIET.get() {
                default(info);
            }
        }));
    });
}

/// The message that `f` panics with.
pub fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    silence_expected_panics();
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    let payload = result.err().expect("it should have panicked");
    text(&*payload).expect("the payload is a text").to_owned()
}

/// The text that `panic!` makes a payload of.
pub fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
}

/// A waker of another make that counts its wakes.
#[derive(Debug, Default)]
pub struct Counter(AtomicUsize);

impl Counter {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once with a waker of another make.
pub fn poll_with<F: Future + Unpin>(future: &mut F, waker: Arc<impl Wake + Send + Sync + 'static>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(waker)))
}

/// Runs `f` when dropped.
#[derive(Debug)]
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    /// Keeps `f` for then.
    pub fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().expect("it is dropped once")();
    }
}

/// Two tasks beside the faulty ones: one that yields, one that awaits it.
pub fn spawn_bystanders() -> impl Future<Output = ()> {
    let first = spawn(async {
        for _ in 0..5 {
            yield_now().await;
        }
        1
    });
    let second = spawn(async move { first.await.unwrap() + 1 });
    async move { assert_eq!(second.await.unwrap(), 2) }
}

/// A future that leaves its waker outside and counts its polls; ready once `done` is set.
#[derive(Debug, Default)]
pub struct Probe {
    /// How often it was polled.
    pub polls: Cell<usize>,
    /// Whether the next poll is the last.
    pub done: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Probe {
    /// One poll.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.set(self.polls.get() + 1);
        self.waker.replace(Some(cx.waker().clone()));
        if self.done.get() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// It, as a future.
    pub fn task(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let probe = self.clone();
        poll_fn(move |cx| probe.poll(cx))
    }

    /// The waker of the last poll.
    pub fn waker(&self) -> Waker {
        self.waker.borrow().clone().expect("it was polled")
    }
}
