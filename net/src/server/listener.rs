//! What a server accepts from.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

use super::connection::Accepted;
use crate::accept::Attempt;
use crate::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A connection and its peer.
pub(super) type Pair<S> = (S, <S as Accepted>::Addr);

mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::TcpListener {}
    impl Sealed for crate::UnixListener {}
}

/// A listener that a [`Server`](super::Server) can accept from: [`TcpListener`], [`UnixListener`].
pub trait Listener: sealed::Sealed + fmt::Debug + 'static {
    /// What it accepts.
    type Stream: Accepted + AsyncRead + AsyncWrite;

    #[doc(hidden)]
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Pair<Self::Stream>>>;

    /// Without waiting.
    #[doc(hidden)]
    fn try_accept(&self) -> Attempt<Pair<Self::Stream>>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Pair<TcpStream>>> {
        self.poll_accept(cx)
    }

    fn try_accept(&self) -> Attempt<Pair<TcpStream>> {
        self.try_accept()
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Pair<UnixStream>>> {
        self.poll_accept(cx)
    }

    fn try_accept(&self) -> Attempt<Pair<UnixStream>> {
        self.try_accept()
    }
}
