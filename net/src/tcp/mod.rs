//! Async TCP.

mod connect;
mod happy_eyeballs;
mod listener;
mod socket;
mod stream;
mod stream_options;

pub(crate) use self::listener::BACKLOG;
pub use self::listener::{Incoming, TcpListener};
pub use self::socket::TcpSocket;
pub use self::stream::TcpStream;
