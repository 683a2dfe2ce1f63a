//! The operations that write. Each is polled with the gate of what `end` writes, and what it says is judged before
//! anybody else can write.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::{Pin, pin};

use futures::AsyncWrite;
use pollywog_net::TcpStream;

use super::connection::Connection;
use super::handle::Handle;
use super::judge::Step;
use super::operations::IN_VAIN;

type Judged = Result<Step, String>;

/// `chunk` in slices of these lengths, as far as it goes.
fn slices<'a>(mut chunk: &'a [u8], counts: &[usize]) -> Vec<IoSlice<'a>> {
    let slice = |count: &usize| {
        let (slice, rest) = chunk.split_at(chunk.len().min(*count));
        chunk = rest;
        IoSlice::new(slice)
    };
    counts.iter().map(slice).collect()
}

pub(super) async fn write(
    handle: &mut Handle<'_>,
    counts: &[usize],
    is_vectored: bool,
    connection: &Connection,
    end: usize,
) -> Judged {
    let mut writer = handle.as_write();
    // What comes next may have changed since the poll before.
    poll_fn(|cx| {
        let mut sending = connection.outgoing(end).send();
        let chunk = sending.offer(counts.iter().sum());
        let writer = Pin::new(&mut writer);
        let said = if is_vectored {
            writer.poll_write_vectored(cx, &slices(chunk, counts))
        } else {
            writer.poll_write(cx, chunk)
        };
        said.map(|said| connection.wrote(end, &mut sending, chunk.len(), said))
    })
    .await
}

pub(super) async fn try_write(
    stream: &TcpStream,
    counts: &[usize],
    is_vectored: bool,
    connection: &Connection,
    end: usize,
) -> Judged {
    for _ in 0..IN_VAIN {
        let step = {
            let mut sending = connection.outgoing(end).send();
            let chunk = sending.offer(counts.iter().sum());
            let said =
                if is_vectored { stream.try_write_vectored(&slices(chunk, counts)) } else { stream.try_write(chunk) };
            connection.wrote(end, &mut sending, chunk.len(), said)?
        };
        if step != Step::Blocked {
            return Ok(step);
        }
        let step = writable(stream, connection, end).await?;
        if step != Step::Looked {
            return Ok(step);
        }
    }
    Err(format!("{IN_VAIN} times writable, and then not"))
}

/// With the gate open: here threads may truly meet.
pub(super) async fn writable(stream: &TcpStream, connection: &Connection, end: usize) -> Judged {
    let flow = connection.outgoing(end);
    let mut waiting = pin!(stream.writable());
    poll_fn(|cx| {
        drop(flow.send());
        let poll = waiting.as_mut().poll(cx);
        poll.map(|said| connection.waited(flow.send().gate(), said, flow.has_ended()))
    })
    .await
}

/// Shuts down writing, by `close` or by `shutdown`.
pub(super) async fn end(
    handle: &mut Handle<'_>,
    by_close: bool,
    connection: &Connection,
    end: usize,
) -> Result<(), String> {
    let flow = connection.outgoing(end);
    let (said, had_ended) = if by_close {
        let mut writer = handle.as_write();
        let closing = poll_fn(|cx| {
            let sending = flow.send();
            sending.end();
            Pin::new(&mut writer).poll_close(cx)
        });
        // It says nothing of a connection that is gone.
        (closing.await, false)
    } else {
        let sending = flow.send();
        let had_ended = sending.end();
        (handle.stream().shutdown(Shutdown::Write), had_ended)
    };
    let may_be_gone = had_ended || connection.may_be_reset();
    match said {
        Err(error) if error.kind() != io::ErrorKind::NotConnected || !may_be_gone => {
            Err(format!("shutting down: {error}"))
        }
        _ => Ok(()),
    }
}
