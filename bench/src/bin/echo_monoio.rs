//! Echo on monoio with its epoll driver.

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpListener;
use pollywog_bench::{BUFFER, listening_on};

fn main() -> std::io::Result<()> {
    monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listening_on(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(async move {
                let mut buffer = Vec::with_capacity(BUFFER);
                loop {
                    let (result, filled) = stream.read(buffer).await;
                    if !matches!(result, Ok(1..)) {
                        break;
                    }
                    let (result, emptied) = stream.write_all(filled).await;
                    if result.is_err() {
                        break;
                    }
                    buffer = emptied;
                    buffer.clear();
                }
            });
        }
    })
}
