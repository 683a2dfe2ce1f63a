//! What the tests in `tests/` share.

pub mod browser;
pub mod cancel;
pub mod dns;
pub mod executor;
pub mod folder;
pub mod fuzz;
pub mod guest;
pub mod http;
pub mod limits;
pub mod load;
pub mod log;
pub mod memory;
pub mod model;
pub mod namespace;
pub mod net;
pub mod program;
pub mod queues;
pub mod redis;
pub mod server;
pub mod soak;
pub mod talk;
