//! The programs that are wrong on purpose: each fails in the way that its first lines say. What does not happen is told
//! by the kernel, which shows the program asleep over what it owes.

use std::io::{Read, Write};
use std::net::Shutdown;

use pollywog_tests::net::reset;
use pollywog_tests::program::{Program, run};
use pollywog_tests::queues::{
    allow_no_more_descriptors, asleep, asleep_over, backlog, descriptors, held, queues, until,
};
use pollywog_tests::talk::{answered, choke, gets, hears_nothing};

#[test]
fn missed_edge_waits_for_who_waits_for_it() {
    let program = Program::start("missed_edge", &[]);
    let [mut client, other] = [program.connect(), program.connect()];
    client.write_all(b"0123456789abcdef0123456789abcdef01234567").unwrap();
    gets(&client, "0123456789abcdef");
    assert_eq!(asleep_over(&program, &client), 24);
    answered(&other, "a short line\n");
    hears_nothing(&client);
    assert_eq!(asleep_over(&program, &client), 24);
    // One more byte is a new edge, for one more read.
    client.write_all(b"8").unwrap();
    gets(&client, "0123456789abcdef");
    assert_eq!(asleep_over(&program, &client), 9);
    hears_nothing(&client);
}

#[test]
fn accept_once_is_behind_by_one_from_then_on() {
    let program = Program::start("accept_once", &[]);
    answered(&program.connect(), "one at a time, all is well\n");
    let [first, second] = held(&program, || [program.connect(), program.connect()]);
    answered(&first, "first\n");
    (&second).write_all(b"second\n").unwrap();
    asleep(&program);
    assert_eq!(backlog(&program), 1);
    hears_nothing(&second);
    let mut last = second;
    for line in ["second\n", "third\n", "fourth\n"] {
        let next = program.connect();
        gets(&last, line);
        (&next).write_all(if line == "second\n" { b"third\n" } else { b"fourth\n" }).unwrap();
        asleep(&program);
        assert_eq!(backlog(&program), 1);
        hears_nothing(&next);
        last = next;
    }
}

#[test]
fn short_read_eof_does_not_hear_of_an_end_that_comes_with_bytes() {
    let program = Program::start("short_read_eof", &[]);
    let mut later = program.connect();
    answered(&later, "the end comes a moment later\n");
    later.shutdown(Shutdown::Write).unwrap();
    assert_eq!(later.read(&mut [0; 1]).unwrap(), 0);

    let mut client = program.connect();
    answered(&client, "first\n");
    held(&program, || {
        client.write_all(b"last\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        until("both have arrived", || queues(&client)?.close_wait.then_some(()));
    });
    gets(&client, "last\n");
    answered(&program.connect(), "others are answered\n");
    asleep(&program);
    assert!(queues(&client).unwrap().close_wait);
    hears_nothing(&client);
}

#[test]
fn writable_spin_answers_and_never_rests() {
    let mut program = Program::start("writable_spin", &[]);
    let client = program.connect();
    answered(&client, "all seems well\n");
    assert_eq!(program.line().unwrap(), "10000 waits for nothing");
    assert_eq!(program.line().unwrap(), "20000 waits for nothing");
    answered(&client, "all seems well\n");
}

#[test]
fn emfile_stall_is_not_told_of_a_free_descriptor() {
    let mut program = Program::start("emfile_stall", &[]);
    let [first, second] = [program.connect(), program.connect()];
    answered(&first, "first\n");
    answered(&second, "second\n");
    allow_no_more_descriptors(&program);
    let third = program.connect();
    (&third).write_all(b"third\n").unwrap();
    assert_eq!(program.line().unwrap(), "failure 1 of accept: Too many open files (os error 24)");

    let full = descriptors(&program);
    drop(first);
    until("a descriptor is free", || (descriptors(&program) < full).then_some(()));
    answered(&second, "others are answered\n");
    asleep(&program);
    assert_eq!(backlog(&program), 1);
    hears_nothing(&third);

    // Somebody else who comes is an edge; then it is full again.
    let fourth = program.connect();
    gets(&third, "third\n");
    asleep(&program);
    assert_eq!(backlog(&program), 1);
    hears_nothing(&fourth);
}

#[test]
fn emfile_stall_with_levels_spins_until_there_is_a_descriptor() {
    let mut program = Program::start("emfile_stall", &["--level"]);
    let first = program.connect();
    answered(&first, "first\n");
    allow_no_more_descriptors(&program);
    let second = program.connect();
    (&second).write_all(b"second\n").unwrap();
    for count in [1, 10_000, 20_000] {
        let line = format!("failure {count} of accept: Too many open files (os error 24)");
        assert_eq!(program.line().unwrap(), line);
    }
    drop(first);
    gets(&second, "second\n");
}

#[test]
fn blocking_send_stops_for_everybody_until_one_client_reads() {
    let program = Program::start("blocking_send", &[]);
    let [greedy, other] = [program.connect(), program.connect()];
    answered(&other, "all is well\n");
    let sent = choke(&program, &greedy, b'g');
    (&other).write_all(b"and now?\n").unwrap();
    assert_eq!(asleep_over(&program, &other), 9, "readable, and not looked at");
    hears_nothing(&other);
    (&greedy).read_exact(&mut vec![0; sent]).unwrap();
    gets(&other, "and now?\n");
}

#[test]
fn stale_fd_gives_what_was_one_clients_to_the_next() {
    let program = Program::start("stale_fd", &[]);
    let first = program.connect();
    answered(&first, "mine\n");
    let with_it = descriptors(&program);
    choke(&program, &first, b'1');
    reset(first);
    until("its descriptor is closed", || (descriptors(&program) < with_it).then_some(()));
    let second = program.connect();
    (&second).write_all(b"2\n").unwrap();
    gets(&second, "11");
}

#[test]
fn busy_handler_answers_nobody_before_it_is_done() {
    let mut program = Program::start("busy_handler", &[]);
    let [much, little] = [program.connect(), program.connect()];
    answered(&little, "all is well\n");
    (&much).write_all(b"count 30000000\n").unwrap();
    assert_eq!(program.line().unwrap(), "counting");
    answered(&little, "and now?\n");
    much.set_nonblocking(true).unwrap();
    gets(&much, "30000000\n");
}

#[test]
fn busy_handler_answers_at_once_when_the_work_is_done_aside() {
    let mut program = Program::start("busy_handler", &["--aside"]);
    let [much, little] = [program.connect(), program.connect()];
    (&much).write_all(format!("count {}\n", u64::MAX).as_bytes()).unwrap();
    assert_eq!(program.line().unwrap(), "counting");
    answered(&little, "and now?\n");
    hears_nothing(&much);
}

#[test]
fn lost_wakeup_loses_it_three_ways_and_not_the_fourth() {
    let says = |way| {
        let ended = run("lost_wakeup", &["--way", way]);
        assert!(ended.status.success(), "{ended:?}");
        ended.said
    };
    for way in ["a", "b", "c"] {
        assert_eq!(says(way), "the wake was lost: it is over, and nobody is left to say so\n", "{way}");
    }
    assert_eq!(says("d"), "it is over, and was noticed\n");
}
