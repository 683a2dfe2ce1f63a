//! A soak test: a server that is started again and again on one port, and clients that do everything to it, drawn from
//! a seed.
//!
//! | file | what it holds |
//! |---|---|
//! | `serve.rs` | the server's thread: one server after the other, and what each owes at its end |
//! | `handler.rs` | what it does with a connection |
//! | `visits.rs` | the clients' thread, and what a client may do |
//! | `echo.rs` | a client that sends its own stream, and checks each byte that comes back |
//! | `descriptors.rs` | who takes all descriptors, and gives them back |
//! | `tally.rs` | what happened, counted |

mod descriptors;
mod echo;
mod handler;
mod serve;
mod tally;
mod visits;

pub use self::serve::{Port, serve};
pub use self::tally::Tally;
pub use self::visits::visit_all;
