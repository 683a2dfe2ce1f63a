//! What looks a name up first, dropped at every poll: until it is ready, it has done nothing else.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use pollywog_net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::net::{alone, descriptors, run, turns};

/// No address to std, so it is looked up; the resolver takes it for 127.0.0.1, and asks nobody.
const NAME: &str = "127.1";
const HERE: (&str, u16) = (NAME, 0);

/// The threads that look names up have files open for a moment.
async fn comes_down_to(count: usize) {
    while descriptors() != count {
        turns(1).await;
    }
}

#[test]
fn a_socket_is_made_when_the_name_is_there() {
    alone("a_socket_is_made_when_the_name_is_there", || {
        run(async {
            let listener = TcpListener::bind(HERE).await.unwrap();
            let server = (NAME, listener.local_addr().unwrap().port());
            let before = descriptors();
            at_every_poll(async |cut| {
                let bound = cut.apply(TcpListener::bind(HERE), || ()).await.map(Result::unwrap);
                comes_down_to(before + bound.iter().count()).await;
                drop(bound);
                let bound = cut.apply(UdpSocket::bind(HERE), || ()).await.map(Result::unwrap);
                comes_down_to(before + bound.iter().count()).await;
                drop(bound);
                let connected = cut.apply(TcpStream::connect(server), || ()).await.map(Result::unwrap);
                comes_down_to(before + connected.iter().count()).await;
            })
            .await;
        });
    });
}

#[test]
fn a_udp_socket_is_connected_when_it_says_so() {
    run(at_every_poll(async |cut| {
        let [socket, peer] = [bound().await, bound().await];
        let target = (NAME, peer.local_addr().unwrap().port());
        match cut.apply(socket.connect(target), || ()).await {
            Some(connected) => {
                connected.unwrap();
                assert_eq!(socket.peer_addr().unwrap(), peer.local_addr().unwrap());
            }
            None => assert_eq!(socket.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected),
        }
    }));
}

#[test]
fn a_datagram_to_a_name_is_sent_when_it_says_so() {
    run(at_every_poll(async |cut| {
        let [socket, peer] = [bound().await, bound().await];
        let target = (NAME, peer.local_addr().unwrap().port());
        let sent = cut.apply(socket.send_to(b"maybe", target), || ()).await.map(Result::unwrap);
        socket.send_to(b"last", peer.local_addr().unwrap()).await.unwrap();
        let mut buffer = [0; 16];
        if sent.is_some() {
            assert_eq!(peer.recv(&mut buffer).await.unwrap(), 5);
        }
        assert_eq!(peer.recv(&mut buffer).await.unwrap(), 4);
    }));
}

#[test]
fn a_look_up_leaves_nothing_behind() {
    run(at_every_poll(async |cut| {
        let found = cut.apply(lookup_host(HERE), || ()).await.map(Result::unwrap);
        assert!(found.is_none_or(|mut found| found.all(|addr| addr.ip().is_loopback())));
    }));
}

async fn bound() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}
