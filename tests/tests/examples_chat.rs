//! The example `chat`: who hears what, and that nobody is held up.

use std::io::BufReader;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use pollywog_tests::guest::Guest;
use pollywog_tests::program::{Program, Signal, bounded};
use pollywog_tests::queues::{keepalive, queues, until};
use socket2::{Domain, Socket, Type};

/// Two guests who know of each other.
fn two(chat: &Program) -> (Guest, Guest) {
    let mut ann = Guest::enter(chat, "ann");
    let bob = Guest::enter(chat, "bob");
    assert_eq!(ann.hear(), "* bob is here");
    (ann, bob)
}

#[test]
fn each_hears_the_other_and_not_oneself() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.say("hello, bob");
    assert_eq!(bob.hear(), "ann: hello, bob");
    bob.say("hello, ann");
    assert_eq!(ann.hear(), "bob: hello, ann");
}

#[test]
fn who_names_everybody() {
    let chat = Program::start("chat", &[]);
    let (mut ann, _bob) = two(&chat);
    ann.say("/who");
    assert_eq!(ann.hear(), "* in the room: ann, bob");
}

/// A line has an end, however many there are: sixty-four of them wait for who does not read.
#[test]
fn who_names_thirty_and_counts_the_others() {
    let chat = Program::start("chat", &[]);
    let mut guests: Vec<_> = (0..33).map(|number| Guest::enter(&chat, &format!("guest-{number:02}"))).collect();
    let first: Vec<_> = (0..30).map(|number| format!("guest-{number:02}")).collect();
    let last = &mut guests[32];
    last.say("/who");
    last.hears(&format!("* in the room: {} and 3 more", first.join(", ")));
    for (number, guest) in guests.iter_mut().enumerate() {
        guest.say(&format!("/join room-{number:02}"));
    }
    let last = &mut guests[32];
    while !last.hear().starts_with("* you are in room-32 now") {}
    let rooms: Vec<_> = (0..30).map(|number| format!("room-{number:02} (1)")).collect();
    until("all are in rooms of their own", || {
        last.say("/rooms");
        (last.hear() == format!("* rooms: {} and 3 more", rooms.join(", "))).then_some(())
    });
}

#[test]
fn a_new_name_is_told_to_all_and_used() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.say("/nick anna");
    assert_eq!(ann.hear(), "* you are anna now");
    assert_eq!(bob.hear(), "* ann is anna now");
    ann.say("as I said");
    assert_eq!(bob.hear(), "anna: as I said");
    bob.say("/who");
    assert_eq!(bob.hear(), "* in the room: anna, bob");
    let mut late = Guest::enter(&chat, "ann");
    assert_eq!(ann.hear(), "* ann is here");
    late.say("the name was free");
    assert_eq!(ann.hear(), "ann: the name was free");
}

#[test]
fn a_name_is_one_word_and_nobody_elses() {
    let chat = Program::start("chat", &[]);
    let (mut ann, _bob) = two(&chat);
    ann.say("/nick bob");
    assert_eq!(ann.hear(), "* that name is taken");
    let mut late = Guest::connect(&chat);
    late.say("ann");
    assert_eq!(late.hear(), "* that name is taken. Another name?");
    for name in ["", "two words", "/who", "*", "ann:", "ann@south", "a-name-that-is-very-much-too-long"] {
        late.say(name);
        assert_eq!(late.hear(), "* a name is one word of at most 24 bytes. Another name?", "{name}");
    }
    late.say("cleo");
    assert_eq!(late.hear(), "* welcome, cleo. In the room: ann, bob, cleo");
}

#[test]
fn who_leaves_is_said_goodbye_to_and_missed() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    bob.say("/quit");
    assert_eq!(bob.hear(), "* goodbye");
    bob.hears_the_end();
    assert_eq!(ann.hear(), "* bob has left");

    let cleo = Guest::enter(&chat, "cleo");
    assert_eq!(ann.hear(), "* cleo is here");
    drop(cleo);
    assert_eq!(ann.hear(), "* cleo has left");
    ann.say("/who");
    assert_eq!(ann.hear(), "* in the room: ann");
}

#[test]
fn an_unknown_command_is_for_its_sender_alone() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.say("/dance");
    assert_eq!(ann.hear(), "* there are /who, /nick NEW, /join ROOM, /rooms and /quit");
    ann.say("never mind");
    assert_eq!(bob.hear(), "ann: never mind");
}

#[test]
fn any_bytes_are_made_readable() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.send(b"\xff\xfe \x1b[2J\x00bell\x07\r\n");
    assert_eq!(bob.hear(), "ann: \u{fffd}\u{fffd} [2Jbell");
}

#[test]
fn a_line_may_come_byte_by_byte_and_two_at_once() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.0.get_ref().set_nodelay(true).unwrap();
    for byte in b"slowly\n" {
        ann.send(&[*byte]);
    }
    assert_eq!(bob.hear(), "ann: slowly");
    ann.send(b"one\ntwo\n");
    assert_eq!((bob.hear(), bob.hear()), ("ann: one".to_owned(), "ann: two".to_owned()));
}

#[test]
fn a_line_that_is_too_long_becomes_several() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.say(&"x".repeat(2_500));
    for length in [1_024, 1_024, 452] {
        assert_eq!(bob.hear(), format!("ann: {}", "x".repeat(length)));
    }
}

/// Those who listen get every line, however fast it comes.
#[test]
fn a_burst_is_heard_in_full() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    let burst: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    ann.send(burst.as_bytes());
    for number in 0..1_000 {
        assert_eq!(bob.hear(), format!("ann: {number}"));
    }
}

#[test]
fn who_never_reads_holds_nobody_up() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    let mut slow = slow(&chat);
    for guest in [&mut ann, &mut bob] {
        assert_eq!(guest.hear(), "* slow is here");
    }

    // Far more than the buffers between the server and the guest hold. Bob hears each line before the next is said.
    let before = memory(&chat);
    for number in 0..10_000 {
        let line = format!("{number:05}{}", "x".repeat(995));
        ann.say(&line);
        assert_eq!(bob.hear(), format!("ann: {line}"));
    }
    let grown = memory(&chat).saturating_sub(before);
    // A sanitizer keeps what was freed.
    if std::env::var_os("POLLYWOG_SANITIZER").is_none() {
        assert!(grown < 4 << 20, "the server keeps what nobody reads: {grown} bytes more");
    }

    // Who begins to read after all is told what is missing.
    let mut missed = None;
    while missed.is_none() {
        let line = slow.hear();
        missed = line.strip_prefix("* you were too slow for ").map(str::to_owned);
    }
    let missed: usize = missed.unwrap().strip_suffix(" lines").unwrap().parse().unwrap();
    assert!((1..10_000).contains(&missed), "{missed}");
    assert!(chat.end(Signal::INT).status.success());
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

/// The memory of the server, in bytes.
fn memory(chat: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", chat.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn who_has_no_more_to_say_is_let_go() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    bob.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(ann.hear(), "* bob has left");
    assert_eq!(bob.hear(), "* goodbye");
    bob.hears_the_end();
}

#[test]
fn who_gives_no_name_is_let_go() {
    let chat = Program::start("chat", &["--name-timeout", "5"]);
    let mut ann = Guest::enter(&chat, "ann");
    let (mut silent, mut dull) = (Guest::connect(&chat), Guest::connect(&chat));
    dull.say("ann");
    dull.hears("* that name is taken. Another name?");
    dull.send(b"b");
    for guest in [&mut silent, &mut dull] {
        guest.hears("* no name in 5s: goodbye");
        guest.hears_the_end();
    }
    ann.say("/who");
    ann.hears("* in the room: ann");
}

#[test]
fn one_more_than_are_served_waits() {
    let chat = Program::start("chat", &["--max-connections", "2"]);
    let (mut ann, mut bob) = two(&chat);
    let mut cleo = Guest(BufReader::new(chat.connect()));
    cleo.say("cleo");
    for number in 0..10 {
        ann.say(&number.to_string());
        bob.hears(&format!("ann: {number}"));
        assert!(queues(cleo.0.get_ref()).unwrap().unread > 0, "nobody has read her name");
    }
    bob.say("/quit");
    ann.hears("* bob has left");
    ann.hears("* cleo is here");
    cleo.hears("* hello! What is your name?");
}

/// Who is gone without a word is found out by the system, since a member may be silent.
#[test]
fn the_system_asks_whether_a_silent_member_is_there() {
    let chat = Program::start("chat", &[]);
    let ann = Guest::enter(&chat, "ann");
    let asked = keepalive(ann.0.get_ref()).expect("it is asked");
    assert!(asked <= Duration::from_secs(60), "{asked:?}");
}

#[test]
fn rooms_hear_nothing_of_each_other() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    ann.say("/join tea");
    ann.hears("* you are in tea now. In the room: ann");
    bob.hears("* ann has left");
    ann.say("nobody hears this");
    bob.say("nor this");
    bob.say("/rooms");
    bob.hears("* rooms: lobby (1), tea (1)");
    bob.say("/nick ann");
    bob.hears("* that name is taken");
    bob.say("/join tea");
    bob.hears("* you are in tea now. In the room: ann, bob");
    ann.hears("* bob is here");
    ann.say("hello");
    bob.hears("ann: hello");
    ann.say("/join lobby");
    ann.hears("* you are in lobby now. In the room: ann");
    bob.hears("* ann has left");
    bob.say("/rooms");
    bob.hears("* rooms: lobby (1), tea (1)");
}

#[test]
fn a_room_is_one_word_and_another_one() {
    let chat = Program::start("chat", &[]);
    let mut ann = Guest::enter(&chat, "ann");
    for room in ["", "two words", "/who", "a:b", "a-name-that-is-very-much-too-long"] {
        ann.say(&format!("/join {room}"));
        ann.hears("* a room is one word of at most 24 bytes");
    }
    ann.say("/join lobby");
    ann.hears("* you are there");
}

#[test]
fn everybody_is_told_that_the_server_closes_after_what_was_said() {
    let chat = Program::start("chat", &[]);
    let (mut ann, mut bob) = two(&chat);
    let mut nobody = Guest::connect(&chat);
    ann.say("the last word");
    bob.hears("ann: the last word");
    let ended = chat.end(Signal::TERM);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.said, "the room is closed\n");
    for guest in [&mut ann, &mut bob, &mut nobody] {
        guest.hears("* the server closes");
        guest.hears_the_end();
    }
}

/// However many leave at the end, nobody's queue is full of that.
#[test]
fn who_says_something_at_the_end_hears_all_that_was_said_before() {
    let chat = Program::start("chat", &[]);
    let mut slow = slow(&chat);
    slow.hears("* hello! What is your name?");
    slow.hears("* welcome, slow. In the room: slow");
    let mut ann = Guest::enter(&chat, "ann");
    slow.hears("* ann is here");
    let lines: Vec<_> = (0..30).map(|number| format!("{number} {}", "x".repeat(900))).collect();
    for line in &lines {
        ann.say(line);
        ann.say("/rooms");
        ann.hears("* rooms: lobby (2)");
    }
    let ending = thread::spawn(move || chat.end(Signal::TERM));
    ann.hears("* the server closes");
    ann.hears_the_end();
    slow.say("what did you say?");
    for line in &lines {
        slow.hears(&format!("ann: {line}"));
    }
    slow.hears("* the server closes");
    slow.hears_the_end();
    drop((slow, ann));
    assert!(ending.join().unwrap().status.success());
}

#[test]
fn the_end_is_heard_in_a_full_room() {
    let chat = Program::start("chat", &[]);
    let mut guests: Vec<_> = (0..200).map(|number| Guest::enter(&chat, &format!("guest-{number}"))).collect();
    assert!(chat.end(Signal::TERM).status.success());
    for (number, guest) in guests.iter_mut().enumerate() {
        for later in number + 1..200 {
            guest.hears(&format!("* guest-{later} is here"));
        }
        guest.hears("* the server closes");
        guest.hears_the_end();
    }
}
