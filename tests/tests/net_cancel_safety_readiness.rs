//! Waits for readiness, dropped at every poll: it stays until an operation blocks, and the other waiters hear of it.

use std::io;
use std::net::{Ipv4Addr, UdpSocket as StdUdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram as StdUnixDatagram, UnixStream as StdUnixStream};
use std::rc::Rc;

use pollywog_net::{AsyncFd, Interest, Ready, TcpStream, UdpSocket, UnixDatagram, UnixStream, spawn};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::net::{run, turns, with_peer};

/// A socket and its other end, blocking.
type Ends<S> = (Rc<S>, OwnedFd);

async fn tcp() -> Ends<TcpStream> {
    let (stream, peer) = with_peer().await;
    (Rc::new(stream), peer.into())
}

async fn unix_stream() -> Ends<UnixStream> {
    let (stream, peer) = StdUnixStream::pair().unwrap();
    (Rc::new(UnixStream::from_std(stream).unwrap()), peer.into())
}

async fn unix_datagram() -> Ends<UnixDatagram> {
    let (socket, peer) = StdUnixDatagram::pair().unwrap();
    (Rc::new(UnixDatagram::from_std(socket).unwrap()), peer.into())
}

async fn udp() -> Ends<UdpSocket> {
    let [socket, peer] = [(); 2].map(|()| StdUdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    socket.connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    (Rc::new(UdpSocket::from_std(socket).unwrap()), peer.into())
}

async fn descriptor() -> Ends<Descriptor> {
    let (socket, peer) = StdUnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    (Rc::new(Descriptor(AsyncFd::new(socket.into()).unwrap())), peer.into())
}

/// An [`AsyncFd`], with guards that change nothing.
struct Descriptor(AsyncFd<OwnedFd>);

impl Descriptor {
    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await.map(drop)
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.0.ready(interest).await.map(|guard| guard.ready())
    }

    fn try_io<R>(&self, interest: Interest, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(interest, |_| operation())
    }

    async fn async_io<R>(&self, interest: Interest, mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.0.async_io(interest, |_| operation()).await
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn read(fd: &impl AsFd) -> io::Result<usize> {
    Ok(rustix::io::read(fd, &mut [0; 1 << 16])?)
}

fn write(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

/// The tests of one type, made by `$ends`. Where nothing `$blocks` who writes, there is always room.
macro_rules! tests {
    ($ends:ident, $socket:ident, $blocks:literal) => {
        mod $ends {
            use super::*;

            /// Leaves no room, and gives the number of bytes that this took.
            async fn fill(socket: &$socket) -> usize {
                let mut total = 0;
                loop {
                    socket.writable().await.unwrap();
                    match socket.try_io(Interest::WRITABLE, || write(socket, &[0; 1000])) {
                        Ok(count) => total += count,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return total,
                        Err(error) => panic!("{error}"),
                    }
                }
            }

            fn drain(peer: &OwnedFd, mut total: usize) {
                while total > 0 {
                    total -= read(peer).unwrap();
                }
            }

            /// Somebody else who waits.
            async fn neighbour(socket: &Rc<$socket>, interest: Interest) -> pollywog_net::JoinHandle<Ready> {
                let socket = socket.clone();
                let neighbour = spawn(async move { socket.ready(interest).await.unwrap() });
                turns(1).await;
                neighbour
            }

            #[test]
            fn readable() {
                run(at_every_poll(async |cut| {
                    let (socket, peer) = super::$ends().await;
                    let neighbour = neighbour(&socket, Interest::READABLE).await;
                    let waited = cut.apply(socket.readable(), || assert_eq!(write(&peer, b"bytes").unwrap(), 5)).await;
                    waited.into_iter().for_each(Result::unwrap);
                    assert!(neighbour.await.unwrap().is_readable());
                    socket.readable().await.unwrap();
                    assert_eq!(socket.try_io(Interest::READABLE, || read(&socket)).unwrap(), 5);
                }));
            }

            #[test]
            fn writable() {
                run(at_every_poll(async |cut| {
                    let (socket, peer) = super::$ends().await;
                    let total = if $blocks { fill(&socket).await } else { 0 };
                    let neighbour = neighbour(&socket, Interest::WRITABLE).await;
                    let waited = cut.apply(socket.writable(), || drain(&peer, total)).await;
                    waited.into_iter().for_each(Result::unwrap);
                    assert!(neighbour.await.unwrap().is_writable());
                    socket.writable().await.unwrap();
                    assert_eq!(socket.try_io(Interest::WRITABLE, || write(&socket, b"bytes")).unwrap(), 5);
                    drain(&peer, 5);
                }));
            }

            /// It waits for both directions, and each has a place.
            #[test]
            fn ready() {
                run(at_every_poll(async |cut| {
                    let (socket, peer) = super::$ends().await;
                    let total = if $blocks { fill(&socket).await } else { 0 };
                    let reader = neighbour(&socket, Interest::READABLE).await;
                    let writer = neighbour(&socket, Interest::WRITABLE).await;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    let waited = cut.apply(socket.ready(both), || assert_eq!(write(&peer, b"bytes").unwrap(), 5)).await;
                    if let Some(ready) = waited {
                        assert!(total == 0 || ready.unwrap().is_readable());
                    }
                    assert!(reader.await.unwrap().is_readable());
                    assert!(total == 0 || !writer.is_finished());
                    drain(&peer, total);
                    assert!(writer.await.unwrap().is_writable());
                    socket.ready(Interest::READABLE).await.unwrap();
                    assert_eq!(socket.try_io(Interest::READABLE, || read(&socket)).unwrap(), 5);
                    socket.ready(Interest::WRITABLE).await.unwrap();
                    assert_eq!(socket.try_io(Interest::WRITABLE, || write(&socket, b"bytes")).unwrap(), 5);
                }));
            }

            /// The operation has run in the poll that is ready, or it blocked each time.
            #[test]
            fn async_io() {
                run(at_every_poll(async |cut| {
                    let (socket, peer) = super::$ends().await;
                    let neighbour = neighbour(&socket, Interest::READABLE).await;
                    let mut took = 0;
                    let reading = socket.async_io(Interest::READABLE, || {
                        took += read(&socket)?;
                        Ok("read")
                    });
                    let done = cut.apply(reading, || assert_eq!(write(&peer, b"bytes").unwrap(), 5)).await;
                    let done = done.map(Result::unwrap);
                    assert_eq!(took, if done.is_some() { 5 } else { 0 });
                    assert!(neighbour.await.unwrap().is_readable());
                    write(&peer, b"after").unwrap();
                    while took < 10 {
                        took += socket.async_io(Interest::READABLE, || read(&socket)).await.unwrap();
                    }
                    assert_eq!(took, 10);
                }));
            }
        }
    };
}

tests!(tcp, TcpStream, true);
tests!(unix_stream, UnixStream, true);
tests!(unix_datagram, UnixDatagram, true);
tests!(udp, UdpSocket, false);
tests!(descriptor, Descriptor, true);
