//! One client that asks while others are slow.
//!
//! A slow client is one that holds the server up if anything does: it has sent half a line and sends no more, or it
//! sends and never reads, so that what goes back to it fills every buffer on the way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::LINE;
use super::results::{Latency, Neighbour};

/// An answer that takes longer is none.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How many silent clients a crowd is: more than a pool has workers.
pub(super) const CROWD: usize = 16;
/// From one line to the next: a client that asks now and then, not one that is a load.
const PAUSE: Duration = Duration::from_millis(1);
/// A server that has taken nothing for so long takes no more.
const STUCK: Duration = Duration::from_millis(100);
/// A server that takes as much keeps all of it: it has no limit.
const ENOUGH: usize = 32 << 20;

/// Asks for `duration`, a line every millisecond, beside `neighbour`. It ends early with a line that is not answered.
///
/// # Errors
///
/// When the server cannot be connected to, closes a connection, or answers wrongly.
pub(super) fn ask_beside(addr: SocketAddr, neighbour: Neighbour, duration: Duration) -> io::Result<Latency> {
    let (slow, taken) = neighbours(addr, neighbour)?;
    let mut client = connect(addr)?;
    let mut latencies = Histogram::<u64>::new_with_max(PATIENCE.as_nanos() as u64, 3).map_err(io::Error::other)?;
    let (start, mut number, mut unanswered) = (Instant::now(), 0_u32, 0);
    while start.elapsed() < duration {
        number += 1;
        // An answer that keeps the client from asking in time is waited for by the next line too.
        let due = start + PAUSE * number;
        let from = match due.checked_duration_since(Instant::now()) {
            Some(early) => {
                thread::sleep(early);
                Instant::now()
            }
            None => due,
        };
        match ask(&mut client, number, from)? {
            Some(time) => latencies.saturating_record(time.as_nanos() as u64),
            None => {
                unanswered += 1;
                break;
            }
        }
    }
    drop(slow);
    let microseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Latency {
        answered: latencies.len(),
        unanswered,
        p50_us: microseconds(0.5),
        p90_us: microseconds(0.9),
        p99_us: microseconds(0.99),
        max_us: microseconds(1.0),
        taken_bytes: taken,
    })
}

/// The slow ones, and how much the server took of what one that never reads has sent.
fn neighbours(addr: SocketAddr, neighbour: Neighbour) -> io::Result<(Vec<TcpStream>, Option<usize>)> {
    let silent = |count| (0..count).map(|_| silent(addr)).collect::<io::Result<Vec<_>>>();
    Ok(match neighbour {
        Neighbour::Nobody => (Vec::new(), None),
        Neighbour::Silent => (silent(1)?, None),
        Neighbour::Crowd => (silent(CROWD)?, None),
        Neighbour::Deaf => {
            let (stream, taken) = deaf(addr)?;
            (vec![stream], Some(taken))
        }
    })
}

fn silent(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = connect(addr)?;
    stream.write_all(b"half a line, and the rest of it later: ")?;
    Ok(stream)
}

fn deaf(addr: SocketAddr) -> io::Result<(TcpStream, usize)> {
    let mut stream = connect(addr)?;
    stream.set_write_timeout(Some(STUCK))?;
    let mut lines = [b'.'; 64 * LINE];
    lines.iter_mut().skip(LINE - 1).step_by(LINE).for_each(|byte| *byte = b'\n');
    let mut taken = 0;
    while taken < ENOUGH {
        match stream.write(&lines[taken % lines.len()..]) {
            Ok(count) => taken += count,
            Err(error) if is_over_time(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok((stream, taken))
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long after `from` the answer came; `None` where there is none in time.
fn ask(client: &mut TcpStream, number: u32, from: Instant) -> io::Result<Option<Duration>> {
    let mut line = [b'.'; LINE];
    write!(&mut line[..], "{number} ")?;
    line[LINE - 1] = b'\n';
    client.write_all(&line)?;
    let (mut answer, mut filled) = ([0; LINE], 0);
    while filled < LINE {
        let Some(rest) = PATIENCE.checked_sub(from.elapsed()).filter(|rest| !rest.is_zero()) else { return Ok(None) };
        client.set_read_timeout(Some(rest))?;
        match client.read(&mut answer[filled..]) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed a connection")),
            Ok(count) => filled += count,
            Err(error) if is_over_time(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let time = from.elapsed();
    if answer == line { Ok(Some(time)) } else { Err(io::Error::other("an answer was not what was sent")) }
}

fn is_over_time(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
