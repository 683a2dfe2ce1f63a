//! UDP: what a datagram socket owes, whether it is connected or not.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use pollywog_net::UdpSocket;
use pollywog_tests::namespace::{in_namespace, ip};
use pollywog_tests::net::{LIMIT, Random, run, turns};
use rustix::io::Errno;

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn connected() -> (UdpSocket, UdpSocket) {
    let (one, other) = (socket().await, socket().await);
    one.connect(addr(&other)).await.unwrap();
    other.connect(addr(&one)).await.unwrap();
    (one, other)
}

fn addr(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Errno {
    Errno::from_io_error(&result.unwrap_err()).expect("the error is the system's")
}

#[test]
fn an_echo_to_whoever_asks() {
    run(async {
        let (server, mut random) = (socket().await, Random::new(7));
        let clients = [socket().await, socket().await, UdpSocket::bind(("127.0.0.1", 0)).await.unwrap()];
        let mut buffer = vec![0; 65_535];
        for length in [0, 1, 1_000, 1_500, 65_507] {
            for client in &clients {
                let sent: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
                assert_eq!(client.send_to(&sent, addr(&server)).await.unwrap(), length);
                let (count, peer) = server.recv_from(&mut buffer).await.unwrap();
                assert_eq!((count, peer), (length, addr(client)));
                assert_eq!(server.send_to(&buffer[..count], peer).await.unwrap(), length);
                assert_eq!(client.recv_from(&mut buffer).await.unwrap(), (length, addr(&server)));
                assert!(buffer[..length] == sent);
            }
        }
    });
}

#[test]
fn an_echo_between_connected_sockets() {
    run(async {
        let (one, other) = connected().await;
        assert_eq!((one.peer_addr().unwrap(), other.peer_addr().unwrap()), (addr(&other), addr(&one)));
        let mut buffer = [0; 16];
        for number in 0..10 {
            one.send(&[number]).await.unwrap();
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 1);
            other.send(&[buffer[0], number]).await.unwrap();
            assert_eq!(one.recv(&mut buffer).await.unwrap(), 2);
            assert_eq!(buffer[..2], [number; 2]);
        }
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    run(async {
        let (one, other) = connected().await;
        socket().await.send_to(b"stranger", addr(&one)).await.unwrap();
        other.send(b"peer").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 4);
        // Connected to somebody else, it hears nobody else.
        let third = socket().await;
        one.connect(addr(&third)).await.unwrap();
        other.send(b"former peer").await.unwrap();
        third.send_to(b"third", addr(&one)).await.unwrap();
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 5);
    });
}

/// The length is zero, and nothing has ended.
#[test]
fn empty_datagrams_are_datagrams() {
    run(async {
        let (one, other) = connected().await;
        for datagram in [&b"first"[..], b"", b"", b"last"] {
            one.send(datagram).await.unwrap();
        }
        let mut buffer = [0; 16];
        for length in [5, 0, 0, 4] {
            assert_eq!(other.recv(&mut buffer).await.unwrap(), length);
        }
        one.send_to(b"", addr(&other)).await.unwrap();
        assert_eq!(other.recv_from(&mut []).await.unwrap(), (0, addr(&one)));
        assert_eq!(other.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn what_does_not_fit_is_cut_off_and_the_next_datagram_is_whole() {
    run(async {
        let (one, other) = connected().await;
        for _ in 0..6 {
            one.send(b"a long datagram").await.unwrap();
            one.send(b"next").await.unwrap();
        }
        let (mut short, mut long) = ([0; 6], [0; 64]);
        assert_eq!(other.recv(&mut short).await.unwrap(), 6);
        assert_eq!(other.recv(&mut long).await.unwrap(), 4);
        assert_eq!(other.recv_from(&mut short).await.unwrap(), (6, addr(&one)));
        assert_eq!(other.recv(&mut long).await.unwrap(), 4);
        assert_eq!(other.recv(&mut []).await.unwrap(), 0);
        assert_eq!(other.recv(&mut long).await.unwrap(), 4);
        assert_eq!(other.try_recv_from(&mut short).unwrap(), (6, addr(&one)));
        assert_eq!(other.recv(&mut long).await.unwrap(), 4);
        let mut vector = Vec::with_capacity(10);
        vector.extend_from_slice(b"> ");
        let room = vector.capacity() - 2;
        assert_eq!(other.recv_buf(&mut vector).await.unwrap(), room.min(15));
        assert_eq!(vector[..10], b"> a long datagram"[..10]);
        assert_eq!(other.recv(&mut long).await.unwrap(), 4);
        // Without any room it makes room for all.
        vector.shrink_to_fit();
        vector.truncate(vector.capacity());
        let length = vector.len();
        assert_eq!(other.recv_buf_from(&mut vector).await.unwrap(), (15, addr(&one)));
        assert_eq!(&vector[length..], b"a long datagram");
    });
}

#[test]
fn any_datagram_fits_into_an_empty_vector() {
    run(async {
        let (one, other) = connected().await;
        one.send(&[7; 65_507]).await.unwrap();
        let mut vector = Vec::new();
        assert_eq!(other.recv_buf(&mut vector).await.unwrap(), 65_507);
        assert!(vector == [7; 65_507]);
    });
}

#[test]
fn peeking_consumes_nothing() {
    run(async {
        let (one, other) = connected().await;
        one.send(b"first").await.unwrap();
        one.send(b"second").await.unwrap();
        let (mut two, mut buffer) = ([0; 2], [0; 16]);
        for _ in 0..3 {
            assert_eq!(other.peek(&mut two).await.unwrap(), 2);
            assert_eq!(&two, b"fi");
            assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (5, addr(&one)));
            assert_eq!(other.try_peek(&mut buffer).unwrap(), 5);
            assert_eq!(other.try_peek_from(&mut two).unwrap(), (2, addr(&one)));
            assert_eq!(std::future::poll_fn(|cx| other.poll_peek(cx, &mut buffer)).await.unwrap(), 5);
        }
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 5);
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 6);
        assert_eq!(&buffer[..6], b"second");
    });
}

#[test]
fn the_addresses_are_tried_in_turn() {
    run(async {
        let taken = socket().await;
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let second = UdpSocket::bind(&[addr(&taken), free][..]).await.unwrap();
        assert_ne!(addr(&second).port(), addr(&taken).port());
        let error = UdpSocket::bind(&[free, addr(&taken)][1..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let of_the_other_family = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9));
        second.connect(&[of_the_other_family, addr(&taken)][..]).await.unwrap();
        assert_eq!(second.peer_addr().unwrap(), addr(&taken));
        assert_eq!(errno(second.connect(of_the_other_family).await), Errno::AFNOSUPPORT);
        assert_eq!(second.peer_addr().unwrap(), addr(&taken), "it still is");

        let nothing: &[SocketAddr] = &[];
        for result in [second.connect(nothing).await, second.send_to(b"x", nothing).await.map(drop)] {
            assert_eq!(result.unwrap_err().to_string(), "no address to use: the list is empty");
        }
    });
}

#[test]
fn what_cannot_be_sent_is_an_error_and_the_socket_goes_on() {
    run(async {
        let (one, other) = (socket().await, socket().await);
        assert_eq!(errno(one.send(b"to nobody").await), Errno::DESTADDRREQ);
        assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(errno(one.send_to(&[0; 65_508], addr(&other)).await), Errno::MSGSIZE);
        assert_eq!(errno(one.try_send_to(&[0; 65_508], addr(&other))), Errno::MSGSIZE);
        one.send_to(b"fine", addr(&other)).await.unwrap();
        assert_eq!(other.recv(&mut [0; 16]).await.unwrap(), 4);
    });
}

#[test]
fn broadcasting_has_to_be_allowed() {
    run(async {
        let (one, everywhere) = (socket().await, UdpSocket::bind("0.0.0.0:0").await.unwrap());
        let all = SocketAddr::from(([127, 255, 255, 255], addr(&everywhere).port()));
        assert!(!one.broadcast().unwrap());
        assert_eq!(errno(one.send_to(b"all", all).await), Errno::ACCESS);
        one.set_broadcast(true).unwrap();
        assert!(one.broadcast().unwrap());
        one.send_to(b"all", all).await.unwrap();
        assert_eq!(everywhere.recv_from(&mut [0; 16]).await.unwrap(), (3, addr(&one)));
        one.set_broadcast(false).unwrap();
        assert_eq!(errno(one.send_to(b"all", all).await), Errno::ACCESS);
    });
}

/// On loopback, which is joined by its address.
#[test]
fn a_group_of_ipv4_is_joined_and_left() {
    run(async {
        let group = Ipv4Addr::new(239, 255, 7, 7);
        let (one, member) = (socket().await, UdpSocket::bind("0.0.0.0:0").await.unwrap());
        let to_the_group = SocketAddr::from((group, addr(&member).port()));
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(errno(member.join_multicast_v4(group, Ipv4Addr::LOCALHOST)), Errno::ADDRINUSE);
        one.send_to(b"members", to_the_group).await.unwrap();
        assert_eq!(member.recv_from(&mut [0; 16]).await.unwrap(), (7, addr(&one)));
        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(errno(member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)), Errno::ADDRNOTAVAIL);
        // What is sent to the group now is not what comes next.
        one.send_to(b"nobody", to_the_group).await.unwrap();
        one.send_to(b"you", (Ipv4Addr::LOCALHOST, to_the_group.port())).await.unwrap();
        assert_eq!(member.recv(&mut [0; 16]).await.unwrap(), 3);
        assert_eq!(errno(member.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED)), Errno::INVAL);
    });
}

/// On an interface that knows groups of IPv6; what is sent there comes back to members on this machine, or not.
#[test]
fn a_group_of_ipv6_is_joined_and_left() {
    const INTERFACE: u32 = 7;
    in_namespace("a_group_of_ipv6_is_joined_and_left", || {
        ip("link add here index 7 type veth peer name there");
        ip("-6 addr add 2001:db8::1/64 dev here nodad");
        ip("link set here up");
        ip("link set there up");
        run(async {
            let group = "ff02::7:7".parse().unwrap();
            let (one, member) = (UdpSocket::bind("[::]:0").await.unwrap(), UdpSocket::bind("[::]:0").await.unwrap());
            let to_the_group = std::net::SocketAddrV6::new(group, addr(&member).port(), 0, INTERFACE);
            let one_directly = std::net::SocketAddrV6::new("2001:db8::1".parse().unwrap(), to_the_group.port(), 0, 0);
            let mut buffer = [0; 16];
            // The kernel takes its time to give a new link its routes.
            while one.send_to(b"too early", to_the_group).await.is_err() {
                turns(1).await;
            }
            member.join_multicast_v6(&group, INTERFACE).unwrap();
            one.send_to(b"members", to_the_group).await.unwrap();
            assert_eq!(member.recv(&mut buffer).await.unwrap(), 7);

            one.set_multicast_loop_v6(false).unwrap();
            one.send_to(b"elsewhere", to_the_group).await.unwrap();
            one.send_to(b"you", one_directly).await.unwrap();
            assert_eq!(member.recv(&mut buffer).await.unwrap(), 3);

            one.set_multicast_loop_v6(true).unwrap();
            member.leave_multicast_v6(&group, INTERFACE).unwrap();
            one.send_to(b"nobody", to_the_group).await.unwrap();
            one.send_to(b"only", one_directly).await.unwrap();
            assert_eq!(member.recv(&mut buffer).await.unwrap(), 4);
        });
    });
}

#[test]
fn options_are_those_of_the_socket() {
    run(async {
        let one = socket().await;
        let socket = socket2::SockRef::from(&one);
        one.set_ttl(7).unwrap();
        assert_eq!((one.ttl().unwrap(), socket.ttl_v4().unwrap()), (7, 7));
        assert_eq!((one.multicast_ttl_v4().unwrap(), one.multicast_loop_v4().unwrap()), (1, true));
        one.set_multicast_ttl_v4(3).unwrap();
        one.set_multicast_loop_v4(false).unwrap();
        assert_eq!((socket.multicast_ttl_v4().unwrap(), socket.multicast_loop_v4().unwrap()), (3, false));
        assert!(one.take_error().unwrap().is_none());
        assert_eq!(errno(one.set_ttl(256)), Errno::INVAL);
    });
}

#[test]
fn it_comes_from_std_and_goes_back() {
    run(async {
        let theirs = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = UdpSocket::from_std(theirs).unwrap();
        let peer = socket().await;
        peer.send_to(b"to ours", addr(&ours)).await.unwrap();
        assert_eq!(ours.recv(&mut [0; 16]).await.unwrap(), 7);
        let expected = addr(&ours);
        let theirs = ours.into_std().unwrap();
        assert_eq!(theirs.local_addr().unwrap(), expected);
        assert_eq!(theirs.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock, "it is still non-blocking");
        theirs.set_nonblocking(false).unwrap();
        theirs.set_read_timeout(Some(LIMIT)).unwrap();
        peer.send_to(b"to theirs", expected).await.unwrap();
        assert_eq!(theirs.recv(&mut [0; 16]).unwrap(), 9);
    });
}

#[test]
fn it_says_what_it_is() {
    fn is_send_and_sync<T: Send + Sync + Unpin>(_: &T) {}
    run(async {
        let one = socket().await;
        is_send_and_sync(&one);
        let text = format!("{one:?}");
        assert!(text.contains("UdpSocket") && text.contains("127.0.0.1"), "{text}");
        let send = one.send_to(b"x", addr(&one));
        fn is_send(_: &impl Send) {}
        is_send(&send);
        is_send(&one.recv_from(&mut [0]));
        is_send(&one.readable());
    });
}
