//! The operations that read. Each is polled with the gate of what `end` reads, and what it gives is judged before
//! anybody else can read.

use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut};
use std::pin::pin;

use futures::AsyncReadExt;
use pollywog_net::TcpStream;

use super::connection::Connection;
use super::handle::Handle;
use super::judge::{Got, Step};
use super::operations::{Consume, IN_VAIN};

type Judged = Result<Step, String>;

async fn judged(connection: &Connection, end: usize, reading: impl Future<Output = io::Result<Got>>) -> Judged {
    let mut reading = pin!(reading);
    poll_fn(|cx| {
        let mut gate = connection.incoming(end).receive();
        reading.as_mut().poll(cx).map(|got| connection.read(end, &mut gate, got))
    })
    .await
}

/// Buffers for a read.
struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    fn new(rooms: &[usize]) -> Self {
        Self(rooms.iter().map(|room| vec![0; *room]).collect())
    }

    fn slices(&mut self) -> Vec<IoSliceMut<'_>> {
        self.0.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect()
    }

    fn taken(self, count: usize) -> Got {
        let mut bytes = self.0.concat();
        let room = bytes.len();
        bytes.truncate(count);
        Got::Taken(bytes, room)
    }
}

pub(super) async fn read(
    handle: &mut Handle<'_>,
    rooms: &[usize],
    is_vectored: bool,
    connection: &Connection,
    end: usize,
) -> Judged {
    let mut reader = handle.as_read();
    let mut buffers = Buffers::new(rooms);
    let reading = async {
        let count = if is_vectored {
            reader.read_vectored(&mut buffers.slices()).await?
        } else {
            reader.read(&mut buffers.0[0]).await?
        };
        Ok(buffers.taken(count))
    };
    judged(connection, end, reading).await
}

pub(super) async fn read_buf(stream: &TcpStream, room: usize, connection: &Connection, end: usize) -> Judged {
    let reading = async {
        let mut buffer = Vec::with_capacity(room);
        let count = stream.read_buf(&mut buffer).await?;
        assert_eq!(buffer.len(), count, "what was read is what was appended");
        Ok(Got::Taken(buffer, usize::MAX))
    };
    judged(connection, end, reading).await
}

pub(super) async fn try_read(
    stream: &TcpStream,
    rooms: &[usize],
    is_vectored: bool,
    connection: &Connection,
    end: usize,
) -> Judged {
    for _ in 0..IN_VAIN {
        let step = readable(stream, connection, end).await?;
        if step != Step::Looked {
            return Ok(step);
        }
        let step = {
            let mut buffers = Buffers::new(rooms);
            let mut gate = connection.incoming(end).receive();
            let count = if is_vectored {
                stream.try_read_vectored(&mut buffers.slices())
            } else {
                stream.try_read(&mut buffers.0[0])
            };
            connection.read(end, &mut gate, count.map(|count| buffers.taken(count)))?
        };
        if step != Step::Blocked {
            return Ok(step);
        }
    }
    Err(format!("{IN_VAIN} times readable, and then not"))
}

pub(super) async fn peek(stream: &TcpStream, room: usize, connection: &Connection, end: usize) -> Judged {
    let mut buffer = vec![0; room];
    let reading = async {
        let count = stream.peek(&mut buffer).await?;
        buffer.truncate(count);
        Ok(Got::Seen(buffer, room))
    };
    judged(connection, end, reading).await
}

pub(super) async fn read_with(stream: &TcpStream, consume: Consume, connection: &Connection, end: usize) -> Judged {
    let reading = async {
        let borrow = |bytes: &[u8]| {
            let consumed = consume.of(bytes.len());
            (consumed, Got::Lent(bytes.to_vec(), consumed))
        };
        Ok(stream.read_with(borrow).await?.unwrap_or(Got::Nothing))
    };
    judged(connection, end, reading).await
}

/// With the gate open: here threads may truly meet.
pub(super) async fn readable(stream: &TcpStream, connection: &Connection, end: usize) -> Judged {
    let mut waiting = pin!(stream.readable());
    poll_fn(|cx| {
        drop(connection.incoming(end).receive());
        let poll = waiting.as_mut().poll(cx);
        poll.map(|said| connection.waited(&mut connection.incoming(end).receive(), said, false))
    })
    .await
}
