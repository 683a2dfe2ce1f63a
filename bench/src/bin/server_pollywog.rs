//! Pollywog, a buffer for each connection.

use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_bench::options::{Mode, Options};
use pollywog_bench::requests::Requests;
use pollywog_bench::{BUFFER, listening_on};
use pollywog_net::{TcpListener, TcpStream, spawn};

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
    pollywog_net::run(async {
        let listener = TcpListener::from_std(options.listen_nonblocking()?)?;
        listening_on(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match options.mode {
                Mode::Echo => spawn(echo(stream)),
                Mode::Http => spawn(http(stream)),
            };
        }
    })?
}
