//! The inside of the example `client`: connections to an echo server, and what they ask when.
//!
//! | file | what it holds |
//! |---|---|
//! | `pace.rs` | when a request is due |
//! | `ask.rs` | one connection: a request after the other, each on a connection of its own, or a stream of them |
//! | `tally.rs` | [`Class`]: the answers, how long they took, and what failed |
//!
//! A client that waits for an answer before it asks again (a *closed loop*) asks a server that stalls for a second once
//! in that second. A thousand others would have come meanwhile, and waited; none of them is in its figures. With a rate
//! (an *open loop*) requests are due at fixed instants, whatever the server does, and the latency of each counts from
//! when it was due. The mistake has its name, coordinated omission, from Gil Tene, and the remedy is that of his
//! [wrk2](https://github.com/giltene/wrk2) and [HdrHistogram](https://hdrhistogram.github.io/HdrHistogram/).

mod ask;
mod pace;
mod tally;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use pollywog_net::{JoinSet, TcpStream, time};

use self::ask::{ask, ask_anew, pipeline};
use self::pace::Pace;
pub use self::tally::Class;
use crate::program::explain;

/// How many connections are opened at once.
const BATCH: usize = 128;
/// How long a server may take to accept, and to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of a server.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub addr: String,
    /// How many connections there are.
    pub connections: usize,
    /// How many of them ask; the others are held.
    pub asking: usize,
    /// How many of those that ask send without a pause, whatever has been answered.
    pub hot: usize,
    /// Bytes of a line, with its end.
    pub size: usize,
    /// For how long requests are sent.
    pub duration: Duration,
    /// How many are sent at most, those of the hot ones apart.
    pub requests: Option<u64>,
    /// How many are due in a second, on all connections but the hot ones together; without it each asks as soon as it
    /// was answered.
    pub rate: Option<u64>,
    /// Each request has a connection of its own.
    pub reconnect: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// The hot connections, where there are some, and the others.
    pub classes: Vec<Class>,
}

/// Connections that are open.
#[derive(Debug)]
pub struct Connections {
    load: Load,
    streams: Vec<Rc<TcpStream>>,
    hot: Rc<RefCell<Class>>,
    others: Rc<RefCell<Class>>,
}

impl Connections {
    /// Connects, in batches, since no listener's queue holds thousands.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub async fn open(load: Load) -> io::Result<Self> {
        let count = if load.reconnect { 0 } else { load.connections };
        let streams = stream::iter(0..count)
            .map(|_| async { connect(&load.addr).await.map(Rc::new) })
            .buffer_unordered(BATCH)
            .try_collect()
            .await?;
        let longest = load.duration + 2 * PATIENCE;
        let hot = Rc::new(RefCell::new(Class::new("hot", load.hot, longest)?));
        let name = if load.hot > 0 { "quiet" } else { "asking" };
        let others = Rc::new(RefCell::new(Class::new(name, load.asking - load.hot, longest)?));
        Ok(Self { load, streams, hot, others })
    }

    /// How many requests have been answered so far.
    pub fn answered(&self) -> impl Fn() -> u64 + 'static {
        let classes = [self.hot.clone(), self.others.clone()];
        move || classes.iter().map(|class| class.borrow().requests()).sum()
    }

    /// Asks until the time or the number of requests is over. The connections stay open.
    ///
    /// # Errors
    ///
    /// When a connection breaks, an answer is wrong, or none comes within ten seconds. With a rate the requests that
    /// are not answered by then are counted instead; and a connection of its own that fails is counted as well, once
    /// one request has been answered.
    pub async fn ask(&self) -> io::Result<Report> {
        let Load { hot, asking, .. } = self.load;
        let start = Instant::now();
        if asking == 0 {
            time::sleep(self.load.duration).await;
            return Ok(self.report(start));
        }
        let pace = Pace::new(&self.load, start);
        let answered: Rc<[Cell<u64>]> = vec![Cell::new(0); asking].into();
        let mut tasks = JoinSet::new();
        for number in 0..asking {
            let (pace, load, answered) = (pace.clone(), self.load.clone(), answered.clone());
            let class = if number < hot { &self.hot } else { &self.others }.clone();
            let stream = self.streams.get(number).cloned();
            tasks.spawn(async move {
                let result = match stream {
                    Some(stream) if number < hot => pipeline(&stream, number, &load, &pace, &class).await,
                    Some(stream) => ask(&stream, number - hot, &load, &pace, &class, &answered[number - hot]).await,
                    None => ask_anew(number, &load, &pace, &class, &answered[number]).await,
                };
                result.map_err(|error| lost(number, error))
            });
        }
        let all = async {
            while let Some(result) = tasks.join_next().await {
                result??;
            }
            Ok(())
        };
        match time::timeout(self.load.duration + PATIENCE, all).await {
            Ok(result) => result.map(|()| self.report(start)),
            Err(_) if self.load.rate.is_some() => {
                tasks.abort_all();
                let waited = answered.iter().enumerate().take(asking - hot);
                let waited = waited.flat_map(|(number, count)| pace.waited(number, count.get()));
                self.others.borrow_mut().unanswered(waited);
                Ok(self.report(start))
            }
            Err(_) => Err(io::Error::other(format!("no answer within {PATIENCE:?}"))),
        }
    }

    fn report(&self, start: Instant) -> Report {
        let classes = [&self.hot, &self.others].map(|class| class.borrow().clone());
        let classes = classes.into_iter().filter(|class| class.connections > 0).collect();
        Report { elapsed: start.elapsed(), classes }
    }
}

async fn connect(addr: &str) -> io::Result<TcpStream> {
    let connecting = time::timeout(PATIENCE, TcpStream::connect(addr));
    let result = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    // A line that takes several packets is not to wait for the answer to the first of them.
    let result = result.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    result.map_err(|error| explain(format_args!("cannot connect to {addr}"), &error))
}

fn lost(number: usize, error: io::Error) -> io::Error {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    let error = if closed { io::Error::other("the server closed it") } else { error };
    explain(format_args!("connection {number}"), &error)
}
