//! The inside of the example `kv`: a key-value store that speaks Redis's protocol (RESP2), without a socket and without
//! a clock. Bytes and the time go in, bytes come out, so the program, the bare loop that it is measured against and the
//! tests run the very same code.
//!
//! | file | what it holds |
//! |---|---|
//! | `session.rs` | one connection: [`Session::turn`] makes the answers to what was read |
//! | `decode.rs`, `inline.rs` | [`Decoder`]: commands out of bytes, as clients send them and as people type them |
//! | `execute.rs`, `commands.rs`, `commands/` | [`execute`]: the table of commands; what each of them does |
//! | `reply.rs` | [`Reply`]; [`encode`] writes it behind what a buffer holds |
//! | `db.rs` | [`Db`]: all that the connections share |
//! | `store.rs`, `expiry.rs`, `memory.rs` | the keys; those that expire; how much they may take |
//! | `channels.rs`, `outbox.rs` | who listens to what; the messages that wait for a subscriber |
//! | `number.rs` | numbers as Redis reads them |
//!
//! ```
//! use std::time::Instant;
//! use bytes::BytesMut;
//! use pollywog_examples::kv::{Db, Next};
//!
//! let mut db = Db::new(1 << 20, Instant::now());
//! let mut session = db.join();
//! let mut replies = BytesMut::new();
//! let turn = session.turn(b"SET frog pond\r\nGET frog\r\nGET fr", &mut db, &mut replies, Instant::now());
//! assert_eq!(replies, "+OK\r\n$4\r\npond\r\n");
//! assert_eq!((turn.consumed, turn.next), (25, Next::WaitForRest)); // `GET fr` has to be whole first
//! # db.leave(&mut session);
//! ```

mod channels;
mod commands;
mod db;
mod decode;
mod execute;
mod expiry;
mod inline;
mod memory;
mod number;
mod outbox;
mod reply;
mod session;
mod store;
#[cfg(test)]
mod tests;

pub use self::db::Db;
pub use self::decode::{Args, Decoder, ProtocolError};
pub use self::execute::execute;
pub use self::outbox::{Outbox, TooSlow};
pub use self::reply::{Reply, encode};
pub use self::session::{Client, Next, Session, Turn};

/// Bytes of an argument: keys, values, messages.
pub const MAX_ARGUMENT: usize = 8 << 20;
/// Bytes of a whole command, which is kept until it has come to its end.
pub const MAX_COMMAND: usize = 16 << 20;
/// Arguments of a command.
pub const MAX_ARGUMENTS: usize = 1 << 20;
/// Bytes of a command that is typed.
pub const MAX_LINE: usize = 64 << 10;
/// Bytes of the name of a connection.
pub const MAX_NAME: usize = 1 << 10;
/// Bytes of one reply.
pub const MAX_REPLY: usize = 64 << 20;
/// Bytes of messages that wait for a subscriber. Who is slower than that is cut off.
pub const MAX_OUTBOX: usize = 16 << 20;
