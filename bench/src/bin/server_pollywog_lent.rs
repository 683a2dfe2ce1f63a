//! Pollywog with the lent buffer: a connection that waits has none of its own.

use std::io;

use futures::AsyncWriteExt;
use pollywog_bench::options::{Mode, Options};
use pollywog_bench::requests::answer;
use pollywog_bench::{BUFFER, listening_on};
use pollywog_net::{TcpListener, TcpStream, spawn};

/// Writes at once, and returns what could not be.
fn write(stream: &TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match stream.try_write(bytes) {
        Ok(count) => Ok(bytes[count..].to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(bytes.to_vec()),
        Err(error) => Err(error),
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    while let Some(rest) = stream.read_with(|bytes| (bytes.len(), write(&stream, bytes))).await? {
        (&stream).write_all(&rest?).await?;
    }
    Ok(())
}

async fn http(stream: TcpStream) -> io::Result<()> {
    let mut answers = Vec::new();
    let mut respond = |bytes: &[u8]| {
        answers.clear();
        match answer(bytes, &mut answers) {
            0 if bytes.len() >= BUFFER => (0, Err(io::ErrorKind::InvalidData.into())),
            0 => (0, Ok(Vec::new())),
            used => (used, write(&stream, &answers)),
        }
    };
    while let Some(rest) = stream.read_with(&mut respond).await? {
        (&stream).write_all(&rest?).await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
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
