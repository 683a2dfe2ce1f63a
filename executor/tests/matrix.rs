//! Every way in which a task can end: panics × abort × what becomes of the handle, enumerated, each against a model.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{AbortHandle, Executor, JoinError, JoinHandle, spawn, task::yield_now};

const IN_POLL: &str = "expected: poll";
const IN_DROP: &str = "expected: drop of the future";
const IN_OUTPUT: &str = "expected: drop of the output";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Abort {
    Never,
    BeforeFirstPoll,
    DuringFirstPoll,
    BetweenPolls,
    BetweenPollsElsewhere,
    DuringLastPoll,
    AfterFinished,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Handle {
    JoinedBeforeFinished,
    JoinedAfterFinished,
    DroppedBeforeFirstPoll,
    DroppedDuringFirstPoll,
    DroppedDuringLastPoll,
    DroppedAfterFinished,
    DroppedAfterFinishedElsewhere,
    OutlivesExecutor,
    OutlivesExecutorDroppedBetweenPolls,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    panic_in_poll: bool,
    panic_in_drop: bool,
    panic_in_output: bool,
    abort: Abort,
    handle: Handle,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Polled,
    FutureDropped,
    OutputDropped,
    JoinerWoken,
    Resolved,
}

/// What the handle gave, and in which order things happened.
#[derive(Debug, PartialEq)]
struct Trace {
    result: Option<Result<(), String>>,
    events: Vec<Event>,
}

/// What ought to happen.
fn model(case: Case, id: &str) -> Trace {
    use Handle::*;
    let cut_short = case.handle == OutlivesExecutorDroppedBetweenPolls;
    let polls = match case.abort {
        Abort::BeforeFirstPoll => 0,
        Abort::DuringFirstPoll | Abort::BetweenPolls | Abort::BetweenPollsElsewhere => 1,
        Abort::Never | Abort::DuringLastPoll | Abort::AfterFinished => 2 - usize::from(cut_short),
    };
    let is_made = polls == 2 && !case.panic_in_poll;
    let is_kept = is_made && !case.panic_in_drop;

    let mut events = vec![Event::Polled; polls];
    events.push(Event::FutureDropped);
    if is_made && case.panic_in_drop {
        events.push(Event::OutputDropped);
    }
    let then = match case.handle {
        JoinedBeforeFinished => &[Event::JoinerWoken, Event::Resolved, Event::OutputDropped][..],
        JoinedAfterFinished => &[Event::Resolved, Event::OutputDropped],
        OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => &[Event::OutputDropped, Event::Resolved],
        _ => &[Event::OutputDropped],
    };
    events.extend(then.iter().filter(|event| is_kept || **event != Event::OutputDropped));

    let cancelled = || Err(format!("task {id} was cancelled"));
    let panicked = |message| Err(format!("task {id} panicked: {message}"));
    let result = match case.handle {
        OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => Some(cancelled()),
        JoinedBeforeFinished | JoinedAfterFinished if case.panic_in_drop => Some(panicked(IN_DROP)),
        JoinedBeforeFinished | JoinedAfterFinished if polls < 2 => Some(cancelled()),
        JoinedBeforeFinished | JoinedAfterFinished if case.panic_in_poll => Some(panicked(IN_POLL)),
        JoinedBeforeFinished | JoinedAfterFinished => Some(Ok(())),
        _ => None,
    };
    Trace { result, events }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Event, ThreadId)>>>);

impl Log {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push((event, thread::current().id()));
    }
}

impl Wake for Log {
    fn wake(self: Arc<Self>) {
        self.note(Event::JoinerWoken);
    }
}

/// Pending once, then ready.
struct Subject {
    case: Case,
    log: Log,
    polls: Cell<u32>,
    outside: Rc<Outside>,
}

/// What the test and the task itself know of the task.
#[derive(Default)]
struct Outside {
    handle: RefCell<Option<JoinHandle<Output>>>,
    abort: RefCell<Option<AbortHandle>>,
    waker: RefCell<Option<Waker>>,
}

impl Outside {
    fn abort(&self) {
        self.abort.borrow().as_ref().unwrap().abort();
    }

    fn drop_handle(&self) {
        drop(self.handle.take());
    }

    fn poll_handle(&self, log: &Log) -> Poll<Result<Output, JoinError>> {
        let waker = Waker::from(Arc::new(log.clone()));
        let mut handle = self.handle.borrow_mut();
        Pin::new(handle.as_mut().unwrap()).poll(&mut Context::from_waker(&waker))
    }

    fn resolve(&self, log: &Log) -> Result<(), String> {
        let Poll::Ready(result) = self.poll_handle(log) else { panic!("the handle does not resolve") };
        log.note(Event::Resolved);
        let said = match &result {
            Ok(_) => Ok(()),
            Err(error) => {
                assert_ne!(error.is_panic(), error.is_cancelled());
                assert_eq!(error.is_panic(), error.to_string().contains("panicked"));
                Err(error.to_string())
            }
        };
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(result)));
        said
    }
}

impl Future for Subject {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.log.note(Event::Polled);
        self.polls.set(self.polls.get() + 1);
        let is_first = self.polls.get() == 1;
        if self.case.abort == if is_first { Abort::DuringFirstPoll } else { Abort::DuringLastPoll } {
            self.outside.abort();
        }
        if self.case.handle == if is_first { Handle::DroppedDuringFirstPoll } else { Handle::DroppedDuringLastPoll } {
            self.outside.drop_handle();
        }
        if is_first {
            self.outside.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        if self.case.panic_in_poll {
            panic!("{IN_POLL}");
        }
        Poll::Ready(Output { panics: self.case.panic_in_output, log: self.log.clone() })
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.log.note(Event::FutureDropped);
        if self.case.panic_in_drop {
            panic!("{IN_DROP}");
        }
    }
}

struct Output {
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

/// The life of the subject; the steps of the test are its phases. Returns what the handle gave meanwhile.
async fn live(case: Case, outside: Rc<Outside>, log: Log) -> Option<Result<(), String>> {
    let subject = Subject { case, log: log.clone(), polls: Cell::new(0), outside: outside.clone() };
    let handle = spawn(subject);
    outside.abort.replace(Some(handle.abort_handle()));
    outside.handle.replace(Some(handle));
    match case.handle {
        Handle::JoinedBeforeFinished => assert!(outside.poll_handle(&log).is_pending()),
        Handle::DroppedBeforeFirstPoll => outside.drop_handle(),
        _ => {}
    }
    if case.abort == Abort::BeforeFirstPoll {
        outside.abort();
    }
    yield_now().await; // the first poll, if there is one

    match case.abort {
        Abort::BetweenPolls => outside.abort(),
        Abort::BetweenPollsElsewhere => {
            let abort = outside.abort.borrow().clone().unwrap();
            thread::spawn(move || abort.abort()).join().unwrap();
        }
        _ => {}
    }
    if case.handle == Handle::OutlivesExecutorDroppedBetweenPolls {
        return None;
    }
    yield_now().await; // what was aborted ends
    if let Some(waker) = outside.waker.take() {
        waker.wake();
    }
    yield_now().await; // the last poll, if there is one

    if case.abort == Abort::AfterFinished {
        outside.abort();
    }
    let mut result = None;
    match case.handle {
        Handle::JoinedBeforeFinished | Handle::JoinedAfterFinished => result = Some(outside.resolve(&log)),
        Handle::DroppedAfterFinished => outside.drop_handle(),
        Handle::DroppedAfterFinishedElsewhere => {
            let handle = outside.handle.take();
            thread::spawn(move || drop(handle)).join().unwrap();
        }
        _ => {}
    }
    yield_now().await; // what was posted is read
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7, "another task runs");
    result
}

fn check(case: Case) {
    let (outside, log) = (Rc::new(Outside::default()), Log::default());
    let executor = Executor::new().unwrap();
    let mut result = executor.block_on(&mut ThreadDriver::new(), live(case, outside.clone(), log.clone()));
    drop(executor);
    if matches!(case.handle, Handle::OutlivesExecutor | Handle::OutlivesExecutorDroppedBetweenPolls) {
        result = Some(outside.resolve(&log));
    }
    let id = outside.abort.borrow().as_ref().unwrap().id().to_string();
    outside.drop_handle();
    assert_eq!(Rc::strong_count(&outside), 1, "{case:?}: the future is freed");

    let log = log.0.lock().unwrap();
    assert!(log.iter().all(|(_, thread)| *thread == thread::current().id()), "{case:?}: on the owner's thread");
    let events = log.iter().map(|(event, _)| *event).collect();
    assert_eq!(Trace { result, events }, model(case, &id), "{case:?}");
}

#[test]
fn a_task_ends_as_the_model_says_in_every_combination() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload().downcast_ref::<String>();
        if !message.is_some_and(|message| message.starts_with("expected: ")) {
            default(info);
        }
    }));
    use {Abort::*, Handle::*};
    let aborts =
        [Never, BeforeFirstPoll, DuringFirstPoll, BetweenPolls, BetweenPollsElsewhere, DuringLastPoll, AfterFinished];
    let handles = [
        JoinedBeforeFinished,
        JoinedAfterFinished,
        DroppedBeforeFirstPoll,
        DroppedDuringFirstPoll,
        DroppedDuringLastPoll,
        DroppedAfterFinished,
        DroppedAfterFinishedElsewhere,
        OutlivesExecutor,
        OutlivesExecutorDroppedBetweenPolls,
    ];
    for panic_in_poll in [false, true] {
        for panic_in_drop in [false, true] {
            for panic_in_output in [false, true] {
                for abort in aborts {
                    for handle in handles {
                        check(Case { panic_in_poll, panic_in_drop, panic_in_output, abort, handle });
                    }
                }
            }
        }
    }
}
