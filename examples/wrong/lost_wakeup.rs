//! Wrong, three times out of four: a delay whose end is not noticed by who awaits it.
//!
//! ```text
//! cargo run --release --example lost_wakeup -- --way a    # checks, then registers
//! cargo run --release --example lost_wakeup -- --way b    # wakes, then says that it is over
//! cargo run --release --example lost_wakeup -- --way c    # keeps the waker of the first poll
//! cargo run --release --example lost_wakeup -- --way d    # checks, registers, checks again: the right one
//! ```
//!
//! What one sees: elsewhere, a task that now and then never goes on, once in a million runs. Here the two threads are
//! made to meet where it goes wrong, every time, and the executor notices that nobody is left who could wake it.
//!
//! Why: whoever makes the event happen and whoever waits for it are two threads, and both do two things. One checks
//! and registers; the other says 'over' and wakes. If all that the one does fits into a gap of the other, it is lost.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use pollywog_examples::say;

/// A delay whose end is not noticed by who awaits it.
#[derive(Parser)]
struct Options {
    /// How it is done
    #[arg(long)]
    way: Way,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// Checks, then registers
    A,
    /// Wakes, then says that it is over
    B,
    /// Keeps the waker of the first poll
    C,
    /// Checks, registers, checks again
    D,
}

/// What the delay and its timer share.
#[derive(Default)]
struct Shared {
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Set when the timer's thread has done all that it will do.
    left: OnceLock<()>,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn set_over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn register(&self, waker: &Waker) {
        *self.waker.lock().unwrap() = Some(waker.clone());
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Delay {
    way: Way,
    shared: Arc<Shared>,
    timer: Sender<()>,
}

impl Delay {
    fn new(way: Way) -> Self {
        let shared = Arc::<Shared>::default();
        let (timer, polled) = channel();
        let its = shared.clone();
        thread::spawn(move || {
            time(way, &its, &polled);
            its.left.set(()).unwrap();
        });
        Self { way, shared, timer }
    }

    /// The gap: nothing keeps the other thread from running just here.
    fn gap(&self) {
        self.timer.send(()).unwrap();
        self.shared.left.wait();
    }

    fn check_then_register(&self, waker: &Waker) -> Poll<()> {
        if self.shared.is_over() {
            return Poll::Ready(());
        }
        self.gap();
        self.shared.register(waker);
        Poll::Pending
    }

    fn check_register_check(&self, waker: &Waker) -> Poll<()> {
        if self.shared.is_over() {
            return Poll::Ready(());
        }
        self.gap();
        self.shared.register(waker);
        if self.shared.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// As it should be, if the timer were.
    fn register_then_check(&self, waker: &Waker) -> Poll<()> {
        self.shared.register(waker);
        if self.shared.is_over() {
            return Poll::Ready(());
        }
        self.timer.send(()).unwrap();
        Poll::Pending
    }

    fn keep_the_first(&self, waker: &Waker) -> Poll<()> {
        self.shared.waker.lock().unwrap().get_or_insert_with(|| waker.clone());
        if self.shared.is_over() {
            return Poll::Ready(());
        }
        self.timer.send(()).unwrap();
        Poll::Pending
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.way {
            Way::A => self.check_then_register(cx.waker()),
            Way::B => self.register_then_check(cx.waker()),
            Way::C => self.keep_the_first(cx.waker()),
            Way::D => self.check_register_check(cx.waker()),
        }
    }
}

/// The timer's thread. Instead of the clock it waits for the polls, so that each way shows its gap.
fn time(way: Way, delay: &Shared, polled: &Receiver<()>) {
    polled.recv().unwrap();
    match way {
        Way::A | Way::D => {
            delay.set_over();
            delay.wake();
        }
        Way::B => {
            delay.wake();
            // The gap.
            polled.recv().unwrap();
            delay.set_over();
        }
        Way::C => {
            polled.recv().unwrap();
            delay.set_over();
            delay.wake();
        }
    }
}

/// Wakes the thread that runs the executor.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// An executor for one future: polls when it is woken. Any other would sleep for ever where this one gives up.
fn block_on(mut delay: Pin<&mut Delay>) -> Option<()> {
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(bell.clone());
    while delay.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        loop {
            let nobody_is_left = delay.shared.left.get().is_some();
            if bell.rung.swap(false, Ordering::SeqCst) {
                break;
            }
            if nobody_is_left {
                return None;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
    Some(())
}

fn run(Options { way }: Options) -> io::Result<()> {
    let mut delay = pin!(Delay::new(way));
    if let Way::C = way {
        // Another task awaited it before this one.
        let _ = delay.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    match block_on(delay.as_mut()) {
        Some(()) => say("it is over, and was noticed"),
        None if delay.shared.is_over() => say("the wake was lost: it is over, and nobody is left to say so"),
        None => say("it is not over, and nobody is left to end it"),
    }
    Ok(())
}

fn main() -> ExitCode {
    pollywog_examples::blocking_main(run)
}
