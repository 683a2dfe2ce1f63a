//! A machine that has no port left for another connection.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use pollywog_net::{TcpListener, TcpStream};
use pollywog_tests::namespace::{in_namespace, sysctl};
use pollywog_tests::net::{descriptors, run};
use socket2::SockRef;

const EADDRNOTAVAIL: i32 = 99;

/// Two connections to one address take the two ports that there are.
#[test]
fn no_port_left() {
    in_namespace("no_port_left", || {
        sysctl("ipv4/ip_local_port_range", "40000 40001");
        run(async {
            let listener = TcpListener::bind("127.0.0.1:7000").await.unwrap();
            let other = TcpListener::bind("127.0.0.1:7001").await.unwrap();
            let [addr, other] = [&listener, &other].map(|listener| listener.local_addr().unwrap());
            let first = TcpStream::connect(addr).await.unwrap();
            let second = TcpStream::connect(addr).await.unwrap();
            let mut ports = [&first, &second].map(|stream| stream.local_addr().unwrap().port());
            ports.sort_unstable();
            assert_eq!(ports, [40_000, 40_001]);

            let before = descriptors();
            for _ in 0..10 {
                let refused = TcpStream::connect(addr).now_or_never().expect("there is nothing to wait for");
                assert_eq!(refused.unwrap_err().raw_os_error(), Some(EADDRNOTAVAIL));
            }
            assert_eq!(descriptors(), before);

            // A port can be used again towards somebody else.
            let elsewhere = TcpStream::connect([addr, other]).await.unwrap();
            assert_eq!(elsewhere.peer_addr().unwrap(), other);
            drop(elsewhere);

            // The connections that are there do not mind, and a port that becomes free is taken.
            let (mut server, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, first.local_addr().unwrap());
            SockRef::from(&first).set_linger(Some(Duration::ZERO)).unwrap();
            drop(first);
            assert!(server.read(&mut [0; 1]).await.is_err(), "it was reset");
            let mut third = TcpStream::connect(addr).await.unwrap();
            assert_eq!(third.local_addr().unwrap(), peer);
            third.write_all(b"third").await.unwrap();
            let (_second, _) = listener.accept().await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            let mut text = [0; 5];
            server.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"third");
            drop(second);
        });
    });
}
