//! What the server does with a connection: the first byte says it.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::server::Connection;
use pollywog_net::task::yield_now;

/// Sends everything back, with `read`.
pub(super) const ECHO: u8 = 0;
/// Sends everything back, with `read_with`.
pub(super) const ECHO_LENT: u8 = 1;
pub(super) const PANIC: u8 = 2;
pub(super) const FAIL: u8 = 3;

/// A whole chunk that was begun is sent back whole: dropped where it waits only by a timeout or at the deadline.
pub(super) async fn handle(mut connection: Connection) -> io::Result<()> {
    let mut kind = [0];
    if connection.read(&mut kind).await? == 0 {
        return Ok(());
    }
    let mut buffer = [0; 2048];
    match kind[0] {
        ECHO => loop {
            match connection.read(&mut buffer).await? {
                0 => return Ok(()),
                count => connection.write_all(&buffer[..count]).await?,
            }
        },
        ECHO_LENT => loop {
            let lent = connection.read_with(|bytes| {
                // What is left comes again.
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                (count, count)
            });
            match lent.await? {
                None => return Ok(()),
                Some(count) => connection.write_all(&buffer[..count]).await?,
            }
        },
        PANIC => {
            yield_now().await;
            panic!("expected: as the client wishes")
        }
        FAIL => Err(io::ErrorKind::InvalidData.into()),
        other => unreachable!("no client sends {other}"),
    }
}
