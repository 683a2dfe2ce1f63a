//! Connecting to several addresses at once, a little apart: 'Happy Eyeballs', RFC 8305.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use pollywog_executor::time::sleep;

use super::TcpStream;
use super::connect::no_connection;
use super::stream::connected;
use crate::addr::{ToSocketAddrs, resolve};

/// How long an attempt is alone before the next begins beside it: what the RFC recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

impl TcpStream {
    /// Connects to the address that answers first, as RFC 8305 ('Happy Eyeballs') has it: an address that does not
    /// answer, say of an IPv6 network that leads nowhere, costs a quarter of a second and not the system's two minutes.
    ///
    /// The addresses are tried in the order of the resolver, IPv6 and IPv4 in turn. The next attempt begins when one
    /// has failed, or 250 ms after the one before, and those that are under way go on. The first connection that is
    /// there wins, and the others are closed: a server may see one that is closed at once. With one address it is
    /// [`connect`](Self::connect).
    ///
    /// A name is looked up as a whole before the first attempt, since the system's resolver does not give addresses of
    /// one family before the other's.
    ///
    /// # Errors
    ///
    /// Where no address can be connected to: for one address its error, for several an error that lists each of them with its own,
    /// in the order in which they failed, and has the kind of the last. There is no time limit of our own: see
    /// [`timeout`](crate::time::timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the descriptors of all attempts.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use pollywog_net::{TcpListener, TcpStream};
    ///
    /// pollywog_net::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     // Perhaps [::1] comes first, where nobody listens.
    ///     let stream = TcpStream::connect_racing(("localhost", listener.local_addr()?.port())).await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn connect_racing(addr: impl ToSocketAddrs) -> io::Result<Self> {
        race(interleaved(resolve(addr).await?)).await
    }
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let (mut waiting, mut attempts, mut failures) = (addresses.into_iter(), FuturesUnordered::new(), Vec::new());
    loop {
        attempts.extend(waiting.next().map(attempt));
        let ended = match waiting.len() {
            0 => attempts.next().await,
            _ => ended_soon(attempts.next()).await,
        };
        match ended {
            Some((_, Ok(stream))) => return Ok(stream),
            Some((addr, Err(error))) => failures.push((addr, error)),
            // Nothing waits either, or it would be an attempt by now.
            None if attempts.is_empty() => return Err(no_connection(failures)),
            None => {}
        }
    }
}

/// Connects, and says to whom.
async fn attempt(addr: SocketAddr) -> (SocketAddr, io::Result<TcpStream>) {
    let result = match mio::net::TcpStream::connect(addr) {
        Ok(stream) => connected(TcpStream::new(stream)).await,
        Err(error) => Err(error),
    };
    (addr, result)
}

/// The attempt that ends within the delay.
async fn ended_soon<T>(next: impl Future<Output = Option<T>>) -> Option<T> {
    match select(pin!(next), pin!(sleep(ATTEMPT_DELAY))).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => None,
    }
}

/// One of each family in turn, beginning with that of the first.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let count = addresses.len();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let pairs = (0..count).flat_map(|_| [first.next(), second.next()]);
    pairs.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_in_turn_beginning_with_that_of_the_first() {
        let six = |port| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
        let four = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for (given, expected) in [
            (vec![], vec![]),
            (vec![four(1)], vec![four(1)]),
            (vec![six(1), six(2), four(1), four(2)], vec![six(1), four(1), six(2), four(2)]),
            (vec![four(1), six(1), six(2), six(3)], vec![four(1), six(1), six(2), six(3)]),
            (vec![six(1), six(2), six(3), four(1)], vec![six(1), four(1), six(2), six(3)]),
        ] {
            assert_eq!(interleaved(given), expected);
        }
    }
}
