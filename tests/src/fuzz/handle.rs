//! How a stream is held.

use std::sync::Arc;

use futures::{AsyncRead, AsyncWrite};
use pollywog_net::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

/// A stream, or a half of it.
#[derive(Debug)]
pub(super) enum Handle<'a> {
    Shared(Arc<TcpStream>),
    Borrowed(&'a TcpStream),
    ReadHalf(ReadHalf<'a>),
    WriteHalf(WriteHalf<'a>),
    OwnedReadHalf(OwnedReadHalf),
    OwnedWriteHalf(OwnedWriteHalf),
}

impl Handle<'_> {
    pub(super) fn stream(&self) -> &TcpStream {
        match self {
            Self::Shared(stream) => stream,
            Self::Borrowed(stream) => stream,
            Self::ReadHalf(half) => half.as_ref(),
            Self::WriteHalf(half) => half.as_ref(),
            Self::OwnedReadHalf(half) => half.as_ref(),
            Self::OwnedWriteHalf(half) => half.as_ref(),
        }
    }

    /// Reads through the trait of what is held.
    pub(super) fn as_read(&mut self) -> Box<dyn AsyncRead + Send + Unpin + '_> {
        match self {
            Self::Shared(stream) => Box::new(&**stream),
            Self::Borrowed(stream) => Box::new(stream),
            Self::ReadHalf(half) => Box::new(half),
            Self::OwnedReadHalf(half) => Box::new(half),
            Self::WriteHalf(_) | Self::OwnedWriteHalf(_) => unreachable!("a writing half does not read"),
        }
    }

    /// Writes through the trait of what is held.
    pub(super) fn as_write(&mut self) -> Box<dyn AsyncWrite + Send + Unpin + '_> {
        match self {
            Self::Shared(stream) => Box::new(&**stream),
            Self::Borrowed(stream) => Box::new(stream),
            Self::WriteHalf(half) => Box::new(half),
            Self::OwnedWriteHalf(half) => Box::new(half),
            Self::ReadHalf(_) | Self::OwnedReadHalf(_) => unreachable!("a reading half does not write"),
        }
    }
}
