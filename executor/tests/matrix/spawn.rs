//! Tasks of the executor, with a `JoinHandle`.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{AbortHandle, Executor, JoinHandle, spawn, task, task::yield_now};

use crate::subject::{Event, Log, Output, Panics, Place, Subject, Trace, here, life, outcome};

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
    panics: Panics,
    abort: Abort,
    handle: Handle,
}

/// What ought to happen.
fn model(case: Case, id: task::Id) -> Trace {
    use Handle::*;
    let cut_short = case.handle == OutlivesExecutorDroppedBetweenPolls;
    let polls = match case.abort {
        Abort::BeforeFirstPoll => 0,
        Abort::DuringFirstPoll | Abort::BetweenPolls | Abort::BetweenPollsElsewhere => 1,
        Abort::Never | Abort::DuringLastPoll | Abort::AfterFinished => 2 - usize::from(cut_short),
    };
    let is_kept = polls == 2 && !case.panics.poll && !case.panics.drop;

    let mut events = life(case.panics, polls);
    let then = match case.handle {
        JoinedBeforeFinished => &[Event::JoinerWoken, Event::Resolved, Event::OutputDropped][..],
        JoinedAfterFinished => &[Event::Resolved, Event::OutputDropped],
        OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => &[Event::OutputDropped, Event::Resolved],
        _ => &[Event::OutputDropped],
    };
    events.extend(then.iter().filter(|event| is_kept || **event != Event::OutputDropped));

    let result = match case.handle {
        // The result goes with the executor.
        OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => Some(Err(format!("task {id} was cancelled"))),
        JoinedBeforeFinished | JoinedAfterFinished => Some(outcome(id, case.panics, polls)),
        _ => None,
    };
    Trace { result, events: here(events) }
}

/// What the test and the task itself know of the task.
#[derive(Default)]
struct Outside {
    handle: RefCell<Option<JoinHandle<Output>>>,
    abort: RefCell<Option<AbortHandle>>,
}

impl Outside {
    fn abort(&self) {
        self.abort.borrow().as_ref().unwrap().abort();
    }

    fn drop_handle(&self) {
        drop(self.handle.take());
    }

    fn resolve(&self, log: &Log) -> Result<(), String> {
        let Poll::Ready(result) = log.poll(self.handle.borrow_mut().as_mut().unwrap()) else {
            panic!("the handle does not resolve")
        };
        log.resolve(result)
    }

    /// What happens inside the subject.
    fn in_poll(&self, case: Case, number: u32) {
        let (abort, handle) = match number {
            1 => (Abort::DuringFirstPoll, Handle::DroppedDuringFirstPoll),
            _ => (Abort::DuringLastPoll, Handle::DroppedDuringLastPoll),
        };
        if case.abort == abort {
            self.abort();
        }
        if case.handle == handle {
            self.drop_handle();
        }
    }
}

/// The life of the subject; the steps of the test are its phases. Returns what the handle gave meanwhile.
async fn live(case: Case, outside: Rc<Outside>, log: Log) -> Option<Result<(), String>> {
    let inside = outside.clone();
    let handle = spawn(Subject::new(case.panics, &log, move |number| inside.in_poll(case, number)));
    outside.abort.replace(Some(handle.abort_handle()));
    outside.handle.replace(Some(handle));
    match case.handle {
        Handle::JoinedBeforeFinished => {
            assert!(log.poll(outside.handle.borrow_mut().as_mut().unwrap()).is_pending());
        }
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
            Place::Elsewhere.run(|| abort.abort());
        }
        _ => {}
    }
    if case.handle == Handle::OutlivesExecutorDroppedBetweenPolls {
        return None;
    }
    yield_now().await; // what was aborted ends
    log.wake_subject();
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
            Place::Elsewhere.run(|| drop(handle));
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
    let id = outside.abort.borrow().as_ref().unwrap().id();
    outside.drop_handle();
    assert_eq!(Rc::strong_count(&outside), 1, "{case:?}: the future is freed");
    assert_eq!(Trace { result, events: log.events() }, model(case, id), "{case:?}");
}

#[test]
fn a_task_ends_as_the_model_says_in_every_combination() {
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
    for panics in Panics::all() {
        for abort in aborts {
            for handle in handles {
                check(Case { panics, abort, handle });
            }
        }
    }
}
