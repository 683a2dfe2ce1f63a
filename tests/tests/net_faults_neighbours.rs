//! Several users of one socket that know nothing of each other.

use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures::executor::block_on;
use futures::{AsyncWrite, AsyncWriteExt, FutureExt, poll};
use pollywog_net::{AsyncFd, Interest, Runtime, TcpListener, TcpStream, UnixStream};
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::net::{
    Arrival, Watchdog, alone, arrived, arrived_bytes, fill, finish, pair, read, rest_of, run, turns, with_peer,
};
use socket2::SockRef;

/// An urgent byte is none of the stream's: its reader blocks, and that says nothing to who waits for urgent data.
#[test]
fn who_waits_for_urgent_data_beside_a_reader() {
    run(async {
        let (stream, peer) = with_peer().await;
        let mut buffer = [0; 16];
        let mut reading = pin!(read(&stream, &mut buffer));
        assert!(poll!(reading.as_mut()).is_pending());
        let mut urgent = pin!(stream.ready(Interest::PRIORITY));
        assert!(poll!(urgent.as_mut()).is_pending());
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        arrived(&stream, Arrival::PRI);
        turns(2).await;
        assert!(poll!(reading.as_mut()).is_pending());
        assert!(urgent.await.unwrap().is_priority());
    });
}

#[test]
fn a_stream_does_not_silence_who_has_borrowed_its_descriptor() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let borrowed = AsyncFd::new(stream.as_fd()).unwrap();
        let mut readable = Box::pin(borrowed.readable());
        assert!(poll!(readable.as_mut()).is_pending());
        let error = read(&stream, &mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            error.to_string(),
            "this descriptor is waited for already, through another owner: let each have a duplicate (`try_clone`)"
        );
        peer.write_all(b"here").unwrap();
        assert!(readable.await.is_ok());
        drop(borrowed);
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 4, "the stream has it to itself again");
        let mut buffer = [0; 16];
        let mut reading = pin!(read(&stream, &mut buffer));
        assert!(poll!(reading.as_mut()).is_pending());
        peer.write_all(b"more").unwrap();
        assert_eq!(reading.await.unwrap(), 4);
    });
}

/// Polls a socket from the waker of an outer loop, as a loop does that runs its tasks where it is woken.
struct WritesWhenWoken(Arc<TcpStream>, Sender<()>);

impl Wake for WritesWhenWoken {
    fn wake(self: Arc<Self>) {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut &*self.0).poll_write(&mut cx, &[0; 16]).is_pending(), "there is no room");
        let _ = self.1.send(());
    }
}

#[test]
fn an_outer_loop_that_polls_in_its_waker_while_a_direction_is_taken_over() {
    let _watchdog = Watchdog::start();
    let runtime = Runtime::new().unwrap();
    let (stream, _peer) = runtime.block_on(with_peer());
    let stream = Arc::new(stream);
    runtime.block_on(async { fill(&stream) });
    let reader = stream.clone();
    let task = runtime.spawn(async move { read(&reader, &mut [0; 16]).await });
    while runtime.tick() {}
    let (told, tells) = mpsc::channel();
    runtime.on_wake(Waker::from(Arc::new(WritesWhenWoken(stream.clone(), told))));
    while runtime.tick() {}
    thread::spawn(move || run(async { assert!(poll!(pin!(read(&stream, &mut [0; 16]))).is_pending()) }))
        .join()
        .unwrap();
    assert!(tells.try_iter().count() > 0, "the outer loop was woken, and nothing stood in its way");
    drop(task);
}

#[test]
fn bytes_that_are_left_over_are_not_in_the_descriptor() {
    run(async {
        let (stream, mut peer) = pair().await;
        peer.write_all(b"ab").await.unwrap();
        stream.read_with(|_| (1, ())).await.unwrap();
        stream.readable().await.unwrap();
        let text = "`read_with` left bytes over, which come first: take them with `try_read`";
        let error = stream.try_io(Interest::READABLE, || Ok(())).unwrap_err();
        assert_eq!(error.to_string(), text, "and not 'would block', which is asked again for ever");
        let error = stream.async_io(Interest::READABLE, || Ok(())).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        let mut buffer = [0; 16];
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 1);
        assert_eq!(stream.try_io(Interest::READABLE, || Ok(7)).unwrap(), 7);
    });
}

/// What was lent stands before what came meanwhile.
#[test]
fn who_reads_while_bytes_are_lent_leaves_them_in_order() {
    run(async {
        let (stream, peer) = UnixStream::pair().unwrap();
        assert_eq!(peer.try_write(b"ab").unwrap(), 2);
        let lent = stream.read_with(|bytes| {
            assert_eq!(bytes, b"ab");
            assert_eq!(peer.try_write(b"cd").unwrap(), 2);
            let inner = stream.read_with(|bytes| (1, bytes.to_vec())).now_or_never();
            (1, inner.expect("it is there").unwrap().unwrap())
        });
        assert_eq!(lent.await.unwrap().unwrap(), b"cd");
        let mut buffer = [0; 16];
        assert_eq!(stream.try_read(&mut buffer).unwrap(), 2);
        assert_eq!(&buffer[..2], b"bd");
    });
}

#[test]
fn left_over_bytes_go_into_spare_capacity_and_no_further() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(&[7; 100]).unwrap();
        arrived_bytes(&stream, 100);
        stream.read_with(|bytes| (1, assert_eq!(bytes.len(), 100))).await.unwrap();
        let mut buffer = Vec::with_capacity(16);
        assert_eq!(stream.read_buf(&mut buffer).await.unwrap(), buffer.capacity());
        let before = buffer.len();
        let count = stream.try_read_buf(&mut buffer).unwrap();
        assert!(count > 0 && before + count == buffer.len(), "a full one grows");
        finish(&peer);
        assert_eq!(rest_of(&stream).await.len(), 99 - buffer.len());
    });
}

/// A pause that began in a runtime is none where nothing can wait.
#[test]
fn a_listener_in_a_pause_is_polled_where_no_runtime_runs() {
    alone("a_listener_in_a_pause_is_polled_where_no_runtime_runs", || {
        limit_descriptors(64);
        let (listener, client, full) = run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let full: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            assert!(poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await.is_pending());
            (listener, client, full)
        });
        drop(full);
        let (_, peer) = block_on(poll_fn(|cx| listener.poll_accept(cx))).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// Nothing is buffered, so there is nothing to wait for.
#[test]
fn a_full_pipe_is_flushed_and_closed_at_once() {
    run(async {
        let (_reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut writer = AsyncFd::new(writer).unwrap();
        while writer.write(&[0; 4096]).now_or_never().is_some() {}
        turns(2).await;
        assert!(writer.flush().now_or_never().unwrap().is_ok());
        assert!(writer.close().now_or_never().unwrap().is_ok());
    });
}

/// A wrong number where a listener was to be inherited, say.
#[test]
fn what_cannot_accept_says_so() {
    run(async {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::from_std(OwnedFd::from(socket).into()).unwrap();
        let error = listener.accept().await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    });
}
