//! A small client of Redis: commands go out, replies and messages come in.
//!
//! The crate `redis` spawns the task behind a subscription on tokio or on smol, whichever stream it is given, so this is
//! a client of our own; the bytes of the protocol are those of the crate redis-protocol.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use bytes::{Buf, BytesMut};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use pollywog_net::{TcpStream, UnixStream};
pub use redis_protocol::resp2::types::OwnedFrame as Reply;
use redis_protocol::resp2::{decode::decode, encode::extend_encode_borrowed, types::BorrowedFrame};

use crate::program::address;

/// Bytes of a reply; what is longer ends the connection.
const LONGEST_REPLY: usize = 64 << 10;

/// Where a Redis listens: `HOST:PORT`, or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host and a port.
    Tcp(String),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("the path of the socket follows, as in unix:/run/redis.sock".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => address(text).map(Self::Tcp),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => f.write_str(addr),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Place {
    /// Connects. Nothing is said yet, so it need not be a Redis that is there.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub async fn connect(&self) -> io::Result<(Commands, Replies)> {
        Ok(match self {
            Self::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                let (reader, writer) = stream.into_split();
                (Commands::new(writer), Replies::new(reader))
            }
            Self::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await?.into_split();
                (Commands::new(writer), Replies::new(reader))
            }
        })
    }
}

/// The way to Redis.
pub struct Commands {
    stream: Box<dyn AsyncWrite + Unpin>,
    added: BytesMut,
}

impl Commands {
    fn new(stream: impl AsyncWrite + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), added: BytesMut::new() }
    }

    /// Adds a command to those that [`send`](Self::send) sends.
    pub fn add(&mut self, words: &[&str]) {
        let words: Vec<_> = words.iter().map(|word| BorrowedFrame::BulkString(word.as_bytes())).collect();
        let added = extend_encode_borrowed(&mut self.added, &BorrowedFrame::Array(&words), false);
        added.expect("the buffer grows as needed");
    }

    /// Sends what was added, in one write where there is room.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    ///
    /// # Cancel safety
    ///
    /// None: a part may be sent, and the connection is of no use then.
    pub async fn send(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.added).await?;
        self.added.clear();
        Ok(())
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("added", &self.added).finish_non_exhaustive()
    }
}

/// The way from Redis.
pub struct Replies {
    stream: Box<dyn AsyncRead + Unpin>,
    /// What came and is not taken yet.
    bytes: BytesMut,
}

impl Replies {
    fn new(stream: impl AsyncRead + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), bytes: BytesMut::new() }
    }

    /// The next reply, or the next message to who has subscribed. It may be an error: see [`granted`].
    ///
    /// # Errors
    ///
    /// When the connection ends, or what comes is not Redis's protocol.
    ///
    /// # Cancel safety
    ///
    /// What has come of a reply is kept for the next call.
    pub async fn next(&mut self) -> io::Result<Reply> {
        loop {
            match decode(&self.bytes).map_err(|error| wrong(error.details()))? {
                Some((reply, length)) => {
                    self.bytes.advance(length);
                    return Ok(reply);
                }
                None if self.bytes.len() > LONGEST_REPLY => return Err(wrong("a reply that does not end")),
                None => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
            count => {
                self.bytes.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The reply, unless Redis refuses what was asked.
///
/// # Errors
///
/// Redis's own, in its words.
pub fn granted(reply: Reply) -> io::Result<Reply> {
    match reply {
        Reply::Error(text) => Err(io::Error::other(text)),
        reply => Ok(reply),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it does not speak Redis's protocol: {what}"))
}
