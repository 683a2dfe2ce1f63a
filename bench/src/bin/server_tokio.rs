//! tokio's current_thread runtime.

use pollywog_bench::options::{Mode, Options};
use pollywog_bench::requests::Requests;
use pollywog_bench::{BUFFER, listening_on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::from_std(options.listen_nonblocking()?)?;
        listening_on(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match options.mode {
                Mode::Echo => tokio::spawn(echo(stream)),
                Mode::Http => tokio::spawn(http(stream)),
            };
        }
    })
}
