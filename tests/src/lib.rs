//! What the tests in `tests/` share.
//!
//! `executor.rs` is included by the tests of the executor, file by file.

pub mod limits;
pub mod net;
pub mod program;
