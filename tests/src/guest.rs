//! Somebody in a room of the example `chat`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::program::Program;

/// A member, or somebody who has not given a name yet.
#[derive(Debug)]
pub struct Guest(pub BufReader<TcpStream>);

impl Guest {
    /// Connects, and gives a name.
    pub fn enter(chat: &Program, name: &str) -> Self {
        let mut guest = Self::connect(chat);
        guest.say(name);
        let welcome = guest.hear();
        assert!(welcome.starts_with(&format!("* welcome, {name}.")), "{welcome}");
        guest
    }

    /// Connects, and gives no name.
    pub fn connect(chat: &Program) -> Self {
        let mut guest = Self(BufReader::new(chat.connect()));
        assert_eq!(guest.hear(), "* hello! What is your name?");
        guest
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Sends any bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next line; fails when there is none for a while.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "the connection ended after '{line}'");
        line
    }

    /// Fails unless the next line is this one.
    #[track_caller]
    pub fn hears(&mut self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    /// Fails unless the connection ends here.
    #[track_caller]
    pub fn hears_the_end(&mut self) {
        assert_eq!(self.0.read_line(&mut String::new()).unwrap(), 0);
    }
}
