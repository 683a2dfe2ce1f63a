//! The reactor's buffer for whoever reads and keeps nothing.

use crate::context;

/// Calls `f` with the buffer that [`read_with`](crate::TcpStream::read_with) lends, or with a small one where no runtime
/// runs.
pub(crate) fn with_lent<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    /// For streams that lie in memory.
    const SMALL: usize = 4096;

    let Some(reactor) = context::with(|reactor| reactor.cloned()) else { return f(&mut [0; SMALL]) };
    let mut buffer = reactor.take_buffer();
    let result = f(&mut buffer);
    reactor.return_buffer(buffer);
    result
}
