//! Echo on smol's LocalExecutor and async-io.

use pollywog_bench::{BUFFER, listening_on};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpListener;

fn main() -> std::io::Result<()> {
    let local: &'static smol::LocalExecutor<'static> = Box::leak(Box::new(smol::LocalExecutor::new()));
    smol::block_on(local.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listening_on(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            local
                .spawn(async move {
                    let mut buffer = [0; BUFFER];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                })
                .detach();
        }
    }))
}
