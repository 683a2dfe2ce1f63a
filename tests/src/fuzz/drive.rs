//! How an operation is driven: here, against another, or on two threads.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use futures::channel::oneshot;
use futures::future::{Either, poll_fn, select};

use super::case::{Case, Place};
use super::connection::{Connection, Token};
use super::fate::{Life, counted};
use super::handle::Handle;
use super::judge::Step;
use super::lane::Lane;
use super::operations::Operation;
use super::stats::{Fate, Kind};

/// How an operation is driven.
#[derive(Debug)]
pub(super) enum Way {
    Live(Life),
    /// The one that is ready first counts, the other is dropped. Whether this one is polled first.
    Race(Operation, bool),
    /// Polled so many times here, and then there.
    Carry(usize, Place, Life),
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
            (Way::Carry(polls, place, life), Handle::Shared(stream)) => {
                let token = Token::new(&case.connection, end);
                let job = carried(case.clone(), operation, Handle::Shared(stream.clone()), token, life);
                unless_over(&case, end, kind, carry(&case, kind, polls, place, job)).await
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

/// Polls `job` here, and then there.
async fn carry(case: &Case, kind: Kind, polls: usize, place: Place, mut job: Job) -> Result<Option<Step>, String> {
    let here = poll_fn(|cx| {
        let mut polls = (0..polls).map(|_| job.as_mut().poll(cx));
        Poll::Ready(polls.find_map(|poll| match poll {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }))
    });
    if let Some(result) = here.await {
        return result;
    }
    case.counters.operation(kind, if place == Place::New { Fate::CarriedToNew } else { Fate::Carried });
    let (done, is_done) = oneshot::channel();
    case.run_at(
        place,
        Box::pin(async move {
            // Nobody waits any more where the end is dropped.
            let _ = done.send(job.await);
        }),
    );
    is_done.await.unwrap_or_else(|_| Err("what was carried to another thread is lost".to_owned()))
}
