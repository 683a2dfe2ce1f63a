//! Accepting and connecting, dropped at every poll: no connection is lost, and no descriptor stays open.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;

use futures::poll;
use pollywog_net::{TcpListener, TcpSocket, TcpStream, spawn, time};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::net::{alone, descriptors, refusing, run, turns};
use socket2::{Domain, Socket, Type};

type Client = std::net::TcpStream;

/// Where connecting hangs: a queue of one that is full.
fn hanging() -> (Socket, SocketAddr, Client) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, addr, Client::connect(addr).unwrap())
}

#[test]
fn accept() {
    run(at_every_poll(async |cut| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let addr = listener.local_addr().unwrap();
        let neighbour = spawn({
            let listener = listener.clone();
            async move { listener.accept().await.unwrap().1 }
        });
        turns(1).await;
        let mut clients = Vec::new();
        let come = || clients.extend([(); 2].map(|()| Client::connect(addr).unwrap()));
        let accepted = cut.apply(listener.accept(), come).await;
        let other = match accepted {
            Some(accepted) => accepted.unwrap().1,
            None => listener.accept().await.unwrap().1,
        };
        let mut served = [neighbour.await.unwrap(), other];
        let mut expected = [0, 1].map(|client: usize| clients[client].local_addr().unwrap());
        served.sort();
        expected.sort();
        assert_eq!(served, expected);
    }));
}

/// The connection stands in the queue all the time, and accepting pauses.
#[test]
fn accept_without_a_descriptor_left() {
    alone("accept_without_a_descriptor_left", || {
        limit_descriptors(64);
        run(async {
            time::pause();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            at_every_poll(async |cut| {
                let client = Client::connect(addr).unwrap();
                let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
                let accepted = cut.apply(listener.accept(), || drop(files.pop())).await;
                let (_stream, peer) = match accepted {
                    Some(accepted) => accepted.unwrap(),
                    None => listener.accept().await.unwrap(),
                };
                assert_eq!(peer, client.local_addr().unwrap());
            })
            .await;
        });
    });
}

#[test]
fn connect() {
    alone("connect", || {
        let (_listener, hangs, _first) = hanging();
        let (_socket, refuses) = refusing();
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let before = descriptors();
            at_every_poll(async |cut| {
                for addresses in [&[addr][..], &[refuses, addr]] {
                    let stream = cut.apply(TcpStream::connect(addresses), || ()).await;
                    assert_eq!(descriptors(), before + stream.iter().count());
                    let stream = stream.map(Result::unwrap);
                    assert!(stream.iter().all(|stream| stream.peer_addr().unwrap() == addr));
                }
                let socket = TcpSocket::new_v4().unwrap();
                let stream = cut.apply(socket.connect(addr), || ()).await;
                assert_eq!(descriptors(), before + stream.iter().count());
                stream.into_iter().for_each(|stream| drop(stream.unwrap()));
            })
            .await;
            for polls in 0..6 {
                {
                    let socket = TcpSocket::new_v4().unwrap();
                    let mut all = [refuses, hangs, addr];
                    all.rotate_left(polls % 2);
                    let (mut of_many, mut of_one) = (pin!(TcpStream::connect(all)), pin!(socket.connect(hangs)));
                    for poll in 0..polls {
                        assert!(poll!(of_many.as_mut()).is_pending());
                        assert!(poll!(of_one.as_mut()).is_pending());
                        assert!(poll < 2 || descriptors() == before + 2, "one attempt at a time");
                        turns(1).await;
                    }
                }
                assert_eq!(descriptors(), before, "dropped after {polls} polls");
            }
        });
    });
}
