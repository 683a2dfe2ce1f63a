//! Connecting to several addresses at once: who is tried when, who wins, and what is left of the others. Time is that of
//! a paused clock, so each moment is exact.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures::poll;
use pollywog_net::time::{self, pause, timeout};
use pollywog_net::{TcpListener, TcpStream};
use pollywog_tests::dns::with_names;
use pollywog_tests::namespace::in_namespace;
use pollywog_tests::net::{Watchdog, alone, descriptors, refusing, run, turns};
use socket2::{Domain, Socket, Type};

const DELAY: Duration = Duration::from_millis(250);

/// An address of this machine where connecting hangs: a listener's queue that is full.
struct Hanging {
    listener: Socket,
    addr: SocketAddr,
    _first: std::net::TcpStream,
}

impl Hanging {
    fn new(addr: &str) -> Self {
        let addr: SocketAddr = addr.parse().unwrap();
        let listener = Socket::new(Domain::for_address(addr), Type::STREAM.cloexec(), None).unwrap();
        listener.bind(&addr.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        Self { listener, addr, _first: std::net::TcpStream::connect(addr).unwrap() }
    }
}

fn hanging<const N: usize>() -> [Hanging; N] {
    std::array::from_fn(|_| Hanging::new("127.0.0.1:0"))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Who was connected to, and how much time it took.
async fn race(addresses: &[SocketAddr]) -> (SocketAddr, Duration) {
    let start = time::now();
    let stream = TcpStream::connect_racing(addresses).await.unwrap();
    (stream.peer_addr().unwrap(), time::now() - start)
}

/// As [`run`], with the clock paused.
fn run_paused<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = Watchdog::start();
    pollywog_net::run(async {
        pause();
        future.await
    })
    .unwrap()
}

#[test]
fn an_address_that_hangs_costs_a_quarter_of_a_second() {
    let [one, two] = hanging();
    run_paused(async {
        let (_listener, good) = listener().await;
        assert_eq!(race(&[good]).await, (good, Duration::ZERO));
        assert_eq!(race(&[one.addr, good]).await, (good, DELAY));
        assert_eq!(race(&[one.addr, two.addr, good]).await, (good, 2 * DELAY));
    });
}

#[test]
fn an_address_that_refuses_costs_nothing() {
    let [hangs] = hanging();
    let ((_one, refuses), (_two, refuses_too)) = (refusing(), refusing());
    run_paused(async {
        let (_listener, good) = listener().await;
        assert_eq!(race(&[refuses, refuses_too, good]).await, (good, Duration::ZERO));
        assert_eq!(race(&[hangs.addr, refuses, good]).await, (good, DELAY));
        assert_eq!(race(&[refuses, hangs.addr, good]).await, (good, DELAY));
        assert_eq!(race(&[hangs.addr, refuses, refuses_too, good]).await, (good, DELAY));
    });
}

#[test]
fn who_comes_after_the_winner_is_not_tried() {
    let [hangs] = hanging();
    run_paused(async {
        let (_listener, good) = listener().await;
        let (later, addr) = listener().await;
        for _ in 0..3 {
            assert_eq!(race(&[good, addr]).await, (good, Duration::ZERO));
            assert_eq!(race(&[hangs.addr, good, addr]).await, (good, DELAY));
        }
        let mut accepting = pin!(later.accept());
        for _ in 0..3 {
            assert!(poll!(accepting.as_mut()).is_pending(), "somebody has connected");
            turns(2).await;
        }
    });
}

/// The kernel tries again a second later, and there is room.
#[test]
fn the_first_attempt_may_still_win() {
    let [one, two] = hanging();
    run(async {
        let addresses = [one.addr, two.addr];
        let mut connecting = pin!(TcpStream::connect_racing(addresses));
        assert!(poll!(connecting.as_mut()).is_pending());
        time::sleep(DELAY + Duration::from_millis(10)).await;
        assert!(poll!(connecting.as_mut()).is_pending());
        one.listener.accept().unwrap();
        assert_eq!(connecting.await.unwrap().peer_addr().unwrap(), one.addr);
    });
}

#[test]
fn the_losers_are_closed() {
    alone("the_losers_are_closed", || {
        let [one, two] = hanging();
        run_paused(async {
            let (_listener, good) = listener().await;
            let before = descriptors();
            let stream = TcpStream::connect_racing([one.addr, two.addr, good]).await.unwrap();
            assert_eq!(descriptors(), before + 1);
            drop(stream);
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn every_attempt_is_closed_wherever_it_is_dropped() {
    alone("every_attempt_is_closed_wherever_it_is_dropped", || {
        let hanging = hanging::<4>();
        let (_socket, refuses) = refusing();
        run_paused(async {
            let addresses = [hanging[0].addr, hanging[1].addr, refuses, hanging[2].addr, hanging[3].addr];
            let before = descriptors();
            // At each of its polls …
            let mut most = 0;
            for polls in 0..8 {
                let mut racing = Box::pin(TcpStream::connect_racing(addresses));
                for _ in 0..polls {
                    assert!(poll!(racing.as_mut()).is_pending());
                    most = most.max(descriptors() - before);
                    time::advance(DELAY).await;
                }
                drop(racing);
                assert_eq!(descriptors(), before, "dropped after {polls} polls");
            }
            assert_eq!(most, 4, "all that hang were under way");
            // … and by a limit.
            let start = time::now();
            timeout(Duration::from_secs(60), TcpStream::connect_racing(addresses)).await.unwrap_err();
            assert_eq!(time::now() - start, Duration::from_secs(60));
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn where_nobody_can_be_connected_to_the_error_lists_everybody() {
    let unreachable = SocketAddr::from(([127, 255, 255, 255], 1));
    let ((_one, one), (_two, two)) = (refusing(), refusing());
    run_paused(async {
        let error = TcpStream::connect_racing(one).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(111), "that of the only one as it is: ECONNREFUSED");

        let start = time::now();
        let error = TcpStream::connect_racing([one, unreachable, two]).await.unwrap_err();
        assert_eq!(time::now(), start);
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let expected = format!(
            "no connection to any of 3 addresses: {one}: Connection refused (os error 111); \
             {unreachable}: Network is unreachable (os error 101); {two}: Connection refused (os error 111)"
        );
        assert_eq!(error.to_string(), expected);

        let error = TcpStream::connect_racing([two, unreachable]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
        let error = TcpStream::connect_racing(&[][..]).await.unwrap_err();
        assert_eq!(error.to_string(), "no address to use: the list is empty");
    });
}

#[test]
fn the_other_family_comes_second() {
    in_namespace("the_other_family_comes_second", || {
        let six: [_; 3] = std::array::from_fn(|_| Hanging::new("[::1]:0"));
        run_paused(async {
            let (_listener, four) = listener().await;
            let [one, two, three] = six.each_ref().map(|hanging| hanging.addr);
            assert_eq!(race(&[one, two, three, four]).await, (four, DELAY));
            assert_eq!(race(&[four, one, two, three]).await, (four, Duration::ZERO));
        });
    });
}

/// IPv6 leads nowhere: packets are lost without a word.
#[test]
fn a_name_whose_first_address_is_lost() {
    let zone: &[(&str, &[&str])] = &[("both.test", &["::1", "127.0.0.1"])];
    with_names("a_name_whose_first_address_is_lost", &[], zone, |_server| {
        run_paused(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let lost = Hanging::new(&SocketAddr::from((Ipv6Addr::LOCALHOST, port)).to_string());
            let start = time::now();
            let stream = TcpStream::connect_racing(("both.test", port)).await.unwrap();
            assert_eq!(time::now() - start, DELAY, "{} was tried first, and hangs", lost.addr);
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        });
    });
}

#[test]
fn a_race_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    is_send(TcpStream::connect_racing("localhost:80"));
}
