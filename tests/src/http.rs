//! The client's side of HTTP/1, byte for byte.

use std::future::Future;
use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use pollywog_net::{TcpStream, time};

use crate::net::Watchdog;

/// Runs `future` on a runtime whose clock is paused. It fails when it hangs.
pub fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = Watchdog::start();
    let paused = async {
        time::pause();
        future.await
    };
    pollywog_net::run(paused).expect("there are descriptors")
}

/// An answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The first line and the headers.
    pub head: String,
    /// As much as `content-length` says.
    pub body: String,
}

impl Answer {
    /// The number in the first line.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// What a header says.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// Whether it says that the connection closes.
    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// Reads one answer, and nothing of what follows.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    let mut answer = Answer { head: String::from_utf8(head).unwrap(), body: String::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    answer.body = String::from_utf8(body).unwrap();
    Ok(answer)
}

/// Asks for `path`, and reads the answer.
pub async fn get(stream: &mut TcpStream, path: &str) -> io::Result<Answer> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
    answer(stream).await
}
