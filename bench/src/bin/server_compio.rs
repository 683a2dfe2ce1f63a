//! compio, on epoll (its `polling` driver) or on io_uring. Its buffers go to the kernel and come back.

use std::io;

use compio::buf::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{RuntimeBuilder, spawn};
use pollywog_bench::options::{Driver, Mode, Options};
use pollywog_bench::requests::answer;
use pollywog_bench::{BUFFER, listening_on};

async fn echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let BufResult(result, filled) = stream.read(buffer).await;
        if !matches!(result, Ok(1..)) {
            break;
        }
        let BufResult(result, emptied) = stream.write_all(filled).await;
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
        let BufResult(result, filled) = stream.append(buffer).await;
        if !matches!(result, Ok(1..)) {
            break;
        }
        buffer = filled;
        let used = answer(&buffer, &mut answers);
        buffer.drain(..used);
        if !answers.is_empty() {
            let BufResult(result, emptied) = stream.write_all(answers).await;
            if result.is_err() {
                break;
            }
            answers = emptied;
            answers.clear();
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(options.listen()?)?;
    listening_on(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match options.mode {
            Mode::Echo => spawn(echo(stream)),
            Mode::Http => spawn(http(stream)),
        }
        .detach();
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse_with_driver();
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(match options.driver {
        Driver::Epoll => DriverType::Poll,
        Driver::IoUring => DriverType::IoUring,
    });
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    // As a task of its own: `block_on` polls the future that it is given at each turn.
    let serving = runtime.spawn(serve(options));
    runtime.block_on(serving).expect("the listener's task does not panic")
}
