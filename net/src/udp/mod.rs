//! Async UDP.

mod forms;
mod options;
mod socket;
mod transfer;

pub use self::socket::UdpSocket;
