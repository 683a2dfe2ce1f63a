//! Tasks that come through a `Handle`, from the executor's thread or from another, and whose `RemoteJoinHandle` is used
//! on either.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, Handle, RemoteJoinHandle, spawn, task, task::yield_now};

use crate::subject::{Event, Log, Output, Panics, Place, Subject, Trace, life, outcome};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Abort {
    Never,
    BeforeFirstPoll,
    DuringFirstPoll,
    BetweenPolls,
    DuringLastPoll,
    AfterFinished,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Join {
    JoinedBeforeFinished,
    JoinedAfterFinished,
    DroppedBeforeFirstPoll,
    DroppedDuringFirstPoll,
    DroppedBetweenPolls,
    DroppedDuringLastPoll,
    DroppedAfterFinished,
    OutlivesExecutor,
    OutlivesExecutorDroppedBeforeFirstPoll,
    OutlivesExecutorDroppedBetweenPolls,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    panics: Panics,
    abort: Abort,
    join: Join,
    /// Whether it is what makes the future that is sent.
    pinned: bool,
    /// Where it is spawned.
    spawned: Place,
    /// Where the handle is used and dropped.
    used: Place,
}

/// What ought to happen.
fn model(case: Case, id: task::Id) -> Trace {
    use Join::*;
    let by_abort = match case.abort {
        // There is no handle left to abort it with.
        Abort::DuringFirstPoll if case.join == DroppedBeforeFirstPoll => 2,
        Abort::BetweenPolls if matches!(case.join, DroppedBeforeFirstPoll | DroppedDuringFirstPoll) => 2,
        // What is posted comes after the tasks that are ready.
        Abort::BeforeFirstPoll => usize::from(case.spawned == Place::Here && case.used == Place::Elsewhere),
        Abort::DuringFirstPoll | Abort::BetweenPolls => 1,
        Abort::Never | Abort::DuringLastPoll | Abort::AfterFinished => 2,
    };
    let by_executor = match case.join {
        OutlivesExecutorDroppedBeforeFirstPoll => 0,
        OutlivesExecutorDroppedBetweenPolls => 1,
        _ => 2,
    };
    let polls = by_abort.min(by_executor);
    let is_kept = polls == 2 && !case.panics.poll && !case.panics.drop;

    // The future is always dropped on the executor's thread, its output where it was last.
    let mut events: Vec<_> = life(case.panics, polls).into_iter().map(|event| (event, Place::Here)).collect();
    let resolved = [(Event::Resolved, case.used), (Event::OutputDropped, case.used)];
    let then = match case.join {
        JoinedBeforeFinished => [&[(Event::JoinerWoken, Place::Here)], &resolved[..]].concat(),
        JoinedAfterFinished
        | OutlivesExecutor
        | OutlivesExecutorDroppedBeforeFirstPoll
        | OutlivesExecutorDroppedBetweenPolls => resolved.to_vec(),
        DroppedAfterFinished => vec![(Event::OutputDropped, case.used)],
        _ => vec![(Event::OutputDropped, Place::Here)],
    };
    events.extend(then.iter().filter(|(event, _)| is_kept || *event != Event::OutputDropped));

    let is_resolved = events.iter().any(|(event, _)| *event == Event::Resolved);
    Trace { result: is_resolved.then(|| outcome(id, case.panics, polls)), events }
}

/// What the test and the task itself know of the task.
struct Outside {
    used: Place,
    handle: Mutex<Option<RemoteJoinHandle<Output>>>,
}

impl Outside {
    fn abort(&self) {
        self.used.run(|| {
            if let Some(handle) = &*self.handle.lock().unwrap() {
                handle.abort();
            }
        });
    }

    fn drop_handle(&self) {
        self.used.run(|| {
            let handle = self.handle.lock().unwrap().take();
            drop(handle);
        });
    }

    fn poll_handle(&self, log: &Log) -> Poll<Result<(), String>> {
        self.used.run(|| {
            let mut handle = self.handle.lock().unwrap();
            log.poll(handle.as_mut().unwrap()).map(|result| log.resolve(result))
        })
    }

    fn resolve(&self, log: &Log) -> Result<(), String> {
        let Poll::Ready(result) = self.poll_handle(log) else { panic!("the handle does not resolve") };
        result
    }

    /// What happens inside the subject.
    fn in_poll(&self, case: Case, number: u32) {
        let (abort, join) = match number {
            1 => (Abort::DuringFirstPoll, Join::DroppedDuringFirstPoll),
            _ => (Abort::DuringLastPoll, Join::DroppedDuringLastPoll),
        };
        if case.abort == abort {
            self.abort();
        }
        if case.join == join {
            self.drop_handle();
        }
    }
}

/// Before the executor comes to the task.
fn begin(case: Case, handle: Handle, outside: &Arc<Outside>, log: &Log) -> task::Id {
    let inside = outside.clone();
    let subject = Subject::new(case.panics, log, move |number| inside.in_poll(case, number));
    let handle = case.spawned.run(move || match case.pinned {
        true => handle.spawn_pinned(move || subject),
        false => handle.spawn(subject),
    });
    let id = handle.id();
    *outside.handle.lock().unwrap() = Some(handle);
    if case.join == Join::JoinedBeforeFinished {
        assert!(outside.poll_handle(log).is_pending());
    }
    if case.abort == Abort::BeforeFirstPoll {
        outside.abort();
    }
    if case.join == Join::DroppedBeforeFirstPoll {
        outside.drop_handle();
    }
    id
}

/// The rest of its life; the steps of the test are its phases. Returns what the handle gave meanwhile.
async fn live(case: Case, outside: Arc<Outside>, log: Log) -> Option<Result<(), String>> {
    yield_now().await; // the first poll, if there is one

    if case.abort == Abort::BetweenPolls {
        outside.abort();
    }
    match case.join {
        Join::DroppedBetweenPolls => outside.drop_handle(),
        Join::OutlivesExecutorDroppedBetweenPolls => return None,
        _ => {}
    }
    yield_now().await; // what was aborted ends
    log.wake_subject();
    yield_now().await; // the last poll, if there is one

    if case.abort == Abort::AfterFinished {
        outside.abort();
    }
    let mut result = None;
    match case.join {
        Join::JoinedBeforeFinished | Join::JoinedAfterFinished => result = Some(outside.resolve(&log)),
        Join::DroppedAfterFinished => outside.drop_handle(),
        _ => {}
    }
    yield_now().await; // what was posted is read
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7, "another task runs");
    result
}

fn check(case: Case) {
    let (outside, log) = (Arc::new(Outside { used: case.used, handle: Mutex::new(None) }), Log::default());
    let executor = Executor::new().unwrap();
    let (id, mut result);
    if case.join == Join::OutlivesExecutorDroppedBeforeFirstPoll {
        // Nothing runs, so that it is posted whatever the thread.
        id = begin(case, executor.handle(), &outside, &log);
        result = None;
    } else {
        (id, result) = executor.block_on(&mut ThreadDriver::new(), async {
            let id = begin(case, Handle::current(), &outside, &log);
            (id, live(case, outside.clone(), log.clone()).await)
        });
    }
    drop(executor);
    if matches!(
        case.join,
        Join::OutlivesExecutor
            | Join::OutlivesExecutorDroppedBeforeFirstPoll
            | Join::OutlivesExecutorDroppedBetweenPolls
    ) {
        result = Some(outside.resolve(&log));
    }
    outside.drop_handle();
    assert_eq!(Arc::strong_count(&outside), 1, "{case:?}: the future is freed");
    assert_eq!(Trace { result, events: log.events() }, model(case, id), "{case:?}");
}

#[test]
fn a_task_that_came_through_a_handle_ends_as_the_model_says_in_every_combination() {
    use {Abort::*, Join::*};
    let aborts = [Never, BeforeFirstPoll, DuringFirstPoll, BetweenPolls, DuringLastPoll, AfterFinished];
    let joins = [
        JoinedBeforeFinished,
        JoinedAfterFinished,
        DroppedBeforeFirstPoll,
        DroppedDuringFirstPoll,
        DroppedBetweenPolls,
        DroppedDuringLastPoll,
        DroppedAfterFinished,
        OutlivesExecutor,
        OutlivesExecutorDroppedBeforeFirstPoll,
        OutlivesExecutorDroppedBetweenPolls,
    ];
    for panics in Panics::all() {
        for abort in aborts {
            for join in joins {
                for (spawned, used) in Place::ALL.into_iter().flat_map(|spawned| Place::ALL.map(|used| (spawned, used)))
                {
                    for pinned in [false, true] {
                        check(Case { panics, abort, join, pinned, spawned, used });
                    }
                }
            }
        }
    }
}
