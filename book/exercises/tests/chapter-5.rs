//! Exercises of chapter 5.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pollywog_exercises::bounded;

/// What a non-blocking read has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// The other side will send no more.
    End,
    /// Nothing has come yet.
    NotNow,
    /// The call was cut short by a signal, and says nothing about the stream: ask again.
    AskAgain,
    /// The connection is broken.
    Broken,
}

/// 5.1: What does the answer mean?
#[cfg(not(feature = "solutions"))]
fn heard(answer: io::Result<usize>) -> Heard {
    todo!("5.1: {answer:?} is one of five things")
}
#[cfg(feature = "solutions")]
fn heard(answer: io::Result<usize>) -> Heard {
    match answer {
        Ok(0) => Heard::End,
        Ok(count) => Heard::Bytes(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::NotNow,
        Err(error) if error.kind() == ErrorKind::Interrupted => Heard::AskAgain,
        Err(_) => Heard::Broken,
    }
}

#[test]
fn an_answer_of_a_read_is_one_of_five_things() {
    assert_eq!(heard(Ok(7)), Heard::Bytes(7), "5.1: seven bytes came");
    assert_eq!(heard(Ok(4_096)), Heard::Bytes(4_096), "5.1: and so many");
    assert_eq!(heard(Ok(0)), Heard::End, "5.1: no bytes, and no error");
    assert_eq!(heard(Err(ErrorKind::WouldBlock.into())), Heard::NotNow, "5.1: WouldBlock");
    assert_eq!(heard(Err(ErrorKind::Interrupted.into())), Heard::AskAgain, "5.1: Interrupted");
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    for kind in [ConnectionReset, BrokenPipe, TimedOut, UnexpectedEof, ConnectionAborted] {
        assert_eq!(heard(Err(kind.into())), Heard::Broken, "5.1: any other error, as {kind:?}");
    }
}

/// What has come of a client's requests. A request is a line.
#[derive(Debug, Default)]
struct Requests {
    /// What is there of the next line.
    begun: Vec<u8>,
}

/// 5.2: Reads once what `stream` has now (and again if a signal cut that short), and gives the lines that are whole: none
/// at 'not now'. It never waits, and it loses nothing. A line is given without the `\n` that ends it, and nothing else is
/// taken off, not a `\r` either; an empty line is a request, too. At the end of the stream it fails with `UnexpectedEof`:
/// what has begun then is no request.
#[cfg(not(feature = "solutions"))]
impl Requests {
    fn take(&mut self, stream: &mut impl Read) -> io::Result<Vec<Vec<u8>>> {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer)?;
        todo!("5.2: {count} bytes have come after {}: which lines are whole, and what remains?", self.begun.len())
    }
}
#[cfg(feature = "solutions")]
impl Requests {
    fn take(&mut self, stream: &mut impl Read) -> io::Result<Vec<Vec<u8>>> {
        let mut buffer = [0; 4096];
        let count = loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        };
        self.begun.extend_from_slice(&buffer[..count]);
        let mut lines = Vec::new();
        while let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
            let line = self.begun.drain(..=end);
            lines.push(line.take(end).collect());
        }
        Ok(lines)
    }
}

fn client() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

#[test]
fn a_request_that_comes_byte_by_byte_is_one_request() {
    let (mut near, mut far) = client();
    let mut requests = Requests::default();
    for byte in "hell\u{f6}".bytes() {
        far.write_all(&[byte]).unwrap();
        assert_eq!(requests.take(&mut near).unwrap(), [b""; 0], "5.2: no line has ended yet");
    }
    far.write_all(b"\n").unwrap();
    assert_eq!(requests.take(&mut near).unwrap(), ["hell\u{f6}".as_bytes()], "5.2: now one has");
}

#[test]
fn requests_that_come_together_are_told_apart() {
    let (mut near, mut far) = client();
    let mut requests = Requests::default();
    far.write_all(b"one\n\ntwo\nthr").unwrap();
    assert_eq!(requests.take(&mut near).unwrap(), [&b"one"[..], b"", b"two"], "5.2: three lines and a beginning");
    far.write_all(b"ee\n").unwrap();
    assert_eq!(requests.take(&mut near).unwrap(), [b"three"], "5.2: the beginning and its rest");
}

#[test]
fn nothing_yet_is_no_request_and_no_end() {
    bounded(Duration::from_secs(10), "5.2: it asks again at 'not now', or waits", || {
        let (mut near, mut far) = client();
        let mut requests = Requests::default();
        assert_eq!(requests.take(&mut near).expect("5.2: 'not now' is no error of the client"), [b""; 0]);
        far.write_all(b"late\n").unwrap();
        assert_eq!(requests.take(&mut near).unwrap(), [b"late"], "5.2: it came later");
        drop(far);
        let end = requests.take(&mut near).expect_err("5.2: the client has gone");
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "5.2: and that is no wait");
    });
}

#[test]
fn half_a_line_is_no_request_at_the_end_either() {
    let (mut near, mut far) = client();
    let mut requests = Requests::default();
    far.write_all(b"hal").unwrap();
    drop(far);
    assert_eq!(requests.take(&mut near).unwrap(), [b""; 0], "5.2: no line has ended yet");
    let end = requests.take(&mut near).expect_err("5.2: and none ever will");
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "5.2: the end is told by this error");
}

#[test]
fn a_line_is_given_as_it_came_however_long() {
    let long = [&[b'x'; 20_000][..], b"\xff \r"].concat();
    let sent = [&long[..], b"\n"].concat();
    let lines = bounded(Duration::from_secs(10), "5.2: it does not come to the end of a long line", move || {
        let (mut near, mut far) = client();
        let mut requests = Requests::default();
        far.write_all(&sent).unwrap();
        let mut lines = Vec::new();
        while lines.is_empty() {
            lines = requests.take(&mut near).expect("5.2: it has not come to the end of the line");
            assert!(!requests.begun.is_empty() || !lines.is_empty(), "5.2: the beginning of the line is lost");
        }
        lines
    });
    assert!(lines == [long], "5.2: all of the line but its end is the request");
}

/// Fails twice as a call does that a signal has cut short, and then gives a line; counts its reads.
struct CutShort(u32);

impl Read for CutShort {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        match self.0 {
            1 | 2 => Err(ErrorKind::Interrupted.into()),
            3 => {
                buffer[..4].copy_from_slice(b"one\n");
                Ok(4)
            }
            _ => panic!("5.2: the line had come, and it read once more"),
        }
    }
}

#[test]
fn a_read_that_a_signal_cut_short_is_made_again() {
    let lines = Requests::default().take(&mut CutShort(0)).expect("5.2: a signal is no error of the client");
    assert_eq!(lines, [b"one"], "5.2: the line was there");
}

/// A connection that the other side has reset.
struct Reset;

impl Read for Reset {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn given_a_broken_connection_is_told() {
    let error = Requests::default().take(&mut Reset).expect_err("5.2: nothing more comes, and somebody has to know");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "5.2: the error of the read is what tells");
}

/// A stream whose reads answer one after the other what was written down for them.
struct Script(Vec<io::Result<&'static [u8]>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "5.2: each `take` reads once: this is one read too many");
        let bytes = self.0.remove(0)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

#[test]
fn what_has_begun_outlasts_a_wait_and_a_signal() {
    let [not_now, signal] = [ErrorKind::WouldBlock, ErrorKind::Interrupted].map(|kind| Err(kind.into()));
    let mut stream = Script(vec![Ok(b"\xff\0a"), not_now, signal, Ok(b"b\n")]);
    let mut requests = Requests::default();
    for _ in 0..2 {
        assert_eq!(requests.take(&mut stream).unwrap(), [b""; 0], "5.2: no line has ended yet");
    }
    assert_eq!(requests.take(&mut stream).unwrap(), [b"\xff\0ab"], "5.2: the beginning and its rest");
}
