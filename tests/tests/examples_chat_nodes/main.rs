//! The example `chat` on several nodes, with a real Redis between them.

mod fake;

use std::io::BufReader;
use std::net::TcpListener;
use std::thread;

use pollywog_tests::guest::Guest;
use pollywog_tests::program::{LIMIT, Program, Signal, bounded, run};
use pollywog_tests::redis::{Redis, reserve};
use socket2::{Domain, Socket, Type};

use fake::{Client, Fake};

const CUT_OFF: &str = "* the other nodes are out of reach: only those at this one hear you";
const BACK: &str = "* the other nodes are in reach again";
const REFUSED: &str = "* too much is on its way to the other nodes: nobody has read that line";
/// Lines that a node has on their way at most.
const ON_THE_WAY: usize = 1_024;

fn node(place: &str, name: &str) -> Program {
    Program::start("chat", &["--redis", place, "--node", name])
}

fn nodes<const N: usize>(redis: &Redis, names: [&str; N]) -> [Program; N] {
    names.map(|name| node(&redis.place(), name))
}

/// Ann and amy at the north node, bob at the south, in the lobby.
fn three(north: &Program, south: &Program) -> [Guest; 3] {
    let mut ann = Guest::enter(north, "ann");
    let mut amy = Guest::enter(north, "amy");
    ann.hears("* amy is here");
    let bob = Guest::enter(south, "bob");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* bob@south is here");
    }
    [ann, amy, bob]
}

#[test]
fn a_line_is_heard_once_at_every_node_and_in_one_order() {
    const LINES: usize = 400;
    let Some(redis) = Redis::own("a_line_is_heard_once_at_every_node_and_in_one_order") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    let mut ben = Guest::enter(&south, "ben");
    bob.hears("* ben is here");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* ben@south is here");
    }
    let burst: String = (0..LINES).map(|number| format!("{number}\n")).collect();
    ann.send(burst.as_bytes());
    bob.send(burst.as_bytes());

    let heard = |guest: &mut Guest, count: usize| -> Vec<String> {
        let lines = (0..count).map(|_| guest.hear());
        lines.inspect(|line| assert!(!line.starts_with('*'), "{line}")).collect()
    };
    let numbered = |name: &str| -> Vec<String> { (0..LINES).map(|number| format!("{name}: {number}")).collect() };
    assert_eq!(heard(&mut ann, LINES), numbered("bob@south"));
    assert_eq!(heard(&mut bob, LINES), numbered("ann@north"));
    let (at_north, at_south) = (heard(&mut amy, 2 * LINES), heard(&mut ben, 2 * LINES));
    let plain = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.replace("@north", "").replace("@south", "")).collect()
    };
    assert_eq!(plain(&at_north), plain(&at_south), "one order");
    let of = |name: &str| -> Vec<String> { at_north.iter().filter(|line| line.starts_with(name)).cloned().collect() };
    assert_eq!((of("ann"), of("bob")), (numbered("ann"), numbered("bob@south")));

    // Nothing comes twice.
    bob.say("the last");
    for guest in [&mut ann, &mut amy] {
        guest.hears("bob@south: the last");
    }
    ben.hears("bob: the last");
}

#[test]
fn who_comes_goes_and_changes_the_name_is_told_everywhere() {
    let Some(redis) = Redis::own("who_comes_goes_and_changes_the_name_is_told_everywhere") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    ann.say("/who");
    ann.hears("* in the room: amy, ann; other nodes that share it: 1");
    bob.say("/nick rob");
    bob.hears("* you are rob now");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* bob@south is rob@south now");
    }
    // Names are those of a node.
    let mut other_ann = Guest::enter(&south, "ann");
    bob.hears("* ann is here");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* ann@south is here");
    }
    other_ann.say("/quit");
    other_ann.hears("* goodbye");
    bob.hears("* ann has left");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* ann@south has left");
    }
    drop(amy);
    bob.hears("* amy@north has left");
    ann.hears("* amy has left");
    drop(bob);
    ann.hears("* rob@south has left");
    // Rob was the last one there.
    while redis.command(&["PUBLISH", "chat:lobby", "is anybody there?"]) != ":1" {
        thread::yield_now();
    }
    ann.say("/who");
    ann.hears("* in the room: ann; other nodes that share it: 0");
}

#[test]
fn a_room_is_heard_where_it_has_members() {
    let Some(redis) = Redis::own("a_room_is_heard_where_it_has_members") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    ann.say("/join tea");
    ann.hears("* you are in tea now. In the room: ann");
    amy.hears("* ann has left");
    bob.hears("* ann@north has left");
    bob.say("/join tea");
    bob.hears("* you are in tea now. In the room: bob");
    amy.hears("* bob@south has left");
    ann.hears("* bob@south is here");
    amy.say("nobody in the lobby");
    ann.say("tea?");
    bob.hears("ann@north: tea?");
    bob.say("/join lobby");
    bob.hears("* you are in lobby now. In the room: bob");
    ann.hears("* bob@south has left");
    amy.hears("* bob@south is here");
    assert_eq!(redis.command(&["PUBLISH", "chat:tea", "x"]), ":1", "south listens to what nobody there hears");
    ann.say("nobody in tea");
    bob.say("lobby");
    amy.hears("bob@south: lobby");
}

#[test]
fn a_node_that_dies_leaves_the_others_talking() {
    let Some(redis) = Redis::own("a_node_that_dies_leaves_the_others_talking") else { return };
    let [north, south, west] = nodes(&redis, ["north", "south", "west"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    let mut cleo = Guest::enter(&west, "cleo");
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears("* cleo@west is here");
    }
    cleo.say("three nodes");
    bob.hears("cleo@west: three nodes");
    for guest in [&mut ann, &mut amy] {
        guest.hears("cleo@west: three nodes");
    }
    north.end(Signal::KILL);
    cleo.say("two nodes");
    bob.hears("cleo@west: two nodes");
    bob.say("still");
    cleo.hears("bob@south: still");
    let north = node(&redis.place(), "north");
    let mut ann = Guest::enter(&north, "ann");
    for guest in [&mut bob, &mut cleo] {
        guest.hears("* ann@north is here");
    }
    bob.say("three again");
    ann.hears("bob@south: three again");
}

#[test]
fn redis_may_go_and_come_back() {
    let Some(mut redis) = Redis::own("redis_may_go_and_come_back") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    bob.say("/join tea");
    bob.hears("* you are in tea now. In the room: bob");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* bob@south has left");
    }
    for _ in 0..2 {
        redis.kill();
        for guest in [&mut ann, &mut amy, &mut bob] {
            guest.hears(CUT_OFF);
        }
        // Those of a node go on meanwhile, and whoever comes is told.
        ann.say("are you there?");
        amy.hears("ann: are you there?");
        amy.say("/who");
        amy.hears("* in the room: amy, ann; the other nodes are out of reach");
        let mut abe = Guest::enter(&north, "abe");
        abe.hears(CUT_OFF);
        abe.say("/join tea");
        abe.hears("* you are in tea now. In the room: abe");
        for guest in [&mut ann, &mut amy] {
            guest.hears("* abe is here");
            guest.hears("* abe has left");
        }
        redis.start();
        for guest in [&mut ann, &mut amy, &mut bob, &mut abe] {
            guest.hears(BACK);
        }
        // Every room is listened to again, that which was entered meanwhile too.
        abe.say("hello");
        bob.hears("abe@north: hello");
        bob.say("hello, abe");
        abe.hears("bob@south: hello, abe");
        drop(abe);
        bob.hears("* abe@north has left");
    }
    let complained = north.end(Signal::INT).complained;
    let lines: Vec<_> = complained.lines().collect();
    let place = redis.place();
    let gone = format!("chat: Redis at {place}: it closed the connection; trying again");
    let back = format!("chat: Redis at {place} is back");
    assert_eq!(lines, [&gone, &back, &gone, &back], "once each");
}

/// Lines that Redis has not sent back when it goes.
#[test]
fn what_was_on_its_way_is_heard_at_its_own_node_once() {
    let Some(mut redis) = Redis::own("what_was_on_its_way_is_heard_at_its_own_node_once") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    redis.stop();
    for line in ["one", "two", "three"] {
        ann.say(line);
    }
    ann.say("/dance");
    ann.hears("* there are /who, /nick NEW, /join ROOM, /rooms and /quit");
    redis.kill();
    for line in ["ann: one", "ann: two", "ann: three", CUT_OFF] {
        amy.hears(line);
    }
    ann.hears("* the other nodes may have missed your last lines: 3");
    ann.hears(CUT_OFF);
    bob.hears(CUT_OFF);
    redis.start();
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears(BACK);
    }
    ann.say("four");
    amy.hears("ann: four");
    bob.hears("ann@north: four");
}

/// A machine that has vanished says nothing, and so does a Redis that is stopped.
#[test]
fn a_redis_that_says_nothing_is_gone() {
    let Some(redis) = Redis::own("a_redis_that_says_nothing_is_gone") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    redis.stop();
    ann.say("hello?");
    amy.hears("ann: hello?");
    for guest in [&mut amy, &mut bob] {
        guest.hears(CUT_OFF);
    }
    redis.go_on();
    // What the old connection still holds may come back now: it was told already.
    amy.hears(BACK);
    ann.hears("* the other nodes may have missed your last lines: 1");
    ann.hears(CUT_OFF);
    ann.hears(BACK);
    ann.say("there you are");
    amy.hears("ann: there you are");
    let complained = north.end(Signal::INT).complained;
    let gone = format!("chat: Redis at {}: it has said nothing for 6s; trying again", redis.place());
    assert_eq!(complained.lines().next(), Some(gone.as_str()));
}

/// At a Redis that answers, and brings nothing back.
#[test]
fn lines_that_do_not_fit_are_refused_and_the_others_are_heard() {
    let fake = Fake::listen();
    let (north, [mut subscriber, mut publisher], mut ann) = at_fake(&fake);
    let mut amy = Guest::connect(&north);
    amy.say("amy");
    amy.hears("* welcome, amy. In the room: amy, ann");
    subscriber.tell("chat:lobby", &publisher.published("chat:lobby"));
    ann.hears("* amy is here");
    let redis = [subscriber, publisher].map(Client::answer_on);
    let burst: String = (0..ON_THE_WAY + 50).map(|number| format!("{number}\n")).collect();
    ann.send(burst.as_bytes());
    for _ in 0..50 {
        ann.hears(REFUSED);
    }
    drop(redis);
    for number in 0..ON_THE_WAY {
        amy.hears(&format!("ann: {number}"));
    }
    amy.hears(CUT_OFF);
    ann.hears(&format!("* the other nodes may have missed your last lines: {ON_THE_WAY}"));
}

#[test]
fn who_never_reads_holds_nobody_up_at_any_node() {
    let Some(redis) = Redis::own("who_never_reads_holds_nobody_up_at_any_node") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    let mut slow = slow(&south);
    bob.hears("* slow is here");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* slow@south is here");
    }
    // Far more than the buffers between the south node and the guest hold.
    for number in 0..8_000 {
        let line = format!("{number:05}{}", "x".repeat(995));
        ann.say(&line);
        bob.hears(&format!("ann@north: {line}"));
        amy.hears(&format!("ann: {line}"));
    }
    let mut missed = None;
    while missed.is_none() {
        missed = slow.hear().strip_prefix("* you were too slow for ").map(str::to_owned);
    }
    let missed: usize = missed.unwrap().strip_suffix(" lines").unwrap().parse().unwrap();
    assert!((1..8_000).contains(&missed), "{missed}");
}

/// A guest whose system keeps little for it, and who has heard nothing yet.
fn slow(chat: &Program) -> Guest {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&chat.addr().into()).unwrap();
    let mut guest = Guest(BufReader::new(bounded(socket.into())));
    guest.say("slow");
    guest
}

#[test]
fn a_node_that_ends_tells_its_members_and_the_others() {
    let Some(redis) = Redis::own("a_node_that_ends_tells_its_members_and_the_others") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    ann.send(b"one\ntwo\n");
    for line in ["one", "two"] {
        amy.hears(&format!("ann: {line}"));
        bob.hears(&format!("ann@north: {line}"));
    }
    let ended = north.end(Signal::TERM);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("the room is closed\n", ""));
    for guest in [&mut ann, &mut amy] {
        guest.hears("* the server closes");
        guest.hears_the_end();
    }
    let mut left = [bob.hear(), bob.hear()];
    left.sort();
    assert_eq!(left, ["* amy@north has left", "* ann@north has left"]);
}

#[test]
fn a_node_that_ends_while_redis_is_stopped_does_not_wait_for_it() {
    let Some(redis) = Redis::own("a_node_that_ends_while_redis_is_stopped_does_not_wait_for_it") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, _bob] = three(&north, &south);
    redis.stop();
    ann.say("the last word");
    ann.say("/dance");
    ann.hears("* there are /who, /nick NEW, /join ROOM, /rooms and /quit");
    assert!(north.end(Signal::TERM).status.success());
    amy.hears("ann: the last word");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* the server closes");
        guest.hears_the_end();
    }
}

#[test]
fn a_node_without_redis_waits_for_it() {
    let Some(mut redis) = Redis::later("a_node_without_redis_waits_for_it") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let mut ann = Guest::enter(&north, "ann");
    ann.hears(CUT_OFF);
    let mut bob = Guest::enter(&south, "bob");
    bob.hears(CUT_OFF);
    redis.start();
    for guest in [&mut ann, &mut bob] {
        guest.hears(BACK);
    }
    ann.say("hello");
    bob.hears("ann@north: hello");
    let complained = north.end(Signal::INT).complained;
    let place = redis.place();
    let first = format!("chat: Redis at {place}: Connection refused; trying again");
    assert_eq!(complained.lines().collect::<Vec<_>>(), [first, format!("chat: Redis at {place} is back")]);
}

#[test]
fn redis_may_be_at_a_unix_socket() {
    let Some(redis) = Redis::own("redis_may_be_at_a_unix_socket") else { return };
    let [north, south] = ["north", "south"].map(|name| node(&redis.unix_place(), name));
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    ann.say("hello");
    amy.hears("ann: hello");
    bob.hears("ann@north: hello");
}

/// Our own `kv` does in its place: it speaks the protocol, and knows no PUBSUB.
#[test]
fn kv_does_in_place_of_redis() {
    let (port, _reserved) = reserve();
    let place = format!("127.0.0.1:{port}");
    let kv = Program::start_on("kv", &place, &[]);
    let [north, south] = ["north", "south"].map(|name| node(&place, name));
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    let burst: String = (0..200).map(|number| format!("{number}\n")).collect();
    ann.send(burst.as_bytes());
    for number in 0..200 {
        amy.hears(&format!("ann: {number}"));
        bob.hears(&format!("ann@north: {number}"));
    }
    ann.say("/who");
    ann.hears("* in the room: amy, ann");
    bob.say("/join tea");
    bob.hears("* you are in tea now. In the room: bob");
    for guest in [&mut ann, &mut amy] {
        guest.hears("* bob@south has left");
    }
    assert!(kv.end(Signal::TERM).status.success());
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears(CUT_OFF);
    }
    let _kv = Program::start_on("kv", &place, &[]);
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears(BACK);
    }
    ann.say("/join tea");
    ann.hears("* you are in tea now. In the room: ann");
    bob.hears("* ann@north is here");
}

#[test]
fn what_others_publish_is_no_line() {
    let Some(redis) = Redis::own("what_others_publish_is_no_line") else { return };
    let [north, south] = nodes(&redis, ["north", "south"]);
    let [mut ann, mut amy, mut bob] = three(&north, &south);
    for text in ["", "hello", "0 0 x y said", "00 1 x:y z said this", "\r\n*3\r\n"] {
        assert_eq!(redis.command(&["PUBLISH", "chat:lobby", text]), ":2");
    }
    let named = "0000000000000000 7 east eve said \u{1b}[2J\u{7}like a member";
    assert_eq!(redis.command(&["PUBLISH", "chat:lobby", named]), ":2");
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears("eve@east: [2Jlike a member");
    }
    // Nobody keeps what does not end soon.
    redis.command(&["PUBLISH", "chat:lobby", &"x".repeat(1 << 20)]);
    for guest in [&mut ann, &mut amy, &mut bob] {
        guest.hears(CUT_OFF);
        guest.hears(BACK);
    }
    bob.say("hello");
    ann.hears("bob@south: hello");
}

/// A node at a Redis of the test's hand, with ann in the lobby.
fn at_fake(fake: &Fake) -> (Program, [Client; 2], Guest) {
    // The node says that it listens once Redis has answered.
    let (north, [mut subscriber, mut publisher]) = thread::scope(|scope| {
        let clients = scope.spawn(|| fake.accept());
        (node(&fake.place(), "north"), clients.join().unwrap())
    });
    let mut ann = Guest::connect(&north);
    ann.say("ann");
    assert_eq!(subscriber.work(), ["SUBSCRIBE", "chat:lobby"]);
    subscriber.confirm("chat:lobby");
    ann.hears("* welcome, ann. In the room: ann");
    let text = publisher.published("chat:lobby");
    assert!(text.ends_with(" north ann here "), "{text}");
    subscriber.tell("chat:lobby", &text);
    (north, [subscriber, publisher], ann)
}

/// Whoever reads `* you are in tea now` hears what is said in tea from then on.
#[test]
fn a_room_is_entered_once_it_is_heard() {
    let fake = Fake::listen();
    let (north, [mut subscriber, mut publisher], mut ann) = at_fake(&fake);
    ann.say("/join tea");
    assert_eq!(subscriber.work(), ["SUBSCRIBE", "chat:tea"]);
    let mut amy = Guest::connect(&north);
    amy.say("amy");
    amy.hears("* welcome, amy. In the room: amy, ann");
    subscriber.tell("chat:lobby", &publisher.published("chat:lobby"));
    ann.hears("* amy is here");
    subscriber.confirm("chat:tea");
    ann.hears("* you are in tea now. In the room: ann");
}

#[test]
fn what_was_said_before_ones_arrival_is_not_heard() {
    let fake = Fake::listen();
    let (north, [mut subscriber, mut publisher], mut ann) = at_fake(&fake);
    let mut amy = Guest::connect(&north);
    amy.say("amy");
    amy.hears("* welcome, amy. In the room: amy, ann");
    let amy_is_here = publisher.published("chat:lobby");
    for text in ["0 0 east eve said before", &amy_is_here, "0 1 east eve said after"] {
        subscriber.tell("chat:lobby", text);
    }
    for line in ["eve@east: before", "* amy is here", "eve@east: after"] {
        ann.hears(line);
    }
    amy.hears("eve@east: after");
}

/// Redis may have taken a line from a connection that is broken by now.
#[test]
fn what_comes_back_late_was_told_already() {
    let fake = Fake::listen();
    let (north, [mut subscriber, mut publisher], mut ann) = at_fake(&fake);
    let mut amy = Guest::connect(&north);
    amy.say("amy");
    amy.hears("* welcome, amy. In the room: amy, ann");
    subscriber.tell("chat:lobby", &publisher.published("chat:lobby"));
    ann.hears("* amy is here");
    ann.say("hello");
    let late = publisher.published("chat:lobby");
    drop((subscriber, publisher));
    amy.hears("ann: hello");
    amy.hears(CUT_OFF);

    let [mut subscriber, mut publisher] = fake.accept();
    assert_eq!(subscriber.work(), ["SUBSCRIBE", "chat:lobby"]);
    subscriber.confirm("chat:lobby");
    amy.hears(BACK);
    subscriber.tell("chat:lobby", &late);
    ann.say("after");
    subscriber.tell("chat:lobby", &publisher.published("chat:lobby"));
    amy.hears("ann: after");
}

#[test]
fn what_is_no_redis_is_told_once() {
    for (answer, reason) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it does not speak Redis's protocol: "),
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        (b"", "it closed the connection"),
    ] {
        let fake = Fake::listen();
        let place = fake.place();
        let attempts = fake.answer_all(answer);
        let north = node(&place, "north");
        let mut ann = Guest::enter(&north, "ann");
        ann.hears(CUT_OFF);
        // Two connections for each of three attempts.
        for _ in 0..6 {
            attempts.recv_timeout(LIMIT).unwrap();
        }
        let ended = north.end(Signal::INT);
        assert!(ended.status.success(), "{ended:?}");
        let complained = ended.complained;
        assert!(complained.starts_with(&format!("chat: Redis at {place}: {reason}")), "{complained}");
        assert_eq!(complained.lines().count(), 1, "{complained}");
    }
}

#[test]
fn a_wrong_option_is_one_line() {
    for place in ["nonsense", "unix:", ":6379", "127.0.0.1:70000"] {
        run("chat", &["--redis", place]).failed_with(2, &format!("invalid value '{place}' for '--redis <ADDRESS>'"));
    }
    run("chat", &["--redis", "127.0.0.1:1", "--node", "two words"]).failed_with(2, "a node's name is one word");
    run("chat", &["--node", "north"]).failed_with(2, "--redis <ADDRESS>");
    // The address of the node is in use: Redis is not asked for long.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    run("chat", &["--addr", &addr]).failed_with(1, "Address already in use");
}
