//! A lane that writes.

use super::connection::Token;
use super::drive::{Way, unless_left};
use super::handle::Handle;
use super::judge::Step;
use super::lane::{Exit, Lane};
use super::operations::Operation;
use super::stats::Happening;
use super::writes;

/// What a writer means to do.
#[derive(Debug)]
pub(super) struct WritePlan {
    /// How much it sends.
    pub(super) total: usize,
    /// And then.
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    ShutDown,
    Close,
    /// A write half of its own is dropped, which shuts down; another handle is shut down before.
    Drop,
    /// Shut down; then a write half of its own is dropped without doing so again.
    Forget,
    /// The end is dropped, whatever has come or stands in the queue.
    Leave,
    /// The end is dropped and resets the connection.
    Cut,
}

impl Lane {
    fn what_to_write(&mut self, most: usize) -> Operation {
        let total = self.size().min(most);
        match self.random.below(if self.is_second { 4 } else { 8 }) {
            0 => Operation::Writable,
            1 | 2 => Operation::TryWrite(total),
            3 => Operation::TryWriteVectored(self.pieces(total)),
            4 | 5 => Operation::WriteVectored(self.pieces(total)),
            _ => Operation::Write(total),
        }
    }

    /// Writes on until all is written or something else ends it.
    pub(super) async fn write(
        &mut self,
        handle: &mut Handle<'_>,
        token: &mut Option<Token>,
        plan: &WritePlan,
    ) -> Result<Exit, String> {
        let case = self.case.clone();
        let (connection, counters) = (&*case.connection, &case.counters);
        let flow = connection.outgoing(self.end);
        while flow.accepted() < plan.total && !flow.has_ended() {
            if let Some(place) = self.moves() {
                return Ok(Exit::Move(place));
            }
            self.pause().await;
            if !self.hurries() && !self.is_greedy && self.one_in(6) {
                let settled = async {
                    flow.settled().await;
                    Ok(None)
                };
                self.note(format!("waits until {} bytes are read", flow.accepted()));
                if unless_left(connection, self.end, settled).await?.is_some() {
                    return Ok(Exit::Left);
                }
                counters.happened(Happening::Settled);
            }
            let most = plan.total.saturating_sub(flow.accepted());
            let operation = self.what_to_write(most);
            let room = operation.room();
            let way = if room == Some(0) {
                Way::Live(self.at_once())
            } else {
                let rival = if self.one_in(2) { Operation::Writable } else { Operation::TryWrite(1 + self.size()) };
                self.way(rival)
            };
            match self.drive(handle, operation, way).await? {
                Some(Step::Moved(count)) if room.is_some_and(|room| count < room) => {
                    counters.happened(Happening::WrotePart);
                }
                Some(Step::Looked) if room == Some(0) => counters.happened(Happening::Empty),
                Some(Step::Broken) => {
                    counters.happened(Happening::WriteBroken);
                    return Ok(Exit::Done);
                }
                Some(Step::TakenOver) => {
                    counters.happened(Happening::TakenOver);
                    if self.gives_way() {
                        return Ok(Exit::Done);
                    }
                }
                Some(Step::Left) => return Ok(Exit::Left),
                None | Some(Step::Moved(_) | Step::Looked | Step::Blocked) => {}
                Some(Step::End) => return Err("a write met the end of the stream".to_owned()),
            }
        }
        self.finish(handle, token, plan.ending).await
    }

    async fn finish(
        &mut self,
        handle: &mut Handle<'_>,
        token: &mut Option<Token>,
        ending: Ending,
    ) -> Result<Exit, String> {
        let case = self.case.clone();
        let (connection, counters) = (&*case.connection, &case.counters);
        // Without a token the halves are one stream again when this is over.
        let is_half = token.is_some() && matches!(handle, Handle::OwnedWriteHalf(_));
        self.note(format!("ends: {ending:?}"));
        match ending {
            Ending::Drop if is_half => {
                counters.happened(Happening::HalfDropped);
                return Ok(Exit::Done);
            }
            Ending::Leave | Ending::Cut => {
                if let Ending::Cut = ending {
                    counters.happened(Happening::Cut);
                    connection.cut();
                    handle.stream().set_zero_linger().map_err(|error| format!("SO_LINGER: {error}"))?;
                }
                counters.happened(Happening::EndLeft);
                connection.leave(self.end);
                return Ok(Exit::Left);
            }
            Ending::Close => counters.happened(Happening::Closed),
            Ending::ShutDown | Ending::Drop | Ending::Forget => counters.happened(Happening::ShutDown),
        }
        writes::end(handle, matches!(ending, Ending::Close), connection, self.end).await?;
        if self.one_in(3) {
            counters.happened(Happening::WroteAfterTheEnd);
            let way = Way::Live(self.at_once());
            match self.drive(handle, Operation::Write(10), way).await? {
                None | Some(Step::Broken | Step::Left) => {}
                Some(step) => return Err(format!("a write after the end: {step:?}")),
            }
        }
        if let (Ending::Forget, true, Some(token)) = (ending, is_half, token) {
            token.ends_writing = false;
            counters.happened(Happening::HalfForgotten);
        }
        Ok(Exit::Done)
    }
}
