//! monoio, on epoll or on io_uring. Its buffers go to the kernel and come back.

use std::io;

use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use pollywog_bench::options::{Driver, Mode, Options};
use pollywog_bench::requests::answer;
use pollywog_bench::{BUFFER, listening_on};

async fn echo(mut stream: TcpStream) {
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
}

async fn http(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut answers = Vec::new();
    // A head as long as the buffer leaves no room to read into.
    while buffer.len() < BUFFER {
        let kept = buffer.len();
        let (result, filled) = stream.read(buffer.slice_mut(kept..)).await;
        if !matches!(result, Ok(1..)) {
            break;
        }
        buffer = filled.into_inner();
        let used = answer(&buffer, &mut answers);
        buffer.drain(..used);
        if !answers.is_empty() {
            let (result, emptied) = stream.write_all(answers).await;
            if result.is_err() {
                break;
            }
            answers = emptied;
            answers.clear();
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(options.listen_nonblocking()?)?;
    listening_on(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match options.mode {
            Mode::Echo => monoio::spawn(echo(stream)),
            Mode::Http => monoio::spawn(http(stream)),
        };
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse_with_driver();
    match options.driver {
        Driver::Epoll => RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(serve(options)),
        Driver::IoUring => RuntimeBuilder::<IoUringDriver>::new().build()?.block_on(serve(options)),
    }
}
