//! The future whose life is followed, and the log of that life.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use pollywog_executor::{JoinError, task};

pub(crate) const IN_POLL: &str = "expected: poll";
pub(crate) const IN_DROP: &str = "expected: drop of the future";
pub(crate) const IN_OUTPUT: &str = "expected: drop of the output";

/// Which foreign code panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panics {
    pub(crate) poll: bool,
    pub(crate) drop: bool,
    pub(crate) output: bool,
}

impl Panics {
    /// All combinations.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        silence_expected_panics();
        (0..8).map(|bits| Self { poll: bits & 1 != 0, drop: bits & 2 != 0, output: bits & 4 != 0 })
    }
}

fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let message = info.payload().downcast_ref::<String>();
            if !message.is_some_and(|message| message.starts_with("expected: ")) {
                default(info);
            }
        }));
    });
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event {
    Polled,
    FutureDropped,
    OutputDropped,
    JoinerWoken,
    /// The handle gave a result.
    Resolved,
    /// The body of the scope was dropped.
    BodyDropped,
    /// The scope gave a result.
    ScopeOver,
}

/// On which thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// The executor's.
    Here,
    Elsewhere,
}

impl Place {
    pub(crate) const ALL: [Self; 2] = [Self::Here, Self::Elsewhere];

    /// Runs `f` there.
    pub(crate) fn run<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Here => f(),
            Self::Elsewhere => thread::scope(|scope| scope.spawn(f).join().unwrap()),
        }
    }
}

/// What was given, and what happened where, in this order.
#[derive(Debug, PartialEq)]
pub(crate) struct Trace {
    pub(crate) result: Option<Result<(), String>>,
    pub(crate) events: Vec<(Event, Place)>,
}

/// These, all of them on the executor's thread.
pub(crate) fn here(events: Vec<Event>) -> Vec<(Event, Place)> {
    events.into_iter().map(|event| (event, Place::Here)).collect()
}

/// What happened to the subject so far. As a waker it is the joiner's.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Entries>);

#[derive(Default)]
struct Entries {
    events: Mutex<Vec<(Event, ThreadId)>>,
    waker: Mutex<Option<Waker>>,
}

impl Log {
    pub(crate) fn note(&self, event: Event) {
        self.0.events.lock().unwrap().push((event, thread::current().id()));
    }

    /// Wakes the subject, if it waits.
    pub(crate) fn wake_subject(&self) {
        let waker = self.0.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Polls as the joiner.
    pub(crate) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(self.clone()));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// Notes that a handle gave `result`, and drops it.
    pub(crate) fn resolve(&self, result: Result<Output, JoinError>) -> Result<(), String> {
        self.note(Event::Resolved);
        let said = match &result {
            Ok(_) => Ok(()),
            Err(error) => {
                assert_ne!(error.is_panic(), error.is_cancelled());
                assert_eq!(error.is_panic(), error.to_string().contains("panicked"));
                Err(error.to_string())
            }
        };
        drop_quietly(result);
        said
    }

    /// All events, told from the executor's thread.
    pub(crate) fn events(&self) -> Vec<(Event, Place)> {
        let here = thread::current().id();
        let place = |thread| if thread == here { Place::Here } else { Place::Elsewhere };
        self.0.events.lock().unwrap().iter().map(|(event, thread)| (*event, place(*thread))).collect()
    }
}

impl Wake for Log {
    fn wake(self: Arc<Self>) {
        self.note(Event::JoinerWoken);
    }
}

/// Drops what may panic.
pub(crate) fn drop_quietly<T>(foreign: T) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(foreign)));
}

/// Pending once, then ready. In each poll it calls `hook` with the number of the poll.
pub(crate) struct Subject<H> {
    panics: Panics,
    log: Log,
    polls: u32,
    hook: H,
}

impl<H: FnMut(u32) + Unpin> Subject<H> {
    pub(crate) fn new(panics: Panics, log: &Log, hook: H) -> Self {
        Self { panics, log: log.clone(), polls: 0, hook }
    }
}

impl<H: FnMut(u32) + Unpin> Future for Subject<H> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let this = &mut *self;
        this.log.note(Event::Polled);
        this.polls += 1;
        (this.hook)(this.polls);
        if this.polls == 1 {
            this.log.0.waker.lock().unwrap().replace(cx.waker().clone());
            return Poll::Pending;
        }
        if this.panics.poll {
            panic!("{IN_POLL}");
        }
        Poll::Ready(Output { panics: this.panics.output, log: this.log.clone() })
    }
}

impl<H> Drop for Subject<H> {
    fn drop(&mut self) {
        self.log.note(Event::FutureDropped);
        if self.panics.drop {
            panic!("{IN_DROP}");
        }
    }
}

pub(crate) struct Output {
    panics: bool,
    log: Log,
}

impl Drop for Output {
    fn drop(&mut self) {
        self.log.note(Event::OutputDropped);
        if self.panics {
            panic!("{IN_OUTPUT}");
        }
    }
}

/// What a handle of task `id` gives when the subject was polled `polls` times, and was then dropped.
pub(crate) fn outcome(id: task::Id, panics: Panics, polls: usize) -> Result<(), String> {
    match (panics, polls) {
        (Panics { drop: true, .. }, _) => Err(format!("task {id} panicked: {IN_DROP}")),
        (_, 0 | 1) => Err(format!("task {id} was cancelled")),
        (Panics { poll: true, .. }, _) => Err(format!("task {id} panicked: {IN_POLL}")),
        _ => Ok(()),
    }
}

/// What happens to the subject itself in that many polls.
pub(crate) fn life(panics: Panics, polls: usize) -> Vec<Event> {
    let mut events = vec![Event::Polled; polls];
    events.push(Event::FutureDropped);
    if polls == 2 && !panics.poll && panics.drop {
        // The panic of the drop takes the place of the output.
        events.push(Event::OutputDropped);
    }
    events
}
