//! Echo on Pollywog with the lent buffer.

use std::io;

use futures::AsyncWriteExt;
use pollywog_bench::listening_on;
use pollywog_net::{TcpListener, TcpStream, spawn};

async fn echo(stream: TcpStream) -> io::Result<()> {
    let answer = |bytes: &[u8]| {
        let rest = match stream.try_write(bytes) {
            Ok(count) => Ok(bytes[count..].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(bytes.to_vec()),
            Err(error) => Err(error),
        };
        (bytes.len(), rest)
    };
    while let Some(rest) = stream.read_with(answer).await? {
        (&stream).write_all(&rest?).await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    pollywog_net::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listening_on(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn(echo(stream));
        }
    })?
}
