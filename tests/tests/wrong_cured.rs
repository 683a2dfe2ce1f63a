//! What the wrong programs fail at, done by the server models that are right.

use std::io::{Read, Write};
use std::net::Shutdown;

use pollywog_tests::net::reset;
use pollywog_tests::program::Program;
use pollywog_tests::queues::{allow_no_more_descriptors, asleep, backlog, descriptors, held, queues, until};
use pollywog_tests::talk::{answered, choke, gets};

/// The models that watch many clients on one thread, and sleep when there is nothing to do.
const WATCHING: [&str; 5] = ["select", "poll", "epoll_level", "epoll_edge", "mio_loop"];

#[test]
fn a_line_longer_than_a_buffer_comes_back_whole() {
    let line = "x".repeat(10_000) + "\n";
    for model in WATCHING {
        answered(&Program::start(model, &[]).connect(), &line);
    }
}

#[test]
fn two_clients_who_come_at_once_are_both_accepted() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        answered(&program.connect(), "one at a time\n");
        let [first, second] = held(&program, || [program.connect(), program.connect()]);
        answered(&second, "second\n");
        answered(&first, "first\n");
        assert_eq!(backlog(&program), 0, "{model}");
    }
}

#[test]
fn an_end_that_comes_with_bytes_is_heard() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        let mut client = program.connect();
        answered(&client, "first\n");
        held(&program, || {
            client.write_all(b"last\n").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            until("both have arrived", || queues(&client)?.close_wait.then_some(()));
        });
        gets(&client, "last\n");
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "{model}");
    }
}

#[test]
fn who_has_nothing_to_do_sleeps() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        let client = program.connect();
        answered(&client, "a line\n");
        asleep(&program);
    }
}

#[test]
fn who_finds_no_descriptor_is_served_when_there_is_one() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        let [first, second] = [program.connect(), program.connect()];
        answered(&first, "first\n");
        answered(&second, "second\n");
        allow_no_more_descriptors(&program);
        let third = program.connect();
        (&third).write_all(b"third\n").unwrap();
        answered(&second, "others are answered\n");
        assert_eq!(backlog(&program), 1, "{model}");
        drop(first);
        gets(&third, "third\n");
    }
}

#[test]
fn one_client_who_does_not_read_holds_up_nobody() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        let [greedy, other] = [program.connect(), program.connect()];
        answered(&other, "all is well\n");
        let sent = choke(&program, &greedy, b'1');
        answered(&other, "and now?\n");
        (&greedy).read_exact(&mut vec![0; sent]).unwrap();
    }
}

#[test]
fn the_next_client_gets_nothing_of_the_one_before() {
    for model in WATCHING {
        let program = Program::start(model, &[]);
        let first = program.connect();
        answered(&first, "mine\n");
        let with_it = descriptors(&program);
        choke(&program, &first, b'1');
        reset(first);
        until("its descriptor is closed", || (descriptors(&program) < with_it).then_some(()));
        answered(&program.connect(), "2\n");
    }
}
