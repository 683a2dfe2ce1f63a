//! A part of a file as the body of an answer.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_lock::SemaphoreGuardArc;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pollywog_net::{JoinHandle, spawn_blocking};

/// What a client that does not read holds of a file, beside what hyper keeps.
const CHUNK: u64 = 64 << 10;

/// A file that is open, and its place among those. A chunk of it has both, too, until the last of its bytes is written.
pub(super) struct Open {
    pub(super) file: File,
    pub(super) _place: SemaphoreGuardArc,
}

struct Chunk {
    bytes: Vec<u8>,
    _of: Arc<Open>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Each chunk is read when the one before is on its way, by a thread of the blocking pool. (An async-fs `File` would read
/// eight megabytes ahead.)
pub(super) struct Chunks {
    open: Arc<Open>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Chunks {
    pub(super) fn new(open: Open, part: Range<u64>) -> Self {
        Self { open: Arc::new(open), rest: part, reading: None }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let Self { open, rest, reading } = self;
        let handle = reading.get_or_insert_with(|| {
            let (open, start) = (open.clone(), rest.start);
            let mut chunk = vec![0; CHUNK.min(rest.end - start) as usize];
            spawn_blocking(move || {
                let count = open.file.read_at(&mut chunk, start)?;
                chunk.truncate(count);
                Ok(chunk)
            })
        });
        let result = ready!(Pin::new(handle).poll(cx));
        *reading = None;
        let chunk = result.unwrap_or_else(|error| Err(error.into()))?;
        if chunk.is_empty() {
            let text = "the file has become shorter while it was sent";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
        }
        rest.start += chunk.len() as u64;
        Poll::Ready(Ok(Bytes::from_owner(Chunk { bytes: chunk, _of: open.clone() })))
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        self.poll_chunk(cx).map_ok(Frame::data).map(Some)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}
