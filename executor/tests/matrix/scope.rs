//! Children of a scope.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, Metrics, Scope, ScopedJoinHandle, spawn, task, task::yield_now, try_scope};

use crate::subject::{Event, IN_DROP, IN_POLL, Log, Output, Panics, Subject, Trace, drop_quietly, here, life};

/// What a scope gives whose child failed.
const ERROR: &str = "an error";

/// How the child is cut short.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Abort {
    Never,
    BeforeFirstPoll,
    AllBeforeFirstPoll,
    DuringFirstPoll,
    AllDuringFirstPoll,
    BetweenPolls,
    AllBetweenPolls,
    DuringLastPoll,
    AfterFinished,
    AllAfterFinished,
    ScopeDroppedBeforeFirstPoll,
    ScopeDroppedBetweenPolls,
    ScopeDroppedAfterFinished,
}

impl Abort {
    fn drops_scope(self) -> bool {
        use Abort::*;
        matches!(self, ScopeDroppedBeforeFirstPoll | ScopeDroppedBetweenPolls | ScopeDroppedAfterFinished)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Handle {
    JoinedBeforeFinished,
    JoinedAfterFinished,
    DroppedBeforeFirstPoll,
    DroppedDuringFirstPoll,
    DroppedDuringLastPoll,
    DroppedAfterFinished,
    OutlivesScope,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    panics: Panics,
    /// The child's output is its error.
    fails: bool,
    abort: Abort,
    handle: Handle,
}

/// What the handle gave and what happened, and what the scope gave, unless it was dropped.
#[derive(Debug, PartialEq)]
struct Lives {
    child: Trace,
    scope: Option<Result<(), String>>,
}

impl Case {
    /// How often the child is polled.
    fn polls(self) -> usize {
        use Handle::*;
        match (self.abort, self.handle) {
            // There is no handle left to abort it with.
            (Abort::DuringFirstPoll, DroppedBeforeFirstPoll) => 2,
            (Abort::BetweenPolls, DroppedBeforeFirstPoll | DroppedDuringFirstPoll) => 2,
            (Abort::BeforeFirstPoll | Abort::AllBeforeFirstPoll | Abort::ScopeDroppedBeforeFirstPoll, _) => 0,
            (Abort::DuringFirstPoll | Abort::AllDuringFirstPoll, _) => 1,
            (Abort::BetweenPolls | Abort::AllBetweenPolls | Abort::ScopeDroppedBetweenPolls, _) => 1,
            _ => 2,
        }
    }

    /// Whether the child ends with a value or an error.
    fn is_made(self) -> bool {
        self.polls() == 2 && !self.panics.poll && !self.panics.drop
    }

    /// Whether the handle gives the child's output.
    fn is_kept(self) -> bool {
        self.is_made() && !self.fails
    }

    /// Whether the handle is dropped before the child ends.
    fn is_detached(self) -> bool {
        match self.handle {
            Handle::DroppedBeforeFirstPoll => true,
            Handle::DroppedDuringFirstPoll => self.polls() > 0,
            Handle::DroppedDuringLastPoll => self.polls() > 1,
            _ => false,
        }
    }

    /// What the child ends the scope with.
    fn failure(self) -> Option<String> {
        match self.panics {
            Panics { drop: true, .. } => Some(IN_DROP.to_owned()),
            Panics { poll: true, .. } if self.polls() == 2 => Some(IN_POLL.to_owned()),
            _ if self.is_made() && self.fails => Some(ERROR.to_owned()),
            _ => None,
        }
    }
}

/// What ought to happen.
fn model(case: Case, id: task::Id) -> Lives {
    // Whether the child ends before its scope does.
    let (ends, failure) = (case.polls() == 2 || !case.abort.drops_scope(), case.failure());
    let output = if case.is_kept() { &[Event::OutputDropped][..] } else { &[] };
    let resolved = &[&[Event::Resolved], output].concat()[..];
    let mut events = life(case.panics, case.polls());
    let mut is_left = !case.is_detached();
    if case.is_kept() && case.is_detached() {
        events.push(Event::OutputDropped);
    }
    if case.handle == Handle::JoinedBeforeFinished {
        events.push(Event::JoinerWoken);
    }
    if !ends {
        // The scope is dropped: the body, then the child.
        events.insert(case.polls(), Event::BodyDropped);
    } else if failure.is_some() {
        events.push(Event::BodyDropped);
    } else {
        match case.handle {
            Handle::JoinedBeforeFinished | Handle::JoinedAfterFinished => events.extend(resolved),
            Handle::DroppedAfterFinished => events.extend(output),
            _ => {}
        }
        is_left &= !matches!(
            case.handle,
            Handle::JoinedBeforeFinished | Handle::JoinedAfterFinished | Handle::DroppedAfterFinished
        );
        events.push(Event::BodyDropped);
    }
    events.push(Event::ScopeOver);
    if failure.as_deref() == Some(ERROR) {
        events.push(Event::OutputDropped);
    }
    if is_left {
        events.extend(resolved);
    }

    let is_resolved = events.contains(&Event::Resolved);
    let cancelled = || Err(format!("task {id} was cancelled"));
    let result = is_resolved.then(|| if case.is_kept() { Ok(()) } else { cancelled() });
    let is_over = ends && (failure.is_some() || !case.abort.drops_scope());
    Lives { child: Trace { result, events: here(events) }, scope: is_over.then(|| failure.map_or(Ok(()), Err)) }
}

/// The subject, as a child that can fail.
struct Child<H> {
    subject: Subject<H>,
    fails: bool,
}

impl<H: FnMut(u32) + Unpin> Future for Child<H> {
    type Output = Result<Output, Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fails = self.fails;
        Pin::new(&mut self.subject).poll(cx).map(|output| if fails { Err(output) } else { Ok(output) })
    }
}

/// What the test and the child itself know of the child.
#[derive(Default)]
struct Outside {
    handle: RefCell<Option<ScopedJoinHandle<Output>>>,
    scope: RefCell<Option<Scope<'static, Output>>>,
    id: Cell<Option<task::Id>>,
    /// What the handle gave.
    result: RefCell<Option<Result<(), String>>>,
    /// The scope is to be dropped.
    leave: Cell<bool>,
}

impl Outside {
    fn abort(&self) {
        if let Some(handle) = &*self.handle.borrow() {
            handle.abort();
        }
    }

    fn abort_all(&self) {
        self.scope.borrow().as_ref().unwrap().abort_all();
    }

    fn drop_handle(&self) {
        drop_quietly(self.handle.take());
    }

    fn resolve(&self, log: &Log) {
        let mut handle = self.handle.take().unwrap();
        let Poll::Ready(result) = log.poll(&mut handle) else { panic!("the handle does not resolve") };
        self.result.replace(Some(log.resolve(result)));
    }

    async fn leave(&self) {
        self.leave.set(true);
        pending().await
    }

    /// What happens inside the subject.
    fn in_poll(&self, case: Case, number: u32) {
        match (case.abort, number) {
            (Abort::DuringFirstPoll, 1) | (Abort::DuringLastPoll, 2) => self.abort(),
            (Abort::AllDuringFirstPoll, 1) => self.abort_all(),
            _ => {}
        }
        match (case.handle, number) {
            (Handle::DroppedDuringFirstPoll, 1) | (Handle::DroppedDuringLastPoll, 2) => self.drop_handle(),
            _ => {}
        }
    }
}

/// A wake of the child is two away from its poll: the stand-in's, then the scope's.
async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// The body of the scope; the steps of the test are its phases.
async fn body(case: Case, outside: &Rc<Outside>, log: &Log, scope: Scope<'static, Output>) {
    let _body = BodyDropped(log);
    let inside = outside.clone();
    let subject = Subject::new(case.panics, log, move |number| inside.in_poll(case, number));
    let handle = scope.try_spawn(Child { subject, fails: case.fails });
    outside.id.set(Some(handle.id()));
    outside.handle.replace(Some(handle));
    outside.scope.replace(Some(scope));
    if case.handle == Handle::JoinedBeforeFinished {
        assert!(log.poll(outside.handle.borrow_mut().as_mut().unwrap()).is_pending());
    }
    match case.abort {
        Abort::BeforeFirstPoll => outside.abort(),
        Abort::AllBeforeFirstPoll => outside.abort_all(),
        _ => {}
    }
    if case.handle == Handle::DroppedBeforeFirstPoll {
        outside.drop_handle();
    }
    if case.abort == Abort::ScopeDroppedBeforeFirstPoll {
        outside.leave().await;
    }
    settle().await; // the first poll, if there is one

    match case.abort {
        Abort::BetweenPolls => outside.abort(),
        Abort::AllBetweenPolls => outside.abort_all(),
        Abort::ScopeDroppedBetweenPolls => outside.leave().await,
        _ => {}
    }
    settle().await; // what was aborted ends
    log.wake_subject();
    settle().await; // the last poll, if there is one

    match case.abort {
        Abort::AfterFinished => outside.abort(),
        Abort::AllAfterFinished => outside.abort_all(),
        _ => {}
    }
    match case.handle {
        Handle::JoinedBeforeFinished | Handle::JoinedAfterFinished => outside.resolve(log),
        Handle::DroppedAfterFinished => outside.drop_handle(),
        _ => {}
    }
    if case.abort == Abort::ScopeDroppedAfterFinished {
        outside.leave().await;
    }
}

struct BodyDropped<'a>(&'a Log);

impl Drop for BodyDropped<'_> {
    fn drop(&mut self) {
        self.0.note(Event::BodyDropped);
    }
}

/// Polls the scope to its end, or until it is to be dropped. Returns what it gave.
async fn live(case: Case, outside: &Rc<Outside>, log: &Log) -> Option<Result<(), String>> {
    let mut scope = Box::pin(try_scope(async |scope| {
        body(case, outside, log, scope).await;
        Ok::<_, Output>(())
    }));
    let over = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| scope.as_mut().poll(cx))) {
        Ok(Poll::Pending) if outside.leave.get() => Poll::Ready(None),
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Some(Ok(result))),
        Err(payload) => Poll::Ready(Some(Err(payload))),
    })
    .await;
    drop_quietly(scope);
    log.note(Event::ScopeOver);
    let over = over.map(|over| match over {
        Ok(Ok(())) => Ok(()),
        Ok(Err(output)) => {
            drop_quietly(output);
            Err(ERROR.to_owned())
        }
        Err(payload) => Err(payload.downcast_ref::<String>().expect("it is the child's").clone()),
    });
    if outside.handle.borrow().is_some() {
        outside.resolve(log);
    }
    settle().await;
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7, "another task runs");
    settle().await;
    assert_eq!(Metrics::current().alive, 0, "{case:?}: no stand-in is left");
    over
}

fn check(case: Case) {
    let (outside, log) = (Rc::new(Outside::default()), Log::default());
    let executor = Executor::new().unwrap();
    let scope = executor.block_on(&mut ThreadDriver::new(), live(case, &outside, &log));
    drop(executor);
    drop(outside.scope.take());
    assert_eq!(Rc::strong_count(&outside), 1, "{case:?}: the future is freed");
    let lives = Lives { child: Trace { result: outside.result.take(), events: log.events() }, scope };
    assert_eq!(lives, model(case, outside.id.get().unwrap()), "{case:?}");
}

#[test]
fn a_child_ends_as_the_model_says_in_every_combination() {
    use {Abort::*, Handle::*};
    let aborts = [
        Never,
        BeforeFirstPoll,
        AllBeforeFirstPoll,
        DuringFirstPoll,
        AllDuringFirstPoll,
        BetweenPolls,
        AllBetweenPolls,
        DuringLastPoll,
        AfterFinished,
        AllAfterFinished,
        ScopeDroppedBeforeFirstPoll,
        ScopeDroppedBetweenPolls,
        ScopeDroppedAfterFinished,
    ];
    let handles = [
        JoinedBeforeFinished,
        JoinedAfterFinished,
        DroppedBeforeFirstPoll,
        DroppedDuringFirstPoll,
        DroppedDuringLastPoll,
        DroppedAfterFinished,
        OutlivesScope,
    ];
    for panics in Panics::all() {
        for fails in [false, true] {
            for abort in aborts {
                for handle in handles {
                    check(Case { panics, fails, abort, handle });
                }
            }
        }
    }
}
