//! One connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, future};
use pollywog_net::{TcpStream, task::yield_now, time};

use super::pace::Pace;
use super::tally::Class;
use super::{Load, connect};

/// How much a hot connection writes at once.
const CHUNK: usize = 16 * 1024;
/// Between an attempt that failed and the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes a line, reads it back, compares, and again.
pub(super) async fn ask(
    stream: &TcpStream,
    number: usize,
    load: &Load,
    pace: &Pace,
    class: &RefCell<Class>,
    answered: &Cell<u64>,
) -> io::Result<()> {
    let mut exchange = Exchange::new(number, load.size);
    while let Some(due) = pace.due(number, answered.get()).await {
        exchange.over(stream, answered.get()).await?;
        answered.set(answered.get() + 1);
        class.borrow_mut().answered(1, due.elapsed());
    }
    Ok(())
}

/// The same, each time on a connection of its own. Connecting is part of the latency.
pub(super) async fn ask_anew(
    number: usize,
    load: &Load,
    pace: &Pace,
    class: &RefCell<Class>,
    answered: &Cell<u64>,
) -> io::Result<()> {
    let mut exchange = Exchange::new(number, load.size);
    while let Some(due) = pace.due(number, answered.get()).await {
        let result = async {
            let stream = connect(&load.addr).await?;
            exchange.over(&stream, answered.get()).await
        };
        match result.await {
            Ok(()) => {
                answered.set(answered.get() + 1);
                class.borrow_mut().answered(1, due.elapsed());
            }
            // Nothing was answered yet: there is no such server. And nothing makes a wrong answer right.
            Err(error) if class.borrow().requests() == 0 || error.kind() == io::ErrorKind::Other => return Err(error),
            Err(_) => {
                class.borrow_mut().errors += 1;
                time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

/// A line, and the room for what comes back.
struct Exchange {
    number: usize,
    line: Vec<u8>,
    answer: Vec<u8>,
}

impl Exchange {
    fn new(number: usize, size: usize) -> Self {
        let line = vec![b'.'; size];
        Self { number, answer: line.clone(), line }
    }

    async fn over(&mut self, mut stream: &TcpStream, request: u64) -> io::Result<()> {
        let Self { number, line, answer } = self;
        // As far as it fits: the answer to another line, or to an earlier one, must not pass for this one's.
        let _ = write!(&mut line[..], "{number} {} ", request + 1);
        if let Some(last) = line.last_mut() {
            *last = b'\n';
        }
        stream.write_all(line).await?;
        stream.read_exact(answer).await?;
        if answer != line {
            return Err(io::Error::other("the answer is not what was sent"));
        }
        Ok(())
    }
}

/// Writes lines without a pause, and reads them back beside that, as many at once as the sockets hold. Then it says that
/// it writes no more, and reads the rest.
pub(super) async fn pipeline(
    stream: &TcpStream,
    number: usize,
    load: &Load,
    pace: &Pace,
    class: &RefCell<Class>,
) -> io::Result<()> {
    let lines = (CHUNK / load.size).max(1);
    let chunk = |index: u64, chunk: &mut Vec<u8>| {
        chunk.resize(lines * load.size, b'.');
        for line in chunk.chunks_mut(load.size) {
            line[load.size - 1] = b'\n';
        }
        // A chunk that is lost, or comes twice, is noticed.
        let _ = write!(&mut chunk[..load.size], "{number} {index} ");
    };
    // When each chunk was written that has not come back.
    let (on_the_way, over) = (RefCell::new(VecDeque::new()), Cell::new(false));
    let write = async {
        let (mut stream, mut bytes) = (stream, Vec::new());
        for index in 0.. {
            let now = Instant::now();
            if now >= pace.until {
                break;
            }
            on_the_way.borrow_mut().push_back(now);
            chunk(index, &mut bytes);
            stream.write_all(&bytes).await?;
            yield_now().await;
        }
        over.set(true);
        stream.close().await
    };
    let read = async {
        let (mut stream, mut bytes, mut expected) = (stream, Vec::new(), Vec::new());
        for index in 0.. {
            chunk(index, &mut expected);
            bytes.resize(expected.len(), 0);
            let result = stream.read_exact(&mut bytes).await;
            let sent = on_the_way.borrow_mut().pop_front();
            match (result, sent) {
                (Err(_), None) if over.get() => break,
                (Ok(()), Some(sent)) if bytes == expected => {
                    class.borrow_mut().answered(lines as u64, sent.elapsed());
                }
                (Ok(()), _) => return Err(io::Error::other("the answer is not what was sent")),
                (Err(error), _) => return Err(error),
            }
            yield_now().await;
        }
        Ok(())
    };
    future::try_join(write, read).await.map(|_| ())
}
