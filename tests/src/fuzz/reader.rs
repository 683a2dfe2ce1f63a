//! A lane that reads.

use super::drive::Way;
use super::handle::Handle;
use super::judge::Step;
use super::lane::{Exit, Lane};
use super::operations::{Consume, Operation};
use super::stats::Happening;

/// What a reader means to do.
#[derive(Debug)]
pub(super) struct ReadPlan {
    /// After so many bytes its end is dropped. That somebody stops reading, and goes on writing there, is no part of
    /// this: acknowledgements that come while the window is full for good may not count.
    pub(super) leaves_at: Option<usize>,
}

impl Lane {
    fn what_to_read(&mut self) -> Operation {
        let total = self.size();
        match self.random.below(if self.is_second { 8 } else { 12 }) {
            0 => Operation::Peek(total),
            1 => Operation::Readable,
            2 | 3 => Operation::TryRead(total),
            4 => Operation::TryReadVectored(self.pieces(total)),
            // Of what was left it takes everything.
            5 if !self.is_greedy => Operation::ReadBuf(total),
            5..8 => Operation::ReadWith(match self.random.below(6) {
                _ if self.hurries() => Consume::All,
                _ if self.is_greedy => Consume::Some(total),
                0 => Consume::Nothing,
                1..4 => Consume::Some(1 + total),
                _ => Consume::All,
            }),
            8 | 9 => Operation::ReadVectored(self.pieces(total)),
            _ => Operation::Read(total),
        }
    }

    /// What may share the socket with another read of the same task.
    fn rival_to_read(&mut self) -> Operation {
        let was_second = std::mem::replace(&mut self.is_second, true);
        let rival = self.what_to_read();
        self.is_second = was_second;
        rival
    }

    /// Reads on until something ends it.
    pub(super) async fn read(&mut self, handle: &mut Handle<'_>, plan: &ReadPlan) -> Result<Exit, String> {
        let case = self.case.clone();
        let (connection, counters) = (&*case.connection, &case.counters);
        let flow = connection.incoming(self.end);
        let mut ends_left = None;
        loop {
            if plan.leaves_at.is_some_and(|limit| flow.taken() >= limit) {
                counters.happened(Happening::LeftUnread);
                connection.leave(self.end);
                return Ok(Exit::Left);
            }
            if let Some(place) = self.moves() {
                return Ok(Exit::Move(place));
            }
            self.pause().await;
            let operation = self.what_to_read();
            let (kept, room) = (flow.kept(), operation.room());
            // With these one may wait for ever: the peer may send more only when all that it has sent is read.
            let way = if room == Some(0) || kept > 0 {
                Way::Live(self.at_once())
            } else {
                let rival = self.rival_to_read();
                self.way(rival)
            };
            let Some(step) = self.drive(handle, operation, way).await? else { continue };
            match step {
                Step::Moved(count) if ends_left.is_some() => return Err(format!("{count} bytes after the end")),
                Step::Moved(count) => counters.received(count),
                Step::Looked if room == Some(0) => counters.happened(Happening::Empty),
                Step::Looked if flow.kept() > kept => counters.happened(Happening::KeptAll),
                Step::Looked | Step::Blocked => {}
                // What was left because a message was not whole is still there.
                Step::End if flow.left() > 0 => {}
                Step::End => {
                    counters.happened(if ends_left.is_some() { Happening::EndAgain } else { Happening::End });
                    let left = ends_left.unwrap_or_else(|| self.random.below(4));
                    if left == 0 {
                        flow.quit();
                        return Ok(Exit::Done);
                    }
                    ends_left = Some(left - 1);
                }
                Step::Broken => {
                    counters.happened(Happening::ReadBroken);
                    flow.quit();
                    return Ok(Exit::Done);
                }
                Step::TakenOver => {
                    counters.happened(Happening::TakenOver);
                    // One of two goes on. What is kept is not left to the other, which may be waiting already.
                    if self.gives_way() && flow.kept() == 0 {
                        return Ok(Exit::Done);
                    }
                }
                Step::Left => return Ok(Exit::Left),
            }
        }
    }
}
