//! A Redis that says what the test wants, when the test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use pollywog_tests::program::bounded;

pub(crate) struct Fake(TcpListener);

impl Fake {
    pub(crate) fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn place(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// The two connections of a node: that which subscribes, and that which publishes.
    pub(crate) fn accept(&self) -> [Client; 2] {
        let mut clients = [(); 2].map(|()| Client(BufReader::new(bounded(self.0.accept().unwrap().0))));
        for client in &mut clients {
            assert_eq!(client.command(), ["PING"]);
            client.answer("+PONG\r\n");
        }
        clients
    }

    /// Answers whatever comes on each connection with `bytes`, and ends it. Tells of each.
    pub(crate) fn answer_all(self, bytes: &'static [u8]) -> Receiver<()> {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for mut stream in self.0.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 256]);
                let _ = stream.write_all(bytes);
                let _ = stream.shutdown(Shutdown::Write);
                // Without this, what the client still sends resets what it is still to read.
                let _ = stream.read_to_end(&mut Vec::new());
                let _ = sender.send(());
            }
        });
        receiver
    }
}

/// A connection of a node.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Answers every command from now on, and brings nothing back, until the node ends the connection or this is ended.
    pub(crate) fn answer_on(mut self) -> Ended {
        let stream = self.0.get_ref().try_clone().unwrap();
        thread::spawn(move || {
            while self.0.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                let answer = if self.command() == ["PING"] { "+PONG\r\n" } else { ":1\r\n" };
                if self.0.get_mut().write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        });
        Ended(stream)
    }

    /// The next command that is no PING; those are answered.
    pub(crate) fn work(&mut self) -> Vec<String> {
        loop {
            let command = self.command();
            if command != ["PING"] {
                return command;
            }
            self.answer("+PONG\r\n");
        }
    }

    fn command(&mut self) -> Vec<String> {
        let count = self.number('*');
        let mut word = || {
            let mut bytes = vec![0; self.number('$') + 2];
            self.0.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            String::from_utf8(bytes).unwrap()
        };
        (0..count).map(|_| word()).collect()
    }

    fn number(&mut self, kind: char) -> usize {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix(kind).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("'{line}'"))
    }

    pub(crate) fn answer(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Tells a subscriber what was published.
    pub(crate) fn tell(&mut self, channel: &str, text: &str) {
        let texts = ["message", channel, text].map(|text| format!("${}\r\n{text}\r\n", text.len()));
        self.answer(&format!("*3\r\n{}", texts.concat()));
    }

    /// What is published there next.
    pub(crate) fn published(&mut self, channel: &str) -> String {
        let [command, published_to, text] = self.work().try_into().unwrap();
        assert_eq!((command.as_str(), published_to.as_str()), ("PUBLISH", channel));
        self.answer(":1\r\n");
        text
    }

    pub(crate) fn confirm(&mut self, channel: &str) {
        self.answer(&format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:1\r\n", channel.len()));
    }
}

/// Ends a connection when it is dropped.
pub(crate) struct Ended(TcpStream);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
