//! How an operation is driven: here, against another, or on two threads.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{Either, select};

use super::case::{Case, Place};
use super::connection::{Connection, Token};
use super::fate::{Life, counted, polled_at_once};
use super::handle::Handle;
use super::judge::Step;
use super::lane::Lane;
use super::operations::Operation;
use super::stats::{Fate, Happening, Kind};

/// How an operation is driven.
#[derive(Debug)]
pub(super) enum Way {
    Live(Life),
    /// The one that is ready first counts, the other is dropped. Whether this one is polled first.
    Race(Operation, bool),
    /// Polled so many times here, then so many times at each of these, and to its end at the last.
    Carry(usize, Vec<(Place, usize)>, Life),
}

impl Lane {
    /// Does something. `None`: it was dropped before it was ready.
    pub(super) async fn drive(
        &mut self,
        handle: &mut Handle<'_>,
        operation: Operation,
        way: Way,
    ) -> Result<Option<Step>, String> {
        self.note(format!("{operation:?} {way:?} at {:?}", self.place));
        let kind = operation.kind();
        let (case, end) = (self.case.clone(), self.end);
        let (connection, counters) = (&*case.connection, &case.counters);
        let result = match (way, &*handle) {
            (Way::Carry(polls, places, life), Handle::Shared(stream)) => {
                let token = Token::new(&case.connection, end);
                let job = carried(case.clone(), operation, Handle::Shared(stream.clone()), token, life);
                unless_over(&case, end, kind, carry(&case, kind, polls, places, job)).await
            }
            (Way::Race(rival, is_first), handle) => {
                let mut ours = Handle::Borrowed(handle.stream());
                let mut theirs = Handle::Borrowed(handle.stream());
                let rival_kind = rival.kind();
                let ours = counted(operation.perform(&mut ours, connection, end), counters, kind);
                let theirs = counted(rival.perform(&mut theirs, connection, end), counters, rival_kind);
                let race = async {
                    let (ours, theirs) = (pin!(ours), pin!(theirs));
                    let (step, loser) = if is_first {
                        match select(theirs, ours).await {
                            Either::Left((step, _)) => (step, kind),
                            Either::Right((step, _)) => (step, rival_kind),
                        }
                    } else {
                        match select(ours, theirs).await {
                            Either::Left((step, _)) => (step, rival_kind),
                            Either::Right((step, _)) => (step, kind),
                        }
                    };
                    counters.operation(loser, Fate::Raced);
                    step.map(Some)
                };
                unless_over(&case, end, kind, race).await
            }
            (Way::Carry(_, _, life) | Way::Live(life), _) => {
                let work = counted(operation.perform(handle, connection, end), counters, kind);
                let work = async { life.of(work, counters, kind).await.transpose() };
                unless_over(&case, end, kind, work).await
            }
        };
        self.note(format!("  {result:?}"));
        result
    }
}

/// `future`, unless there is nothing to wait for any more.
async fn unless_over(
    case: &Case,
    end: usize,
    kind: Kind,
    future: impl Future<Output = Result<Option<Step>, String>>,
) -> Result<Option<Step>, String> {
    let future = unless_left(&case.connection, end, future);
    // Who writes hears of it: what is written is sent again until it is answered.
    if !kind.is_read() {
        return future.await;
    }
    match select(pin!(future), pin!(case.vanished(end))).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Ok(Some(Step::Broken)),
    }
}

/// `future`, unless the end is dropped meanwhile.
pub(super) async fn unless_left(
    connection: &Connection,
    end: usize,
    future: impl Future<Output = Result<Option<Step>, String>>,
) -> Result<Option<Step>, String> {
    match select(pin!(future), pin!(connection.left(end))).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Ok(Some(Step::Left)),
    }
}

type Job = Pin<Box<dyn Future<Output = Result<Option<Step>, String>> + Send>>;

/// An operation that does not borrow.
fn carried(case: Arc<Case>, operation: Operation, handle: Handle<'static>, token: Token, life: Life) -> Job {
    Box::pin(async move {
        let mut handle = handle;
        let token = token;
        let kind = operation.kind();
        let (connection, end) = (&*case.connection, token.end());
        let work = counted(operation.perform(&mut handle, connection, end), &case.counters, kind);
        let work = async { life.of(work, &case.counters, kind).await.transpose() };
        let result = unless_over(&case, end, kind, work).await;
        drop(token);
        result
    })
}

/// Polls `job` here, and then at one place after the other.
async fn carry(
    case: &Arc<Case>,
    kind: Kind,
    polls: usize,
    places: Vec<(Place, usize)>,
    mut job: Job,
) -> Result<Option<Step>, String> {
    if let Some(result) = polled_at_once(&mut job, polls).await {
        return result;
    }
    let (done, is_done) = oneshot::channel();
    travel(case.clone(), kind, places.into(), job, done);
    is_done.await.unwrap_or_else(|_| Err("what was carried to another thread is lost".to_owned()))
}

fn travel(
    case: Arc<Case>,
    kind: Kind,
    mut places: VecDeque<(Place, usize)>,
    mut job: Job,
    done: oneshot::Sender<Result<Option<Step>, String>>,
) {
    let Some((place, polls)) = places.pop_front() else { return };
    case.counters.operation(kind, if place == Place::New { Fate::CarriedToNew } else { Fate::Carried });
    let then = case.clone();
    let stay = async move {
        let result = match places.is_empty() {
            true => Some(job.as_mut().await),
            false => polled_at_once(&mut job, polls).await,
        };
        match result {
            // Nobody waits any more where the end is dropped.
            Some(result) => drop(done.send(result)),
            None => {
                then.counters.happened(Happening::CarriedOn);
                travel(then, kind, places, job, done);
            }
        }
    };
    case.run_at(place, Box::pin(stay));
}
