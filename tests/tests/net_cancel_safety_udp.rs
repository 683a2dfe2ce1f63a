//! Datagrams over UDP, dropped at every poll: none is lost, and none is sent that nobody was told of.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket as Peer};
use std::rc::Rc;

use pollywog_net::{UdpSocket, spawn};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::namespace::{in_namespace, ip};
use pollywog_tests::net::{run, turns};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Two that are connected to each other.
async fn ends() -> (UdpSocket, Peer, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let peer = Peer::bind("127.0.0.1:0").unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    let addr = peer.local_addr().unwrap();
    socket.connect(addr).await.unwrap();
    (socket, peer, addr)
}

/// A receive into a buffer, dropped at every poll: what it gives is the number of bytes and perhaps the sender.
macro_rules! receives {
    ($($name:ident: $buffer:expr, |$result:ident, $from:ident| $is_right:expr, $takes:literal;)+) => {$(
        #[test]
        fn $name() {
            run(at_every_poll(async |cut| {
                let (socket, peer, $from) = ends().await;
                let mut buffer = $buffer;
                let come = || ["first", "second"].iter().for_each(|text| assert!(peer.send(text.as_bytes()).is_ok()));
                let received = cut.apply(socket.$name(&mut buffer), come).await;
                if let Some(received) = received {
                    let $result = received.unwrap();
                    assert!($is_right);
                    assert_eq!(&buffer[..5], b"first");
                    if $takes {
                        assert_eq!(socket.recv(&mut [0; 16]).await.unwrap(), 6, "the second is next");
                        return;
                    }
                }
                let mut buffer = [0; 16];
                for expected in ["first", "second"] {
                    let count = socket.recv(&mut buffer).await.unwrap();
                    assert_eq!(&buffer[..count], expected.as_bytes());
                }
            }));
        }
    )+};
}

receives! {
    recv: [0; 16], |count, _from| count == 5, true;
    recv_from: [0; 16], |received, from| received == (5, from), true;
    peek: [0; 16], |count, _from| count == 5, false;
    peek_from: [0; 16], |received, from| received == (5, from), false;
    recv_buf: Vec::new(), |count, _from| count == 5, true;
    recv_buf_from: Vec::new(), |received, from| received == (5, from), true;
}

#[test]
fn a_receive_that_is_dropped_leaves_the_datagram_to_another() {
    run(at_every_poll(async |cut| {
        let (socket, peer, _) = ends().await;
        let socket = Rc::new(socket);
        let neighbour = spawn({
            let socket = socket.clone();
            async move { socket.recv(&mut [0; 16]).await.unwrap() }
        });
        turns(1).await;
        let mut buffer = [0; 16];
        let come = || assert!((0..2).all(|_| peer.send(b"x").is_ok()));
        let received = cut.apply(socket.recv(&mut buffer), come).await;
        assert_eq!(neighbour.await.unwrap(), 1);
        let rest = socket.try_recv(&mut buffer).is_ok();
        assert_eq!(received.is_some(), !rest, "two came");
    }));
}

/// Room is never short here: it waits where the budget is used up.
#[test]
fn send_and_send_to() {
    run(at_every_poll(async |cut| {
        let (socket, peer, addr) = ends().await;
        let sent = cut.apply(socket.send(b"one"), || ()).await.map(Result::unwrap);
        let sent_to = cut.apply(socket.send_to(b"four", addr), || ()).await.map(Result::unwrap);
        socket.send(b"last").await.unwrap();
        let mut buffer = [0; 16];
        for expected in [sent, sent_to].into_iter().flatten() {
            assert_eq!(peer.recv(&mut buffer).unwrap(), expected);
        }
        assert_eq!(peer.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"last");
    }));
}

/// As above, where there is room only when a neighbour is known: what is sent to it stands in a queue that is charged to
/// the socket.
#[test]
fn send_without_room() {
    const TO: ([u8; 4], u16) = ([192, 0, 2, 2], 7007);
    /// `ETH_P_IP`, in the order of the network.
    const IP: i32 = 0x0800_u16.to_be() as i32;
    in_namespace("send_without_room", || {
        ip("link add here type veth peer name there");
        ip("addr add 192.0.2.1/24 dev here");
        ip("link set here up");
        ip("link set there up");
        // Hears every packet that arrives there.
        let wire = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(IP))).unwrap();
        let arrives = || {
            let mut packet = [0; 2000];
            let count = (&wire).read(&mut packet).unwrap();
            String::from_utf8_lossy(&packet[28..count]).into_owned()
        };
        run(at_every_poll(async |cut| {
            for to in [false, true] {
                let socket = UdpSocket::bind("192.0.2.1:0").await.unwrap();
                SockRef::from(&socket).set_send_buffer_size(8 << 10).unwrap();
                socket.connect(SocketAddr::from(TO)).await.unwrap();
                while socket.try_send(&[0; 1000]).is_ok() {}
                let come = || ip("neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev here nud permanent");
                let sent = match to {
                    false => cut.apply(socket.send(b"sent"), come).await,
                    true => cut.apply(socket.send_to(b"sent", SocketAddr::from(TO)), come).await,
                };
                socket.send(b"last").await.unwrap();
                let packets = std::iter::repeat_with(arrives).take_while(|text| text != "last");
                assert_eq!(packets.filter(|text| text == "sent").count(), sent.iter().count());
                assert!(sent.is_none_or(|sent| sent.unwrap() == 4));
                ip("neigh del 192.0.2.2 dev here");
            }
        }));
    });
}
