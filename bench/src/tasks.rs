//! What is measured of executors: the same code on each.
//!
//! | file | what it holds |
//! |---|---|
//! | `peer.rs` | [`Peer`]: what differs between the executors; [`Pollywog`] |
//! | `work.rs` | tasks that are spawned, yield, and wake each other |
//! | `remote.rs` | tasks that another thread wakes |
//! | `timers.rs` | timers that are dropped, and timers that fire |
//! | `alive.rs` | [`alive::Counting`]: the bytes that are alive |
//!
//! A piece of work is an `async fn` that measures itself and says what one operation took. It runs in a task, not in
//! the future of `block_on`, which some executors wake in another way.

pub mod alive;
mod peer;
pub mod remote;
pub mod timers;
pub mod work;

pub use self::peer::{Peer, Pollywog, Unwrapped, run};
