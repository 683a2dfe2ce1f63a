//! tokio's I/O traits on our sockets, driven by what tokio builds on them.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::thread;

use futures::future::join;
use futures::poll;
use pollywog_net::server::{Connection, Server};
use pollywog_net::{TcpStream, spawn};
use pollywog_tests::net::{Arrival, Random, arrived, arrived_bytes, finish, pair, reset, run, with_peer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};

const MEGABYTES: usize = 3 << 20;

fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.below(256) as u8).collect()
}

/// One read into the rest of `buffer`.
async fn fill(stream: &mut TcpStream, buffer: &mut ReadBuf<'_>) -> std::io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer)).await
}

/// Sends it to an echo, and gives what comes back.
async fn echoed(client: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = client.into_split();
    let mut back = Vec::new();
    let writing = async {
        writer.write_all(&bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let ((), count) = join(writing, reader.read_to_end(&mut back)).await;
    assert_eq!(count.unwrap(), back.len());
    back
}

#[test]
fn copy_carries_every_byte_between_the_halves_that_tokio_makes() {
    run(async {
        let (server, client) = pair().await;
        let echo = spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(server);
            let count = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
            count
        });
        let bytes = random_bytes(MEGABYTES, 1);
        assert!(echoed(client, bytes.clone()).await == bytes, "something else came back");
        assert_eq!(echo.await.unwrap(), MEGABYTES as u64);
    });
}

#[test]
fn copy_carries_every_byte_between_our_halves() {
    run(async {
        let (mut server, client) = pair().await;
        let echo = spawn(async move {
            let (mut reader, mut writer) = server.split();
            tokio::io::copy_buf(&mut BufReader::with_capacity(1000, &mut reader), &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let bytes = random_bytes(MEGABYTES, 2);
        assert!(echoed(client, bytes.clone()).await == bytes, "something else came back");
        echo.await.unwrap();
    });
}

#[test]
fn copy_carries_every_byte_over_a_connection_of_a_server() {
    run(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (status, addr) = (server.status(), server.listener().local_addr().unwrap());
        spawn(server.serve(async |mut connection: Connection| {
            let (mut reader, mut writer) = (&connection, &connection);
            tokio::io::copy(&mut reader, &mut writer).await?;
            connection.shutdown().await
        }));
        let bytes = random_bytes(MEGABYTES, 3);
        let client = TcpStream::connect(addr).await.unwrap();
        assert!(echoed(client, bytes.clone()).await == bytes, "something else came back");
        assert_eq!((status.accepted(), status.errors()), (1, vec![]));
    });
}

#[test]
fn a_shared_reference_reads_and_writes() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"a line\nand more").unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).await.unwrap();
        assert_eq!(line, "a line\n");
        (&mut &stream).write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    });
}

/// Both into memory that is initialised and into memory that is not.
#[test]
fn a_read_appends_to_what_is_filled_and_claims_no_more_than_came() {
    async fn into(mut buffer: ReadBuf<'_>) {
        let (mut stream, mut peer) = with_peer().await;
        buffer.put_slice(b"kept ");
        peer.write_all(b"new").unwrap();
        fill(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"kept new");
        assert_eq!(buffer.remaining(), 8);

        peer.write_all(b" and more than fits").unwrap();
        arrived_bytes(&stream, 19);
        fill(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"kept new and mor");
        fill(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"kept new and mor", "a full buffer takes nothing");

        let mut rest = Vec::with_capacity(64);
        AsyncReadExt::read_buf(&mut stream, &mut rest).await.unwrap();
        assert_eq!(rest, b"e than fits");
    }
    run(async {
        into(ReadBuf::new(&mut [b'?'; 16])).await;
        into(ReadBuf::uninit(&mut [MaybeUninit::uninit(); 16])).await;
    });
}

/// The buffer that it comes through is smaller.
#[test]
fn a_large_read_into_spare_capacity() {
    run(async {
        let (mut stream, peer) = with_peer().await;
        let bytes = random_bytes(MEGABYTES, 4);
        let written = bytes.clone();
        let writer = thread::spawn(move || (&peer).write_all(&written).unwrap());
        let mut got = Vec::with_capacity(MEGABYTES);
        while AsyncReadExt::read_buf(&mut stream, &mut got).await.unwrap() > 0 {}
        assert!(got == bytes, "something else came");
        writer.join().unwrap();
    });
}

#[test]
fn the_end_is_a_read_of_nothing() {
    run(async {
        let (mut stream, mut peer) = with_peer().await;
        peer.write_all(b"last words").unwrap();
        finish(&peer);
        arrived(&stream, Arrival::IN | Arrival::RDHUP);
        let mut text = String::new();
        assert_eq!(stream.read_to_string(&mut text).await.unwrap(), 10);
        assert_eq!(text, "last words");
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn shutdown_ends_writing_alone() {
    run(async {
        let (mut stream, mut peer) = with_peer().await;
        stream.write_all(b"question").await.unwrap();
        AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let mut question = String::new();
        peer.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        peer.write_all(b"answer").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_is_an_error_and_not_the_end() {
    async fn into(mut buffer: ReadBuf<'_>) {
        let (mut stream, peer) = with_peer().await;
        buffer.put_slice(b"kept");
        {
            let mut reading = pin!(fill(&mut stream, &mut buffer));
            assert!(poll!(&mut reading).is_pending());
            reset(peer);
            assert_eq!(reading.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        assert_eq!(buffer.filled(), b"kept");
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
    run(async {
        into(ReadBuf::new(&mut [b'?'; 16])).await;
        into(ReadBuf::uninit(&mut [MaybeUninit::uninit(); 16])).await;
    });
}

#[test]
fn several_buffers_are_written_at_once() {
    fn is_vectored(writer: impl AsyncWrite) {
        assert!(writer.is_write_vectored());
    }
    run(async {
        let (mut stream, mut peer) = with_peer().await;
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"call")];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 8);
        let mut text = [0; 8];
        peer.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one call");

        is_vectored(&stream);
        is_vectored(stream.split().1);
        let (reader, mut writer) = stream.into_split();
        assert_eq!(writer.write_vectored(&parts).await.unwrap(), 8);
        is_vectored(&mut writer);
        drop(reader);
        is_vectored(writer);
    });
}

/// Every read is dropped after one poll, before bytes have come and after.
#[test]
fn a_cancelled_read_loses_nothing() {
    run(async {
        let (mut stream, mut peer) = with_peer().await;
        let bytes = random_bytes(500, 3);
        let mut got = Vec::new();
        for byte in &bytes {
            let before = got.len();
            assert!(poll!(pin!(AsyncReadExt::read_buf(&mut stream, &mut got))).is_pending());
            assert_eq!(got.len(), before);
            peer.write_all(&[*byte]).unwrap();
            arrived(&stream, Arrival::IN);
            // The reactor may not have looked yet.
            while poll!(pin!(AsyncReadExt::read_buf(&mut stream, &mut got))).is_pending() {
                assert_eq!(got.len(), before);
                pollywog_net::task::yield_now().await;
            }
        }
        assert!(got == bytes, "something is lost");
    });
}
