//! Replies, and their bytes.

use std::borrow::Cow;

use bytes::BytesMut;
use redis_protocol::resp2::encode::extend_encode_borrowed;
use redis_protocol::resp2::types::BorrowedFrame;

/// What a command is answered with. Values are borrowed from the store, and what comes back as it was sent from the
/// command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// One word or two, of ours.
    Simple(&'static str),
    /// What is wrong, after a word in capitals: `ERR syntax error`.
    Error(Cow<'static, str>),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(&'a [u8]),
    /// Bytes that nobody else has.
    Owned(Vec<u8>),
    /// There is nothing there.
    Null,
    /// Several, as one.
    Array(Vec<Reply<'a>>),
    /// Several, one after the other; none is no reply at all.
    Each(Vec<Reply<'a>>),
}

impl<'a> Reply<'a> {
    /// What most commands say that have nothing to tell.
    pub(super) const OK: Self = Self::Simple("OK");
    pub(super) const NOTHING: Self = Self::Each(Vec::new());

    pub(super) fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }

    /// Bytes, or nothing.
    pub(super) fn bulk(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Bulk)
    }

    pub(super) fn count(number: usize) -> Self {
        Self::Integer(number as i64)
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Owned(text.into().into_bytes())
    }
}

/// Writes a reply behind what `out` holds.
pub fn encode(reply: &Reply<'_>, out: &mut BytesMut) {
    match reply {
        Reply::Simple(text) => frame(&BorrowedFrame::SimpleString(text.as_bytes()), out),
        Reply::Error(text) => frame(&BorrowedFrame::Error(&one_line(text)), out),
        Reply::Integer(number) => frame(&BorrowedFrame::Integer(*number), out),
        Reply::Bulk(bytes) => frame(&BorrowedFrame::BulkString(bytes), out),
        Reply::Owned(bytes) => frame(&BorrowedFrame::BulkString(bytes), out),
        Reply::Null => frame(&BorrowedFrame::Null, out),
        Reply::Array(replies) => {
            // The crate would want them all as frames of its own first. Its own array begins like a number.
            let start = out.len();
            frame(&BorrowedFrame::Integer(replies.len() as i64), out);
            out[start] = b'*';
            replies.iter().for_each(|reply| encode(reply, out));
        }
        Reply::Each(replies) => replies.iter().for_each(|reply| encode(reply, out)),
    }
}

fn frame(frame: &BorrowedFrame<'_>, out: &mut BytesMut) {
    // It makes the room that it needs, so nothing is left that could fail.
    extend_encode_borrowed(out, frame, false).expect("every frame of RESP2 can be written");
}

/// A line end inside an error would end it, and what follows would be another reply.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_bytes() {
        for (reply, bytes) in [
            (Reply::OK, "+OK\r\n"),
            (Reply::error("ERR no"), "-ERR no\r\n"),
            (Reply::error("ERR '\r\n+OK'"), "-ERR '  +OK'\r\n"),
            (Reply::Integer(i64::MIN), ":-9223372036854775808\r\n"),
            (Reply::Integer(0), ":0\r\n"),
            (Reply::Bulk(b""), "$0\r\n\r\n"),
            (Reply::Owned(b"a\r\nb".to_vec()), "$4\r\na\r\nb\r\n"),
            (Reply::Null, "$-1\r\n"),
            (Reply::Array(vec![]), "*0\r\n"),
            (Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![Reply::Null])]), "*2\r\n:1\r\n*1\r\n$-1\r\n"),
            (Reply::Each(vec![Reply::OK, Reply::OK]), "+OK\r\n+OK\r\n"),
            (Reply::NOTHING, ""),
        ] {
            let mut out = BytesMut::from("before ");
            encode(&reply, &mut out);
            assert_eq!(out, format!("before {bytes}"), "{reply:?}");
        }
    }
}
