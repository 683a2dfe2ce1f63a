//! smol's LocalExecutor and async-io.

use pollywog_bench::options::{Mode, Options};
use pollywog_bench::requests::Requests;
use pollywog_bench::{BUFFER, listening_on};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Async, LocalExecutor};

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

async fn http(mut stream: TcpStream) {
    let mut requests = Requests::new();
    while let Ok(count @ 1..) = stream.read(requests.room()).await {
        if stream.write_all(requests.answers(count)).await.is_err() {
            break;
        }
    }
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::from(Async::new(options.listen()?)?);
        listening_on(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match options.mode {
                Mode::Echo => executor.spawn(echo(stream)),
                Mode::Http => executor.spawn(http(stream)),
            }
            .detach();
        }
    }))
}
