//! Where no packet can go: hosts without a route, and hosts that are reported unreachable.

use std::net::SocketAddr;
use std::pin::pin;

use futures::future::join_all;
use futures::poll;
use pollywog_net::{TcpListener, TcpStream};
use pollywog_tests::limits::has;
use pollywog_tests::namespace::{in_namespace, ip, nft};
use pollywog_tests::net::{counted, descriptors, run, turns};

const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENETUNREACH: i32 = 101;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Each of these errors comes from the call itself: nothing is waited for.
#[test]
fn without_a_route_the_error_is_that_of_the_system() {
    in_namespace("without_a_route_the_error_is_that_of_the_system", || {
        ip("route add unreachable 192.0.2.1");
        ip("route add prohibit 192.0.2.2");
        ip("route add blackhole 192.0.2.3");
        ip("route add throw 192.0.2.4");
        ip("-6 route add unreachable 2001:db8::1");
        ip("-6 route add prohibit 2001:db8::2");
        let refused = [
            ("192.0.2.1:1", EHOSTUNREACH),
            ("192.0.2.2:1", EACCES),
            ("192.0.2.3:1", EINVAL),
            ("192.0.2.4:1", ENETUNREACH),
            ("192.0.2.5:1", ENETUNREACH),
            ("[2001:db8::1]:1", EHOSTUNREACH),
            ("[2001:db8::2]:1", EACCES),
            ("[2001:db8::3]:1", ENETUNREACH),
        ];
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let before = descriptors();
            for (host, errno) in refused {
                let (connecting, polls) = counted(TcpStream::connect(address(host)));
                assert_eq!(connecting.await.unwrap_err().raw_os_error(), Some(errno), "{host}");
                assert_eq!(polls.get(), 1, "{host}");
                assert_eq!(descriptors(), before, "{host}");
            }
            let all: Vec<_> = refused.map(|(host, _)| address(host)).into_iter().chain([addr]).collect();
            let stream = TcpStream::connect(&all[..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), addr, "the address that can be reached is tried, too");
        });
    });
}

/// The first packets are lost. A router's message comes when the system sends them again, a second later: by then the
/// connect waits, and an event tells.
#[test]
fn a_host_that_is_reported_unreachable_ends_the_wait() {
    const NAME: &str = "a_host_that_is_reported_unreachable_ends_the_wait";
    if !has(NAME, "nft") {
        return;
    }
    in_namespace(NAME, || {
        let reported = [
            ("127.0.1.1:1", "host-unreachable", EHOSTUNREACH),
            ("127.0.1.2:1", "net-unreachable", ENETUNREACH),
            ("127.0.1.3:1", "admin-prohibited", EHOSTUNREACH),
            ("127.0.1.4:1", "port-unreachable", ECONNREFUSED),
        ];
        nft("add table inet test");
        nft("add chain inet test input { type filter hook input priority 0; }");
        for (host, _, _) in reported {
            nft(&format!("add rule inet test input ip daddr {} drop", address(host).ip()));
        }
        run(async {
            let before = descriptors();
            let mut polls = Vec::new();
            let connecting = reported.map(|(host, _, _)| {
                let (connecting, counter) = counted(TcpStream::connect(address(host)));
                polls.push(counter);
                connecting
            });
            let mut all = pin!(join_all(connecting));
            assert!(poll!(all.as_mut()).is_pending());
            turns(10).await;
            assert!(poll!(all.as_mut()).is_pending(), "nobody has answered");
            nft("flush chain inet test input");
            for (host, report, _) in reported {
                let host = address(host).ip();
                nft(&format!("add rule inet test input ip daddr {host} reject with icmp {report}"));
            }
            let results = all.await;
            for ((result, (host, report, errno)), polls) in results.into_iter().zip(reported).zip(polls) {
                assert_eq!(result.unwrap_err().raw_os_error(), Some(errno), "{host}: {report}");
                // `join_all` polls those alone that were woken, and twice in the beginning.
                assert!(polls.get() <= 4, "{host}: {} polls", polls.get());
            }
            assert_eq!(descriptors(), before);
        });
    });
}
