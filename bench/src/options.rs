//! The command line of the servers, and the socket that they listen on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::{env, io, process};

use socket2::{Domain, Socket, Type};

/// How many connections wait to be accepted, on every server.
pub const BACKLOG: i32 = 1024;

/// What a server does with the bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They go back as they came.
    Echo,
    /// Each request gets the same answer: see [`requests`](crate::requests).
    Http,
}

/// How a runtime that has more than one way to the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Readiness.
    Epoll,
    /// Completion.
    IoUring,
}

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// 0: the system picks.
    pub port: u16,
    /// `echo` or `http`.
    pub mode: Mode,
    /// `epoll` or `io_uring`.
    pub driver: Driver,
}

impl Options {
    /// The options of a server that has one driver. Ends the process with a word on its use if they make no sense.
    pub fn parse() -> Self {
        Self::or_usage(parse(env::args().skip(1), false), "")
    }

    /// The options of a server that has two.
    pub fn parse_with_driver() -> Self {
        Self::or_usage(parse(env::args().skip(1), true), " [--driver epoll|io_uring]")
    }

    fn or_usage(parsed: Result<Self, String>, more: &str) -> Self {
        parsed.unwrap_or_else(|error| {
            eprintln!("{error}; usage: [--port N] [--mode echo|http]{more}");
            process::exit(2)
        })
    }

    /// The address to bind.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A listener that blocks.
    pub fn listen(&self) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&self.addr().into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }

    /// A listener that does not block.
    pub fn listen_nonblocking(&self) -> io::Result<TcpListener> {
        let listener = self.listen()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

fn parse(mut arguments: impl Iterator<Item = String>, has_drivers: bool) -> Result<Options, String> {
    let mut options = Options { port: 0, mode: Mode::Echo, driver: Driver::Epoll };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match (name.as_str(), value.as_str()) {
            ("--port", port) => options.port = port.parse().map_err(|_| format!("'{port}' is no port"))?,
            ("--mode", "echo") => options.mode = Mode::Echo,
            ("--mode", "http") => options.mode = Mode::Http,
            ("--driver", "epoll") if has_drivers => options.driver = Driver::Epoll,
            ("--driver", "io_uring") if has_drivers => options.driver = Driver::IoUring,
            _ => return Err(format!("unknown: {name} {value}")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, has_drivers: bool) -> Result<Options, String> {
        parse(line.split_whitespace().map(String::from), has_drivers)
    }

    #[test]
    fn the_command_line_is_the_same_for_all() {
        let options = parsed("--port 8080 --mode http", false).unwrap();
        assert_eq!((options.port, options.mode), (8080, Mode::Http));
        assert_eq!(parsed("", false).unwrap().mode, Mode::Echo);
        assert_eq!(parsed("--driver io_uring", true).unwrap().driver, Driver::IoUring);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, error) in [
            ("--mode", "--mode needs a value"),
            ("--mode hello", "unknown: --mode hello"),
            ("--port many", "'many' is no port"),
            ("--driver io_uring", "unknown: --driver io_uring"),
        ] {
            assert_eq!(parsed(line, false).unwrap_err(), error);
        }
    }
}
