//! A client that sends its own stream, and checks each byte that comes back.

use std::io;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use pollywog_net::TcpStream;
use pollywog_net::task::yield_now;
use pollywog_net::time::sleep;

use super::handler::{ECHO, ECHO_LENT, ECHO_UNTIL_TOLD};
use crate::net::Random;

/// How an echo came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All came back, and then, where it was waited for, the end.
    Whole,
    /// The server ended it before anything came back.
    TurnedAway,
    /// The server ended it in the midst.
    Cut,
}

/// The byte at `place` of the stream that belongs to `seed`.
fn byte(seed: u64, place: usize) -> u8 {
    let mixed = (seed ^ place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u8
}

/// What a client does with its stream.
struct Plan {
    seed: u64,
    total: usize,
    /// It ends its side when it has sent all, and waits for the end of the other.
    finishes: bool,
    /// It rests now and then, and reads a little at a time.
    slow: bool,
}

impl Plan {
    async fn rest(&self, random: &mut Random) {
        if self.slow && random.below(4) == 0 {
            sleep(Duration::from_millis(random.below(8) as u64)).await;
        }
    }
}

/// Sends it in chunks at random, some of them in writes that are dropped where they wait.
async fn send(mut stream: &TcpStream, plan: &Plan, mut random: Random) -> io::Result<()> {
    let kind = [ECHO, ECHO_LENT, ECHO_UNTIL_TOLD][random.below(3)];
    stream.write_all(&[kind]).await?;
    let mut sent = 0;
    while sent < plan.total {
        let count = (1 + random.below(8192)).min(plan.total - sent);
        let chunk: Vec<_> = (sent..sent + count).map(|place| byte(plan.seed, place)).collect();
        if random.below(4) == 0 {
            // Dropped after one poll: what it did not report it has not sent.
            match stream.write(&chunk).now_or_never() {
                Some(written) => sent += written?,
                None => yield_now().await,
            }
        } else {
            stream.write_all(&chunk).await?;
            sent += count;
        }
        plan.rest(&mut random).await;
    }
    if plan.finishes { stream.close().await } else { Ok(()) }
}

/// Reads it and checks each byte. Says how many came, and whether these are all.
async fn receive(mut stream: &TcpStream, plan: &Plan, mut random: Random) -> (usize, bool) {
    let mut buffer = vec![0; if plan.slow { 512 } else { 8192 }];
    let mut received = 0;
    while received < plan.total {
        let count = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return (received, false),
            Ok(count) => count,
        };
        for (place, got) in (received..).zip(&buffer[..count]) {
            assert_eq!(*got, byte(plan.seed, place), "byte {place} of the stream {}", plan.seed);
        }
        received += count;
        plan.rest(&mut random).await;
    }
    assert_eq!(received, plan.total, "more came back than was sent: stream {}", plan.seed);
    (received, true)
}

/// Sends and receives at once.
pub(super) async fn echo(stream: TcpStream, seed: u64) -> Ended {
    let mut random = Random::new(seed);
    let most = [16, 4_000, 100_000][random.below(3)];
    let (total, finishes, slow) = (1 + random.below(most), random.below(2) == 0, random.below(4) == 0);
    let plan = Plan { seed, total, finishes, slow };
    let [of_send, of_receive] = [(); 2].map(|()| Random::new(random.below(usize::MAX) as u64));
    let (sending, receiving) = (send(&stream, &plan, of_send), receive(&stream, &plan, of_receive));
    let sent_or_cut = async {
        if sending.await.is_err() {
            // What is still on its way is read by the other, and then the end.
            future::pending::<()>().await;
        }
    };
    let (received, is_whole) = {
        let mut receiving = std::pin::pin!(receiving);
        match future::select(std::pin::pin!(sent_or_cut), receiving.as_mut()).await {
            future::Either::Left(((), _)) => receiving.await,
            future::Either::Right((received, _)) => received,
        }
    };
    match (received, is_whole) {
        (0, false) => return Ended::TurnedAway,
        (_, false) => return Ended::Cut,
        _ => {}
    }
    if finishes {
        // The server has sent all of it, so its own end is what comes next.
        match (&stream).read(&mut [0]).await {
            Ok(0) => {}
            Ok(_) => panic!("more came back than was sent: stream {seed}"),
            Err(_) => return Ended::Cut,
        }
    } else if random.below(2) == 0 {
        let _ = stream.set_zero_linger();
    }
    Ended::Whole
}
