//! Operations of Unix sockets, dropped at every poll: no connection, datagram or descriptor is lost, and none is sent
//! that nobody was told of.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram as PeerDatagram, UnixListener as PeerListener, UnixStream as PeerStream};
use std::path::PathBuf;
use std::rc::Rc;

use futures::FutureExt;
use pollywog_net::budget::unconstrained;
use pollywog_net::{UnixDatagram, UnixListener, UnixStream, spawn, time};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{run, turns};
use socket2::{Domain, SockAddr, Socket, Type};

#[test]
fn accept() {
    run(at_every_poll(async |cut| {
        let folder = Folder::new();
        let path = folder.file("socket");
        let listener = Rc::new(UnixListener::bind(&path).unwrap());
        let neighbour = spawn({
            let listener = listener.clone();
            async move { listener.accept().await.unwrap().0 }
        });
        turns(1).await;
        let mut clients = Vec::new();
        let come = || clients.extend([(); 2].map(|()| PeerStream::connect(&path).unwrap()));
        let accepted = cut.apply(listener.accept(), come).await;
        let other = match accepted {
            Some(accepted) => accepted.unwrap().0,
            None => listener.accept().await.unwrap().0,
        };
        for (stream, text) in [(neighbour.await.unwrap(), b"a"), (other, b"b")] {
            assert_eq!(stream.try_write(text).unwrap(), 1);
        }
        let mut texts = clients.into_iter().map(|client| io::read_to_string(client).unwrap()).collect::<Vec<_>>();
        texts.sort();
        assert_eq!(texts, ["a", "b"]);
    }));
}

/// A listener whose queue, of one, is full.
fn full(path: &PathBuf) -> (PeerListener, PeerStream) {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    socket.set_nonblocking(true).unwrap();
    (OwnedFd::from(socket).into(), PeerStream::connect(path).unwrap())
}

#[test]
fn connect() {
    run(async {
        time::pause();
        at_every_poll(async |cut| {
            for by_addr in [false, true] {
                let folder = Folder::new();
                let path = folder.file("socket");
                let (listener, _first) = full(&path);
                let addr = listener.local_addr().unwrap();
                let come = || drop(listener.accept().unwrap());
                let stream = match by_addr {
                    false => cut.apply(UnixStream::connect(&path), come).await,
                    true => cut.apply(UnixStream::connect_addr(&addr), come).await,
                };
                let stream = stream.map(Result::unwrap);
                match listener.accept() {
                    Ok(_) => assert!(stream.is_some(), "connected, and nobody has it"),
                    Err(error) => assert_eq!((error.kind(), stream.is_none()), (ErrorKind::WouldBlock, true)),
                }
            }
        })
        .await;
    });
}

/// What stands in the queue of `socket`, less what was put there to fill it.
fn drain(socket: &PeerDatagram) -> Vec<String> {
    let mut buffer = [0; 16];
    let all = std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
    all.map(|bytes| String::from_utf8(bytes).unwrap()).filter(|text| text != "filler").collect()
}

/// Sends a datagram in each way, where the queue of the receiver is full or not.
#[test]
fn send() {
    run(async {
        time::pause();
        at_every_poll(async |cut| {
            for (way, is_full) in (0..4).flat_map(|way| [(way, true), (way, false)]) {
                let folder = Folder::new();
                let path = folder.file("socket");
                let server = PeerDatagram::bind(&path).unwrap();
                server.set_nonblocking(true).unwrap();
                let stranger = PeerDatagram::unbound().unwrap();
                stranger.set_nonblocking(true).unwrap();
                while is_full && stranger.send_to(b"filler", &path).is_ok() {}
                let client = UnixDatagram::unbound().unwrap();
                let addr = server.local_addr().unwrap();
                if way < 2 {
                    client.connect(&path).unwrap();
                }
                let mut early = Vec::new();
                let come = || early = drain(&server);
                let sent = match way {
                    0 => cut.apply(client.send(b"sent"), come).await,
                    1 => cut.apply(client.send_with_fds(b"sent", &[]), come).await,
                    2 => cut.apply(client.send_to(b"sent", &path), come).await,
                    _ => cut.apply(client.send_to_addr(b"sent", &addr), come).await,
                };
                early.extend(drain(&server));
                assert_eq!(early, vec!["sent"; sent.iter().count()]);
                assert!(sent.is_none_or(|sent| sent.unwrap() == 4));
            }
        })
        .await;
    });
}

#[test]
fn recv() {
    run(at_every_poll(async |cut| {
        for way in 0..3 {
            let (socket, peer) = PeerDatagram::pair().unwrap();
            let socket = Rc::new(UnixDatagram::from_std(socket).unwrap());
            let neighbour = spawn({
                let socket = socket.clone();
                async move { socket.recv(&mut [0; 16]).await.unwrap() }
            });
            turns(1).await;
            let come = || assert!([b"a", b"b", b"c"].iter().all(|text| peer.send(*text).is_ok()));
            let mut buffer = [0; 16];
            let received = match way {
                0 => cut.apply(socket.recv(&mut buffer), come).await,
                1 => cut.apply(socket.recv_from(&mut buffer).map(|result| result.map(|(count, _)| count)), come).await,
                _ => cut.apply(socket.recv_with_fds(&mut buffer, &mut Vec::new()), come).await,
            };
            assert_eq!(neighbour.await.unwrap(), 1);
            assert_eq!(received.as_ref().map(|count| *count.as_ref().unwrap()), received.as_ref().map(|_| 1));
            let left = std::iter::from_fn(|| socket.try_recv(&mut buffer).ok()).count();
            assert_eq!(left, if received.is_some() { 1 } else { 2 }, "three came");
        }
    }));
}

/// A pipe whose writing end is passed, and whose reading end tells how often it arrived.
struct Passed {
    reader: io::PipeReader,
    writer: OwnedFd,
}

impl Passed {
    fn new() -> Self {
        let (reader, writer) = io::pipe().unwrap();
        Self { reader, writer: writer.into() }
    }

    /// Says something into each of `received`: all of that comes through, and nobody else has the end.
    fn are(mut self, received: Vec<OwnedFd>) {
        drop(self.writer);
        let count = received.len();
        received.into_iter().for_each(|fd| File::from(fd).write_all(b"x").unwrap());
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x".repeat(count));
    }
}

/// Descriptors over one type of sockets.
macro_rules! descriptors {
    ($receive:ident, $send:ident, $socket:ident) => {
        #[test]
        fn $receive() {
            run(at_every_poll(async |cut| {
                let (one, other) = $socket::pair().unwrap();
                let passed = Passed::new();
                let (mut buffer, mut fds) = ([0; 16], Vec::new());
                let come = || {
                    let fds = [passed.writer.as_fd()];
                    let sent = unconstrained(one.send_with_fds(b"with one", &fds)).now_or_never();
                    assert_eq!(sent.unwrap().unwrap(), 8);
                };
                let received = cut.apply(other.recv_with_fds(&mut buffer, &mut fds), come).await;
                let received = match received {
                    Some(received) => received,
                    None => {
                        assert!(fds.is_empty());
                        other.recv_with_fds(&mut buffer, &mut fds).await
                    }
                };
                assert_eq!((received.unwrap(), fds.len()), (8, 1));
                passed.are(fds);
            }));
        }

        #[test]
        fn $send() {
            run(at_every_poll(async |cut| {
                let (one, other) = $socket::pair().unwrap();
                let passed = Passed::new();
                while rustix::io::write(&one, b"filler").is_ok() {}
                let come = || while rustix::io::read(&other, &mut [0; 1 << 16]).is_ok() {};
                let sent = cut.apply(one.send_with_fds(b"x", &[passed.writer.as_fd()]), come).await;
                one.send_with_fds(b"last", &[]).await.unwrap();
                let (mut bytes, mut fds) = (Vec::new(), Vec::new());
                while !bytes.ends_with(b"last") {
                    let mut buffer = [0; 16];
                    let count = other.recv_with_fds(&mut buffer, &mut fds).await.unwrap();
                    bytes.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(bytes, if sent.is_some() { &b"xlast"[..] } else { b"last" });
                assert_eq!(fds.len(), sent.iter().count());
                passed.are(fds);
            }));
        }
    };
}

descriptors!(descriptors_of_a_stream, descriptors_to_a_stream, UnixStream);
descriptors!(descriptors_of_datagrams, descriptors_to_datagrams, UnixDatagram);
