//! A fuzz test of TCP streams: two ends of a connection, what is done to them drawn from a seed, and a model of the two
//! byte streams that says what may come of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `flow.rs`, `connection.rs`, `judge.rs` | the model: the bytes, what became of the ends, the judgement |
//! | `handle.rs`, `operations.rs`, `reads.rs`, `writes.rs` | what can be done to a stream, and how it is held |
//! | `fate.rs`, `drive.rs` | how a future ends: awaited, dropped at a poll, raced, carried to another thread |
//! | `lane.rs`, `reader.rs`, `writer.rs` | a task at one direction of one end |
//! | `plan.rs`, `launch.rs`, `case.rs` | what is drawn, the tasks on their way, a case from its beginning to its end |
//! | `stats.rs` | what happened, counted |
//! | `bell.rs` | waiting for another task |

mod bell;
mod case;
mod connection;
mod drive;
mod fate;
mod flow;
mod handle;
mod judge;
mod lane;
mod launch;
mod operations;
mod plan;
mod reader;
mod reads;
mod stats;
mod writer;
mod writes;

pub use self::case::case;
pub use self::stats::{Fate, Happening, Kind, Stats};
