//! Async TCP.

mod backoff;
mod connect;
mod lent;
mod listener;
mod split;
mod stream;

pub use self::listener::{Incoming, TcpListener};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use self::stream::TcpStream;
