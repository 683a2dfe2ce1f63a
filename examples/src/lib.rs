//! What the example programs share: the frame around a program, the address it listens on, Ctrl-C, descriptor limits.
//!
//! | file | what it holds |
//! |---|---|
//! | `program.rs` | [`main`]: command line, runtime, exit status |
//! | `terminal.rs` | [`say`], [`warn`]: lines that nobody needs to read |
//! | `model.rs` | [`model`], [`model_with`]: the frame around a server model |
//! | `models.rs` | [`models::MODELS`]: all of them |
//! | `unsent.rs` | [`unsent::Client`]: what the models with one thread keep for each client |
//! | `compare.rs`, `compare/` | the inside of the program `compare` |
//! | `serve.rs` | [`listen`], [`prepare`], [`listening_on`], [`interrupted`] and [`until_interrupted`] |
//! | `kv.rs`, `kv/` | the inside of the example `kv`: bytes in, bytes out |
//! | `load.rs`, `load/` | the inside of the example `client` |
//! | `limits.rs` | [`allow_descriptors`], [`need_descriptors`] |
//! | `http.rs` | [`text`], [`json`], [`full`], [`busy`]: answers of HTTP |
//! | `files.rs`, `files/` | [`Files`]: files over HTTP |
//! | `chat.rs`, `chat/` | the parts of the program `chat` |
//! | `redis.rs` | a small client of Redis |
//! | `summary.rs` | [`summary`]: what a server says at its end |
//! | `usage.rs` | [`usage::Usage`]: what a piece of work costs |
//! | `drawing.rs` | [`drawing::bars`], [`drawing::steps`]: what was measured, as SVG |
//! | `trace.rs` | [`show_everything`]: what `tracing` tells, for people |

#![forbid(unsafe_code)]

pub mod chat;
pub mod compare;
pub mod drawing;
mod files;
mod http;
pub mod kv;
mod limits;
pub mod load;
mod model;
pub mod models;
mod program;
pub mod redis;
mod serve;
mod summary;
mod terminal;
mod trace;
pub mod unsent;
pub mod usage;

pub use self::files::Files;
pub use self::http::{HttpBody, busy, full, json, text};
pub use self::limits::{allow_descriptors, need_descriptors};
pub use self::model::{model, model_with};
pub use self::program::{address, at_least_one, blocking_main, explain, main, seconds};
pub use self::serve::{interrupted, listen, listening_on, prepare, until_interrupted};
pub use self::summary::summary;
pub use self::terminal::{say, warn};
pub use self::trace::show_everything;
