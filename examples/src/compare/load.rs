//! Connections that ask as fast as they are answered, each a task that writes a line and reads it back.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, TryStreamExt, future, stream};
use pollywog_net::{TcpStream, time};

use super::LINE;

/// How many connections are opened at once: fewer than any listener's queue holds.
const BATCH: usize = 64;
/// How long a server may take beyond the time that it is given.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, and the line that goes to and fro on it.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    number: usize,
    asked: u64,
    line: [u8; LINE],
}

impl Client {
    /// Connects, and has one line answered: then the server has done all that it does for a new connection.
    async fn connect(addr: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, number, asked: 0, line: [b'.'; LINE] };
        client.ask().await?;
        Ok(client)
    }

    async fn ask(&mut self) -> io::Result<()> {
        self.asked += 1;
        // No line is like another, so that the answer to another does not pass for this one's.
        write!(&mut self.line[..], "{} {} ", self.number, self.asked)?;
        self.line[LINE - 1] = b'\n';
        self.stream.write_all(&self.line).await?;
        let mut answer = [0; LINE];
        self.stream.read_exact(&mut answer).await.map_err(plainly)?;
        if answer == self.line { Ok(()) } else { Err(io::Error::other("an answer was not what was sent")) }
    }
}

fn plainly(error: io::Error) -> io::Error {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    if closed { io::Error::new(error.kind(), "it closed a connection") } else { error }
}

/// `count` connections that were answered once, besides those that are there. All are numbered.
///
/// # Errors
///
/// When one cannot connect, or all of that takes longer than [`PATIENCE`].
pub(super) async fn connect(addr: SocketAddr, clients: &mut Vec<Client>, count: usize) -> io::Result<()> {
    let numbers = clients.len()..clients.len() + count;
    let connecting = stream::iter(numbers).map(|number| Client::connect(addr, number)).buffer_unordered(BATCH);
    let connected: Vec<_> = within(PATIENCE, connecting.try_collect()).await?;
    clients.extend(connected);
    Ok(())
}

/// Has all of them ask for `duration`, and gives how often they were answered, and how long it took.
///
/// # Errors
///
/// When one of them is answered wrongly, or not in time.
pub(super) async fn ask(clients: &mut [Client], duration: Duration) -> io::Result<(u64, Duration)> {
    let start = Instant::now();
    let answered = Cell::new(0);
    let asking = clients.iter_mut().map(|client| async {
        while start.elapsed() < duration {
            client.ask().await?;
            answered.set(answered.get() + 1);
        }
        Ok(())
    });
    within(duration + PATIENCE, all(asking)).await?;
    Ok((answered.get(), start.elapsed()))
}

/// Has each of them ask `count` times.
///
/// # Errors
///
/// When one of them is answered wrongly, or all of that takes longer than `limit`.
pub(super) async fn ask_times(clients: &mut [Client], count: u64, limit: Duration) -> io::Result<()> {
    let asking = clients.iter_mut().map(|client| async move {
        for _ in 0..count {
            client.ask().await?;
        }
        Ok(())
    });
    within(limit, all(asking)).await
}

async fn all(asking: impl Iterator<Item = impl Future<Output = io::Result<()>>>) -> io::Result<()> {
    future::try_join_all(asking).await.map(drop)
}

async fn within<T>(limit: Duration, asking: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match time::timeout(limit, asking).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other(format!("not all clients were answered within {} s", limit.as_secs()))),
    }
}
