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

async fn accept(executor: &LocalExecutor<'_>, options: Options) -> std::io::Result<()> {
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
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let executor: &'static LocalExecutor<'static> = Box::leak(Box::new(LocalExecutor::new()));
    // As a task of its own: `run` polls the future that it is given whenever any task was woken, and each such poll would
    // ask the listener.
    smol::block_on(executor.run(executor.spawn(accept(executor, options))))
}
