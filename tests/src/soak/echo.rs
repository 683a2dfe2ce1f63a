//! A client that sends its own stream, and checks each byte that comes back.

use std::io;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use pollywog_net::TcpStream;
use pollywog_net::task::yield_now;
use pollywog_net::time::sleep;

use super::handler::{ECHO, ECHO_LENT};
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

/// Sends `total` bytes in chunks at random, some of them in writes that are dropped where they wait, then ends its side
/// where it is to.
async fn send(mut stream: &TcpStream, seed: u64, total: usize, mut random: Random, finishes: bool) -> io::Result<()> {
    let kind = [ECHO, ECHO_LENT][random.below(2)];
    stream.write_all(&[kind]).await?;
    let mut sent = 0;
    while sent < total {
        let count = (1 + random.below(8192)).min(total - sent);
        let chunk: Vec<_> = (sent..sent + count).map(|place| byte(seed, place)).collect();
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
    }
    if finishes { stream.close().await } else { Ok(()) }
}

/// Reads `total` bytes and checks each; a slow one rests in between. Says how many came.
async fn receive(mut stream: &TcpStream, seed: u64, total: usize, mut random: Random, slow: bool) -> (usize, bool) {
    let mut buffer = vec![0; if slow { 512 } else { 8192 }];
    let mut received = 0;
    while received < total {
        let reading = stream.read(&mut buffer);
        let count = match reading.await {
            Ok(0) | Err(_) => return (received, false),
            Ok(count) => count,
        };
        for (offset, got) in buffer[..count].iter().enumerate() {
            assert_eq!(*got, byte(seed, received + offset), "byte {} of the stream {seed}", received + offset);
        }
        received += count;
        if slow && random.below(4) == 0 {
            sleep(Duration::from_millis(random.below(8) as u64)).await;
        }
    }
    assert_eq!(received, total, "more came back than was sent: stream {seed}");
    (received, true)
}

/// Sends and receives at once.
pub(super) async fn echo(stream: TcpStream, seed: u64) -> Ended {
    let mut random = Random::new(seed);
    let most = [16, 4_000, 100_000][random.below(3)];
    let total = 1 + random.below(most);
    let (finishes, slow) = (random.below(2) == 0, random.below(4) == 0);
    let draw = |random: &mut Random| Random::new(random.below(usize::MAX) as u64);
    let (of_send, of_receive) = (draw(&mut random), draw(&mut random));
    let sending = send(&stream, seed, total, of_send, finishes);
    let receiving = receive(&stream, seed, total, of_receive, slow);
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
