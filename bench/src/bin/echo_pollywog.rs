//! Echo on Pollywog, a buffer for each connection.

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_bench::{BUFFER, listening_on};
use pollywog_net::{TcpListener, spawn};

fn main() -> std::io::Result<()> {
    pollywog_net::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listening_on(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn(async move {
                let mut buffer = [0; BUFFER];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    })?
}
