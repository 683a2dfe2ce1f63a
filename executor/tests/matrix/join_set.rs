//! Tasks of a `JoinSet`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{AbortHandle, Executor, JoinError, JoinSet, spawn, task, task::yield_now};

use crate::subject::{Event, Log, Output, Panics, Place, Subject, Trace, here, life, outcome};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Abort {
    Never,
    BeforeFirstPoll,
    AllBeforeFirstPoll,
    DuringFirstPoll,
    AllDuringFirstPoll,
    BetweenPolls,
    BetweenPollsElsewhere,
    AllBetweenPolls,
    DuringLastPoll,
    AfterFinished,
    AllAfterFinished,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    JoinedBeforeFinished,
    JoinedAfterFinished,
    DroppedBeforeFirstPoll,
    DroppedDuringFirstPoll,
    DroppedBetweenPolls,
    DroppedDuringLastPoll,
    DroppedAfterFinished,
    DetachedBeforeFirstPoll,
    DetachedDuringFirstPoll,
    DetachedBetweenPolls,
    DetachedDuringLastPoll,
    DetachedAfterFinished,
    ShutDownBeforeFirstPoll,
    ShutDownBetweenPolls,
    ShutDownAfterFinished,
    OutlivesExecutor,
    OutlivesExecutorDroppedBetweenPolls,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    panics: Panics,
    abort: Abort,
    set: Set,
}

/// What ought to happen.
fn model(case: Case, id: task::Id) -> Trace {
    use Set::*;
    let by_abort = match case.abort {
        Abort::BeforeFirstPoll | Abort::AllBeforeFirstPoll => 0,
        Abort::DuringFirstPoll | Abort::AllDuringFirstPoll => 1,
        Abort::BetweenPolls | Abort::BetweenPollsElsewhere | Abort::AllBetweenPolls => 1,
        Abort::Never | Abort::DuringLastPoll | Abort::AfterFinished | Abort::AllAfterFinished => 2,
    };
    let by_set = match case.set {
        DroppedBeforeFirstPoll | ShutDownBeforeFirstPoll => 0,
        DroppedDuringFirstPoll | DroppedBetweenPolls | ShutDownBetweenPolls => 1,
        OutlivesExecutorDroppedBetweenPolls => 1,
        _ => 2,
    };
    let polls = by_abort.min(by_set);
    // Whoever has left the set is not aborted with it.
    let has_left = match case.set {
        DetachedBeforeFirstPoll => matches!(case.abort, Abort::AllDuringFirstPoll | Abort::AllBetweenPolls),
        DetachedDuringFirstPoll => case.abort == Abort::AllBetweenPolls,
        _ => false,
    };
    let polls = if has_left { 2 } else { polls };
    let is_kept = polls == 2 && !case.panics.poll && !case.panics.drop;

    let mut events = life(case.panics, polls);
    let then = match case.set {
        JoinedBeforeFinished => &[Event::JoinerWoken, Event::Resolved, Event::OutputDropped][..],
        JoinedAfterFinished | OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => {
            &[Event::Resolved, Event::OutputDropped]
        }
        // It is over when all is dropped.
        ShutDownBeforeFirstPoll | ShutDownBetweenPolls | ShutDownAfterFinished => {
            &[Event::OutputDropped, Event::Resolved]
        }
        _ => &[Event::OutputDropped],
    };
    events.extend(then.iter().filter(|event| is_kept || **event != Event::OutputDropped));

    let result = match case.set {
        JoinedBeforeFinished | JoinedAfterFinished => Some(outcome(id, case.panics, polls)),
        // The results are the set's, and so outlive the executor.
        OutlivesExecutor | OutlivesExecutorDroppedBetweenPolls => Some(outcome(id, case.panics, polls)),
        _ => None,
    };
    Trace { result, events: here(events) }
}

/// What the test and the task itself know of the task.
#[derive(Default)]
struct Outside {
    set: RefCell<Option<JoinSet<Output>>>,
    abort: RefCell<Option<AbortHandle>>,
}

impl Outside {
    fn abort(&self) {
        self.abort.borrow().as_ref().unwrap().abort();
    }

    fn abort_all(&self) {
        if let Some(set) = &mut *self.set.borrow_mut() {
            set.abort_all();
        }
    }

    fn drop_set(&self) {
        drop(self.set.take());
    }

    fn detach(&self) {
        let mut set = self.set.take().unwrap();
        set.detach_all();
        assert!(set.is_empty() && set.try_join_next().is_none());
        self.set.replace(Some(set));
    }

    fn poll_next(&self, waker: &Waker) -> Poll<Option<(task::Id, Result<Output, JoinError>)>> {
        self.set.borrow_mut().as_mut().unwrap().poll_join_next_with_id(&mut Context::from_waker(waker))
    }

    fn resolve(&self, log: &Log) -> Result<(), String> {
        let Poll::Ready(Some((id, result))) = self.poll_next(Waker::noop()) else { panic!("there is no result") };
        assert_eq!(id, self.abort.borrow().as_ref().unwrap().id());
        assert!(matches!(self.poll_next(Waker::noop()), Poll::Ready(None)), "it is empty then");
        log.resolve(result)
    }

    async fn shut_down(&self, log: &Log) {
        let mut set = self.set.take().unwrap();
        set.shutdown().await;
        log.note(Event::Resolved);
        assert!(set.is_empty() && set.try_join_next().is_none());
    }

    /// What happens inside the subject.
    fn in_poll(&self, case: Case, number: u32) {
        match (case.abort, number) {
            (Abort::DuringFirstPoll, 1) | (Abort::DuringLastPoll, 2) => self.abort(),
            (Abort::AllDuringFirstPoll, 1) => self.abort_all(),
            _ => {}
        }
        match (case.set, number) {
            (Set::DroppedDuringFirstPoll, 1) | (Set::DroppedDuringLastPoll, 2) => self.drop_set(),
            (Set::DetachedDuringFirstPoll, 1) | (Set::DetachedDuringLastPoll, 2) => self.detach(),
            _ => {}
        }
    }
}

/// The life of the subject; the steps of the test are its phases. Returns what the set gave meanwhile.
async fn live(case: Case, outside: Rc<Outside>, log: Log) -> Option<Result<(), String>> {
    let (mut set, inside) = (JoinSet::new(), outside.clone());
    let abort = set.spawn(Subject::new(case.panics, &log, move |number| inside.in_poll(case, number)));
    outside.abort.replace(Some(abort));
    outside.set.replace(Some(set));
    if case.set == Set::JoinedBeforeFinished {
        assert!(outside.poll_next(&Waker::from(Arc::new(log.clone()))).is_pending());
    }
    match case.abort {
        Abort::BeforeFirstPoll => outside.abort(),
        Abort::AllBeforeFirstPoll => outside.abort_all(),
        _ => {}
    }
    match case.set {
        Set::DroppedBeforeFirstPoll => outside.drop_set(),
        Set::DetachedBeforeFirstPoll => outside.detach(),
        Set::ShutDownBeforeFirstPoll => outside.shut_down(&log).await,
        _ => {}
    }
    yield_now().await; // the first poll, if there is one

    match case.abort {
        Abort::BetweenPolls => outside.abort(),
        Abort::BetweenPollsElsewhere => {
            let abort = outside.abort.borrow().clone().unwrap();
            Place::Elsewhere.run(|| abort.abort());
        }
        Abort::AllBetweenPolls => outside.abort_all(),
        _ => {}
    }
    match case.set {
        Set::DroppedBetweenPolls => outside.drop_set(),
        Set::DetachedBetweenPolls => outside.detach(),
        Set::ShutDownBetweenPolls => outside.shut_down(&log).await,
        Set::OutlivesExecutorDroppedBetweenPolls => return None,
        _ => {}
    }
    yield_now().await; // what was aborted ends
    log.wake_subject();
    yield_now().await; // the last poll, if there is one

    match case.abort {
        Abort::AfterFinished => outside.abort(),
        Abort::AllAfterFinished => outside.abort_all(),
        _ => {}
    }
    let mut result = None;
    match case.set {
        Set::JoinedBeforeFinished | Set::JoinedAfterFinished => result = Some(outside.resolve(&log)),
        Set::DroppedAfterFinished => outside.drop_set(),
        Set::DetachedAfterFinished => outside.detach(),
        Set::ShutDownAfterFinished => outside.shut_down(&log).await,
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
    if matches!(case.set, Set::OutlivesExecutor | Set::OutlivesExecutorDroppedBetweenPolls) {
        result = Some(outside.resolve(&log));
    }
    let id = outside.abort.borrow().as_ref().unwrap().id();
    outside.drop_set();
    assert_eq!(Rc::strong_count(&outside), 1, "{case:?}: the future is freed");
    assert_eq!(Trace { result, events: log.events() }, model(case, id), "{case:?}");
}

#[test]
fn a_task_of_a_set_ends_as_the_model_says_in_every_combination() {
    use {Abort::*, Set::*};
    let aborts = [
        Never,
        BeforeFirstPoll,
        AllBeforeFirstPoll,
        DuringFirstPoll,
        AllDuringFirstPoll,
        BetweenPolls,
        BetweenPollsElsewhere,
        AllBetweenPolls,
        DuringLastPoll,
        AfterFinished,
        AllAfterFinished,
    ];
    let sets = [
        JoinedBeforeFinished,
        JoinedAfterFinished,
        DroppedBeforeFirstPoll,
        DroppedDuringFirstPoll,
        DroppedBetweenPolls,
        DroppedDuringLastPoll,
        DroppedAfterFinished,
        DetachedBeforeFirstPoll,
        DetachedDuringFirstPoll,
        DetachedBetweenPolls,
        DetachedDuringLastPoll,
        DetachedAfterFinished,
        ShutDownBeforeFirstPoll,
        ShutDownBetweenPolls,
        ShutDownAfterFinished,
        OutlivesExecutor,
        OutlivesExecutorDroppedBetweenPolls,
    ];
    for panics in Panics::all() {
        for abort in aborts {
            for set in sets {
                check(Case { panics, abort, set });
            }
        }
    }
}
