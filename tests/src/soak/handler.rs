//! What the server does with a connection: the first byte says it.

use std::io;
use std::sync::Arc;

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::server::Connection;
use pollywog_net::task::yield_now;

use super::tally::Tally;

/// Sends everything back, with `read`.
pub(super) const ECHO: u8 = 0;
/// Sends everything back, with `read_with`.
pub(super) const ECHO_LENT: u8 = 1;
/// Sends everything back, until it is told to stop.
pub(super) const ECHO_UNTIL_TOLD: u8 = 2;
pub(super) const PANIC: u8 = 3;
pub(super) const FAIL: u8 = 4;

/// What it begins to send back it sends whole: only a timeout or the deadline of a shutdown ends it where it waits.
pub(super) async fn handle(mut connection: Connection, tally: Arc<Tally>) -> io::Result<()> {
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
        ECHO_UNTIL_TOLD => {
            let told = connection.shutdown_token().clone();
            while let Some(count) = told.run_until_cancelled(connection.read(&mut buffer)).await {
                match count? {
                    0 => return Ok(()),
                    count => connection.write_all(&buffer[..count]).await?,
                }
            }
            tally.add("told", 1);
            Ok(())
        }
        PANIC => {
            yield_now().await;
            panic!("expected: as the client wishes")
        }
        FAIL => Err(io::ErrorKind::InvalidData.into()),
        other => unreachable!("no client sends {other}"),
    }
}
