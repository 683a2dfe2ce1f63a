//! Descriptors that are passed over Unix sockets: each arrives once, none is left open, wanted or not; and what they and
//! credentials do to reads.

use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, poll};
use pollywog_net::time::sleep;
use pollywog_net::{UnixDatagram, UnixListener, UnixStream};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{Arrival, alone, anew, arrived, arrived_bytes, child, descriptors, inside, run, turns};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

/// A pipe whose writing end is to be passed. The reading end comes to its end when nobody has the other any more.
struct Passed {
    reader: PipeReader,
    writer: Option<PipeWriter>,
}

impl Passed {
    fn new() -> Self {
        let (reader, writer) = io::pipe().unwrap();
        Self { reader, writer: Some(writer) }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.writer.as_ref().unwrap().as_fd()
    }

    /// Fails where it hangs, since somebody still has the other end.
    fn ends(mut self) {
        self.writer = None;
        arrived(&self.reader, Arrival::HUP);
        assert_eq!(self.reader.read(&mut [0; 16]).unwrap(), 0);
    }

    /// Writes to what was received, and hears it here.
    fn is(&self, received: &OwnedFd) {
        let mut there = File::from(received.try_clone().unwrap());
        there.write_all(b"through").unwrap();
        let mut bytes = [0; 7];
        (&self.reader).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"through");
    }
}

async fn read(mut stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.read(buffer).await
}

#[test]
fn descriptors_arrive_in_order_and_once() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let passed = [Passed::new(), Passed::new(), Passed::new()];
        one.send_with_fds(b"two", &[passed[0].fd(), passed[1].fd()]).await.unwrap();
        one.send_with_fds(b"one", &[passed[2].fd()]).await.unwrap();
        (&one).write_all(b"none").await.unwrap();
        let mut buffer = [0; 64];
        let mut fds = vec![File::open("/dev/null").unwrap().into()];
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 3, "it ends behind them");
        assert_eq!((&buffer[..3], fds.len()), (&b"two"[..], 3), "behind what was there");
        passed[0].is(&fds[1]);
        passed[1].is(&fds[2]);
        fds.clear();
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 3);
        assert_eq!((&buffer[..3], fds.len()), (&b"one"[..], 1));
        passed[2].is(&fds[0]);
        fds.clear();
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 4);
        assert_eq!((&buffer[..4], fds.len()), (&b"none"[..], 0));
        passed.into_iter().for_each(Passed::ends);
        drop(one);
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 0, "the end");
    });
}

/// Bytes without descriptors that stand before are in the same read, and nothing is held back for them.
#[test]
fn a_read_can_begin_before_the_bytes_with_descriptors() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let passed = Passed::new();
        (&one).write_all(b"plain").await.unwrap();
        one.send_with_fds(b"passed", &[passed.fd()]).await.unwrap();
        let (mut buffer, mut fds) = ([0; 3], Vec::new());
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 3);
        assert_eq!((&buffer[..], fds.len()), (&b"pla"[..], 0));
        let mut buffer = [0; 64];
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 8);
        assert_eq!((&buffer[..8], fds.len()), (&b"inpassed"[..], 1));
        passed.is(&fds[0]);
    });
}

#[test]
fn received_descriptors_are_closed_in_programs_that_are_started() {
    run(async {
        let file = File::open("/dev/null").unwrap();
        fn is_set(fds: &[OwnedFd]) {
            assert!(!fds.is_empty() && fds.iter().all(|fd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
        }
        let (one, other) = UnixStream::pair().unwrap();
        let mut fds = Vec::new();
        one.send_with_fds(b"x", &[file.as_fd(); 3]).await.unwrap();
        other.recv_with_fds(&mut [0; 16], &mut fds).await.unwrap();
        is_set(&fds);
        let (one, other) = UnixDatagram::pair().unwrap();
        let mut fds = Vec::new();
        one.send_with_fds(b"x", &[file.as_fd(); 3]).await.unwrap();
        other.recv_with_fds(&mut [0; 16], &mut fds).await.unwrap();
        is_set(&fds);
    });
}

#[test]
fn who_receives_waits_and_who_sends_waits() {
    run(async {
        let passed = Passed::new();
        let (one, other) = UnixStream::pair().unwrap();
        let (mut buffer, mut fds) = (vec![0; 1 << 20], Vec::new());
        {
            let mut receiving = pin!(other.recv_with_fds(&mut buffer, &mut fds));
            assert!(poll!(receiving.as_mut()).is_pending());
            one.send_with_fds(b"x", &[passed.fd()]).await.unwrap();
            assert_eq!(receiving.await.unwrap(), 1);
        }
        passed.is(&fds.pop().unwrap());

        let mut room = 0;
        while let Some(count) = (&one).write(&buffer).now_or_never() {
            room += count.unwrap();
        }
        let later = [passed.fd()];
        let mut sending = pin!(one.send_with_fds(b"later", &later));
        assert!(poll!(sending.as_mut()).is_pending());
        while room > 0 {
            room -= other.recv_with_fds(&mut buffer, &mut fds).await.unwrap();
            assert!(fds.is_empty());
        }
        assert_eq!(sending.await.unwrap(), 5);
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 5);
        passed.is(&fds[0]);
    });
}

/// A write can be a part. The descriptors went with its first byte, and what follows has none.
#[test]
fn a_partial_send_passes_descriptors_once() {
    run(async {
        let passed = Passed::new();
        let (one, other) = UnixStream::pair().unwrap();
        let bytes = vec![7; 1 << 22];
        let count = one.send_with_fds(&bytes, &[passed.fd()]).await.unwrap();
        assert!(0 < count && count < bytes.len(), "{count}");
        let (mut got, mut fds, mut buffer) = (0, Vec::new(), vec![0; 1 << 16]);
        while got < count {
            got += other.recv_with_fds(&mut buffer, &mut fds).await.unwrap();
            assert_eq!(fds.len(), 1);
        }
        assert_eq!(got, count);
        passed.is(&fds[0]);
    });
}

#[test]
fn as_many_as_the_system_takes_and_no_more() {
    alone("as_many_as_the_system_takes_and_no_more", || {
        run(async {
            let file = File::open("/dev/null").unwrap();
            let (stream, peer) = UnixStream::pair().unwrap();
            let (socket, other) = UnixDatagram::pair().unwrap();
            // With credentials beside them.
            SockRef::from(&peer).set_passcred(true).unwrap();
            SockRef::from(&other).set_passcred(true).unwrap();
            let before = descriptors();
            let (mut buffer, mut fds) = ([0; 16], Vec::new());
            let most = vec![file.as_fd(); 253];
            stream.send_with_fds(b"x", &most).await.unwrap();
            peer.recv_with_fds(&mut buffer, &mut fds).await.unwrap();
            socket.send_with_fds(b"x", &most).await.unwrap();
            other.recv_with_fds(&mut buffer, &mut fds).await.unwrap();
            assert_eq!((fds.len(), descriptors()), (506, before + 506));
            drop(fds);
            let says = |result: io::Result<usize>, text: &str| {
                let error = result.unwrap_err();
                assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, text));
            };
            let many = vec![file.as_fd(); 254];
            for result in [stream.send_with_fds(b"x", &many).await, socket.send_with_fds(b"x", &many).await] {
                says(result, "254 descriptors: at most 253 go with one message");
            }
            for result in [stream.send_with_fds(b"", &most).await, socket.send_with_fds(b"", &most).await] {
                says(result, "descriptors are passed along with bytes: send at least one");
            }
            assert_eq!(stream.send_with_fds(b"", &[]).await.unwrap(), 0);
            assert_eq!(descriptors(), before);
        });
    });
}

/// The kernel cuts off what the process may not have. What came is closed, and the socket goes on.
#[test]
fn descriptors_beyond_the_limit_are_an_error_and_none_is_left() {
    const TEXT: &str =
        "the peer passed descriptors that cannot be received: this process may have no more (`ulimit -n`)";
    alone("descriptors_beyond_the_limit_are_an_error_and_none_is_left", || {
        run(async {
            let (stream, peer) = UnixStream::pair().unwrap();
            let (socket, other) = UnixDatagram::pair().unwrap();
            let passed = [Passed::new(), Passed::new(), Passed::new()];
            let mut buffer = [0; 16];
            let mut fds = vec![File::open("/dev/null").unwrap().into()];
            // Numbers are given from the lowest, and the limit is on numbers: no gap is left.
            let mut files = Vec::new();
            while files.last().is_none_or(|file: &File| file.as_raw_fd() as usize + 1 < descriptors()) {
                files.push(File::open("/dev/null").unwrap());
            }
            let before = descriptors();
            let limits = getrlimit(Resource::Nofile);
            for room in 0..3 {
                let current = Some(before as u64 + room);
                setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
                let all = passed.each_ref().map(Passed::fd);
                stream.send_with_fds(b"lost", &all).await.unwrap();
                let error = peer.recv_with_fds(&mut buffer, &mut fds).await.unwrap_err();
                assert_eq!(error.to_string(), TEXT, "room for {room}");
                socket.send_with_fds(b"lost", &all).await.unwrap();
                let error = other.recv_with_fds(&mut buffer, &mut fds).await.unwrap_err();
                assert_eq!(error.to_string(), TEXT, "room for {room}");
                assert_eq!(fds.len(), 1, "what was there before");
                setrlimit(Resource::Nofile, limits).unwrap();
                assert_eq!(descriptors(), before);
            }
            stream.send_with_fds(b"found", &[passed[0].fd()]).await.unwrap();
            assert_eq!(peer.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 5);
            passed[0].is(&fds.pop().unwrap());
            passed.into_iter().for_each(Passed::ends);
        });
    });
}

/// Every kind of read but one takes the bytes alone. A message with descriptors ends a read early: it is a short one, and
/// there is more, which no further event announces.
#[test]
fn a_plain_read_gets_all_bytes_and_leaves_no_descriptor() {
    alone("a_plain_read_gets_all_bytes_and_leaves_no_descriptor", || {
        run(async {
            let (one, other) = UnixStream::pair().unwrap();
            assert!(poll!(pin!(other.readable())).is_pending(), "it is registered");
            let passed: Vec<_> = (0..6).map(|_| Passed::new()).collect();
            let before = descriptors();
            for passed in &passed {
                one.send_with_fds(b"abcd", &[passed.fd(), passed.fd()]).await.unwrap();
            }
            arrived_bytes(&other, 24);
            turns(2).await;
            let mut buffer = [0; 64];
            let mut two = [0; 64];
            let mut bytes = Vec::with_capacity(64);
            assert_eq!(read(&other, &mut buffer).await.unwrap(), 4);
            assert_eq!(other.read_with(|bytes| (2, bytes.len())).await.unwrap(), Some(4));
            assert_eq!(other.recv_with_fds(&mut buffer, &mut Vec::new()).await.unwrap(), 2, "what was left over");
            assert_eq!(other.read_buf(&mut bytes).await.unwrap(), 4);
            let buffers = &mut [IoSliceMut::new(&mut buffer), IoSliceMut::new(&mut two)];
            assert_eq!((&other).read_vectored(buffers).await.unwrap(), 4);
            other.readable().await.unwrap();
            assert_eq!(other.try_read(&mut buffer).unwrap(), 4);
            other.readable().await.unwrap();
            assert_eq!(other.read_with(|bytes| (bytes.len(), bytes.len())).await.unwrap(), Some(4));
            assert!(poll!(pin!(async { read(&other, &mut buffer).await })).is_pending(), "that was all");
            assert_eq!(descriptors(), before);
            passed.into_iter().for_each(Passed::ends);
        });
    });
}

#[test]
fn a_plain_receive_leaves_no_descriptor() {
    alone("a_plain_receive_leaves_no_descriptor", || {
        run(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let passed: Vec<_> = (0..3).map(|_| Passed::new()).collect();
            let before = descriptors();
            for passed in &passed {
                one.send_with_fds(b"abcd", &[passed.fd()]).await.unwrap();
            }
            let mut buffer = [0; 64];
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 4);
            assert_eq!(other.recv_from(&mut buffer).await.unwrap().0, 4);
            assert_eq!(other.try_recv(&mut buffer).unwrap(), 4);
            assert_eq!(descriptors(), before);
            passed.into_iter().for_each(Passed::ends);
        });
    });
}

#[test]
fn descriptors_under_way_end_with_the_socket() {
    run(async {
        let passed = [Passed::new(), Passed::new()];
        let (one, other) = UnixStream::pair().unwrap();
        one.send_with_fds(b"x", &[passed[0].fd()]).await.unwrap();
        drop((one, other));
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send_with_fds(b"x", &[passed[1].fd()]).await.unwrap();
        drop((one, other));
        passed.into_iter().for_each(Passed::ends);
    });
}

/// Dropped before its first poll, while it waits, and when it is woken.
#[test]
fn a_dropped_receive_loses_no_descriptor() {
    alone("a_dropped_receive_loses_no_descriptor", || {
        run(async {
            let (one, other) = UnixStream::pair().unwrap();
            let before = descriptors();
            for number in 0..30 {
                let passed = Passed::new();
                let (mut buffer, mut fds) = ([0; 16], Vec::new());
                drop(other.recv_with_fds(&mut buffer, &mut fds));
                {
                    let mut receiving = pin!(other.recv_with_fds(&mut buffer, &mut fds));
                    assert!(poll!(receiving.as_mut()).is_pending());
                    if number % 2 == 0 {
                        assert_eq!(one.send_with_fds(b"x", &[passed.fd()]).await.unwrap(), 1);
                        turns(2).await;
                    }
                }
                if number % 2 == 1 {
                    one.send_with_fds(b"x", &[passed.fd()]).await.unwrap();
                }
                let count = anew(async || other.recv_with_fds(&mut buffer, &mut fds).await).await;
                assert_eq!(count.unwrap(), 1);
                passed.is(&fds.pop().unwrap());
                assert!(fds.is_empty());
                passed.ends();
            }
            assert_eq!(descriptors(), before);
        });
    });
}

/// With credentials, a read ends where another process has written: a short one, and no further event announces the rest.
#[test]
fn two_writers_to_a_reader_of_credentials() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        SockRef::from(&other).set_passcred(true).unwrap();
        assert!(poll!(pin!(other.readable())).is_pending(), "it is registered");
        for text in ["first", "second"] {
            let end: OwnedFd = one.as_fd().try_clone_to_owned().unwrap();
            assert!(Command::new("printf").arg(text).stdout(end).status().unwrap().success());
        }
        (&one).write_all(b"third").await.unwrap();
        arrived_bytes(&other, 16);
        turns(2).await;
        let (mut buffer, mut fds) = ([0; 64], Vec::new());
        assert_eq!(read(&other, &mut buffer).await.unwrap(), 5, "they are not glued together");
        assert_eq!(&buffer[..5], b"first");
        assert_eq!(other.read_with(|bytes| (bytes.len(), bytes.to_vec())).await.unwrap().unwrap(), b"second");
        assert_eq!(other.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 5);
        assert_eq!((&buffer[..5], fds.len()), (&b"third"[..], 0));
    });
}

/// As a server in a container whose client is not.
#[test]
fn a_peer_that_the_pid_namespace_does_not_show() {
    const NAME: &str = "a_peer_that_the_pid_namespace_does_not_show";
    if let Some(path) = inside(NAME) {
        return run(async {
            let listener = UnixListener::bind(&path).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let error = stream.peer_cred().unwrap_err();
            let expected = "who the peer is cannot be told: its process is not seen from this one's pid namespace";
            assert_eq!(error.to_string(), expected);
            SockRef::from(&stream).set_passcred(true).unwrap();
            (&stream).write_all(b"go").await.unwrap();
            let (mut buffer, mut fds) = ([0; 16], Vec::new());
            assert_eq!(stream.recv_with_fds(&mut buffer, &mut fds).await.unwrap(), 5);
            assert_eq!((&buffer[..5], fds.len()), (&b"still"[..], 1));
        });
    }
    let unshare = ["unshare", "--pid", "--fork"];
    let works = Command::new(unshare[0]).args(&unshare[1..]).arg("true").stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{NAME} needs unshare, and to be root");
        return eprintln!("{NAME} is skipped: it needs unshare, and to be root");
    }
    let folder = Folder::new();
    let path = folder.file("socket");
    let mut server = child(&unshare, NAME, path.to_str().unwrap());
    let server = server.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    run(async {
        let stream = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(1)).await, // it has just been started
            }
        };
        read(&stream, &mut [0; 16]).await.unwrap();
        let file = File::open("/dev/null").unwrap();
        stream.send_with_fds(b"still", &[file.as_fd()]).await.unwrap();
        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 0);
    });
    let output = server.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What was passed is the socket itself, and works with this runtime.
#[test]
fn a_passed_connection_is_served_by_who_received_it() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut client, server) = UnixStream::pair().unwrap();
        one.send_with_fds(b"a connection", &[server.as_fd()]).await.unwrap();
        drop(server);
        let mut fds = Vec::new();
        other.recv_with_fds(&mut [0; 64], &mut fds).await.unwrap();
        let received = fds.pop().unwrap();
        assert_ne!(received.as_raw_fd(), client.as_raw_fd());
        let mut server = UnixStream::from_std(received.into()).unwrap();
        client.write_all(b"hello").await.unwrap();
        client.close().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    });
}
