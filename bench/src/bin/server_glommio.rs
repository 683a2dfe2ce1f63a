//! glommio: its rings tell that a socket is ready, its calls read and write. One executor, which is not pinned by the
//! program: whoever measures gives the process its processor.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement, spawn_local};
use pollywog_bench::options::{Mode, Options};
use pollywog_bench::requests::Requests;
use pollywog_bench::{BUFFER, listening_on};

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

fn main() -> io::Result<()> {
    let options = Options::parse();
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make()?;
    executor.run(async {
        // Its backlog is that of the others: it has no way to take a listener over but an unsafe one.
        let listener = TcpListener::bind(options.addr())?;
        listening_on(listener.local_addr()?);
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            match options.mode {
                Mode::Echo => spawn_local(echo(stream)),
                Mode::Http => spawn_local(http(stream)),
            }
            .detach();
        }
    })
}
