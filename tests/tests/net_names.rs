//! Names: looked up beside the loop, given up, never begun; and everything that std takes for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::pin;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, poll};
use pollywog_net::time::{sleep, timeout};
use pollywog_net::{Metrics, TcpListener, TcpStream, lookup_host};
use pollywog_tests::dns::with_names;
use pollywog_tests::net::{counted, descriptors, inside, pair, run, run_child, turns};

/// The addresses, in text.
async fn look_up(name: &str) -> std::io::Result<Vec<String>> {
    Ok(lookup_host(name).await?.map(|addr| addr.to_string()).collect())
}

#[test]
fn the_loop_turns_while_a_name_is_looked_up() {
    let zone: &[(&str, &[&str])] = &[("slow.test", &["127.0.0.7", "::7"])];
    with_names("the_loop_turns_while_a_name_is_looked_up", &[], zone, |mut server| {
        run(async {
            server.hold("slow.test");
            let (looking, polls) = counted(look_up("slow.test:80"));
            let mut looking = pin!(looking);
            assert!(poll!(looking.as_mut()).is_pending());
            assert_eq!(server.asked.next().await.unwrap(), "slow.test");

            let before = Metrics::current();
            let (mut stream, mut other) = pair().await;
            for byte in 0..100 {
                stream.write_all(&[byte]).await.unwrap();
                let mut received = [0];
                other.read_exact(&mut received).await.unwrap();
                assert_eq!(received, [byte]);
                sleep(Duration::from_micros(10)).await;
                // A sleep that is due when it is first asked costs no turn.
                turns(1).await;
            }
            let turned = Metrics::current().turns - before.turns;
            assert!(turned >= 100, "{turned} turns");
            assert_eq!(polls.get(), 1);

            server.release("slow.test");
            let mut found = looking.await.unwrap();
            found.sort();
            assert_eq!(found, ["127.0.0.7:80", "[::7]:80"]);
            assert!(polls.get() <= 3, "once to begin, once to wait, once to hear: {}", polls.get());
        });
    });
}

#[test]
fn a_timeout_drops_a_look_up() {
    let zone: &[(&str, &[&str])] = &[("slow.test", &["127.0.0.1"]), ("fast.test", &["127.0.0.1"])];
    with_names("a_timeout_drops_a_look_up", &[], zone, |mut server| {
        run(async {
            server.hold("slow.test");
            {
                let mut begun = pin!(look_up("slow.test:1"));
                assert!(poll!(begun.as_mut()).is_pending());
                assert_eq!(server.asked.next().await.unwrap(), "slow.test");
            }
            let limit = Duration::from_millis(20);
            timeout(limit, look_up("slow.test:1")).await.unwrap_err();
            timeout(limit, TcpStream::connect("slow.test:1")).await.unwrap_err();
            timeout(limit, TcpListener::bind("slow.test:0")).await.unwrap_err();
            let found = look_up("fast.test:1").await.unwrap();
            assert_eq!(found, ["127.0.0.1:1"], "others are looked up meanwhile");
            server.release("slow.test");
            assert_eq!(look_up("slow.test:1").await.unwrap(), ["127.0.0.1:1"]);
        });
    });
}

/// The pool has one thread, which waits for the first name when the second is dropped.
#[test]
fn a_look_up_that_has_not_begun_is_not_run() {
    let zone: &[(&str, &[&str])] =
        &[("first.test", &["127.0.0.1"]), ("second.test", &["127.0.0.2"]), ("third.test", &["127.0.0.3"])];
    let name = "a_look_up_that_has_not_begun_is_not_run";
    with_names(name, &["BLOCKING_MAX_THREADS=1"], zone, |mut server| {
        run(async {
            server.hold("first.test");
            let mut first = pin!(look_up("first.test:1"));
            assert!(poll!(first.as_mut()).is_pending());
            assert_eq!(server.asked.next().await.unwrap(), "first.test");
            assert!(poll!(pin!(look_up("second.test:1"))).is_pending());
            let mut third = pin!(look_up("third.test:1"));
            assert!(poll!(third.as_mut()).is_pending());
            server.release("first.test");
            assert_eq!(first.await.unwrap(), ["127.0.0.1:1"]);
            assert_eq!(third.await.unwrap(), ["127.0.0.3:1"]);
            assert_eq!(server.asked.next().await.unwrap(), "third.test", "nobody asked for the second");
            assert!(server.asked.try_recv().is_err());
        });
    });
}

#[test]
fn a_name_without_an_address_is_one_clear_error() {
    let zone: &[(&str, &[&str])] = &[("empty.test", &[])];
    with_names("a_name_without_an_address_is_one_clear_error", &[], zone, |_server| {
        run(async {
            for (name, why) in
                [("nobody.test", "Name or service not known"), ("empty.test", "No address associated with hostname")]
            {
                let expected = format!("the name '{name}' has no address: failed to lookup address information: {why}");
                assert_eq!(look_up(&format!("{name}:80")).await.unwrap_err().to_string(), expected);
                assert_eq!(TcpStream::connect((name, 80)).await.unwrap_err().to_string(), expected);
                assert_eq!(TcpListener::bind((name, 80)).await.unwrap_err().to_string(), expected);
            }
        });
    });
}

#[test]
fn every_address_of_a_name_is_tried() {
    let zone: &[(&str, &[&str])] = &[("several.test", &["127.0.0.2", "::1", "127.0.0.3"])];
    with_names("every_address_of_a_name_is_tried", &[], zone, |_server| {
        run(async {
            let listener = TcpListener::bind("127.0.0.3:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let stream = TcpStream::connect(("several.test", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        });
    });
}

/// Dropped after each poll of a look-up that ends.
#[test]
fn a_look_up_that_is_dropped_leaves_nothing() {
    const NAME: &str = "a_look_up_that_is_dropped_leaves_nothing";
    if inside(NAME).is_none() {
        return run_child(&["env", "BLOCKING_MAX_THREADS=1"], NAME, "");
    }
    run(async {
        let before = descriptors();
        for polls in 0..4 {
            let mut looking = pin!(lookup_host("localhost:80"));
            for _ in 0..polls {
                if poll!(looking.as_mut()).is_ready() {
                    break;
                }
                turns(1).await;
            }
        }
        // The pool's one thread has nothing else to do when this is over.
        assert_ne!(lookup_host("localhost:80").await.unwrap().count(), 0);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn an_address_needs_no_thread_and_no_second_poll() {
    run(async {
        let (looking, polls) = counted(lookup_host("127.0.0.1:80"));
        assert!(looking.await.unwrap().eq([SocketAddr::from(([127, 0, 0, 1], 80))]));
        assert_eq!(polls.get(), 1);
    });
}

/// What both traits say of the same value.
#[track_caller]
fn agree<T: ?Sized + std::net::ToSocketAddrs + pollywog_net::ToSocketAddrs + std::fmt::Debug>(target: &T) {
    let theirs: Option<Vec<_>> = target.to_socket_addrs().ok().map(Iterator::collect);
    let ours: Option<Vec<_>> = run(lookup_host(target)).ok().map(Iterator::collect);
    assert_eq!(ours, theirs, "{target:?}");
}

/// Each type that std implements its trait for.
#[test]
fn std_and_pollywog_agree_on_every_type() {
    let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    agree(&SocketAddr::from((v4, 80)));
    agree(&SocketAddrV4::new(v4, 80));
    agree(&SocketAddrV6::new(v6, 80, 1, 2));
    agree(&(IpAddr::from(v6), 80));
    agree(&(v4, 80));
    agree(&(v6, 80));
    agree(&("127.0.0.1", 80));
    agree(&("127.0.0.1".to_owned(), 80));
    agree("127.0.0.1:80");
    agree(&"127.0.0.1:80");
    agree(&"127.0.0.1:80".to_owned());
    agree(&&&"127.0.0.1:80".to_owned());
    agree(&&[SocketAddr::from((v4, 80)), SocketAddr::from((v6, 81))][..]);
}

#[test]
fn std_and_pollywog_agree_on_every_text() {
    const NAME: &str = "std_and_pollywog_agree_on_every_text";
    with_names(NAME, &[], &[("localhost", &["127.0.0.1", "::1"])], |_server| {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "::1:80",
            "[fe80::1%1]:80",
            "fe80::1%lo:80",
            "fe80::1%nobody:80",
            "[::1%lo]:80",
            "127.1:80",
            "0x7f.1:80",
            "2130706433:80",
            "localhost:80",
            "localhost:080",
            "localhost:+80",
            "localhost: 80",
            "localhost:65536",
            "localhost:",
            "localhost",
            "127.0.0.1",
            "::1",
            ":80",
            "",
            "local\0host:80",
            "local host:80",
        ] {
            agree(text);
        }
        for host in ["127.0.0.1", "::1", "[::1]", "fe80::1%lo", "127.1", "localhost", "localhost:80", "local\0host"] {
            agree(&(host, 80));
        }
    });
}

#[test]
fn no_address_at_all_is_an_error() {
    let error = run(lookup_host(&[][..])).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "no address to use: the list is empty");
}

#[test]
fn the_addresses_and_their_future_may_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    run(async { is_send(is_send(lookup_host("127.0.0.1:80")).await.unwrap()).count() });
}
