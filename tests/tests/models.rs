//! Every server model of the book: what each of them owes its clients, whatever it is made of.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_examples::models::{MODELS, Model};
use pollywog_tests::limits::{has, in_child, may_have_descriptors};
use pollywog_tests::model::{
    Deaf, answer, ask, attach, byte, each, is_sent_away, is_silent, rest, sleeps, start, start_with_descriptors,
    with_small_buffers,
};
use pollywog_tests::program::{LIMIT, Program, Signal, path, run};
use pollywog_tests::queues::{held, queues, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

/// As many clients as a test has at once.
const SOME: usize = 50;

fn any(_: &Model) -> bool {
    true
}

fn serves_several(model: &Model) -> bool {
    model.clients > 1
}

/// The one that never waits is asked nothing about waiting.
fn waits(model: &Model) -> bool {
    model.name != "spinning"
}

fn by_name(test: &str, name: &str) -> Option<Program> {
    start(test, MODELS.iter().find(|model| model.name == name).unwrap())
}

#[test]
fn each_answers_netcat() {
    const NAME: &str = "each_answers_netcat";
    if !has(NAME, "nc") {
        return;
    }
    each(NAME, any, |_, program| {
        let mut nc = Command::new("nc");
        nc.args(["-N", "-w", "60", "127.0.0.1", &program.addr().port().to_string()]);
        let mut nc = nc.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        nc.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
        let output = nc.wait_with_output().unwrap();
        assert!(output.status.success(), "nc ended with {}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
    });
}

#[test]
fn each_serves_its_number_of_clients_at_once() {
    each("each_serves_its_number_of_clients_at_once", any, |model, program| {
        let mut clients: Vec<TcpStream> = (0..model.clients.min(SOME)).map(|_| program.connect()).collect();
        let words: Vec<String> = (0..clients.len()).map(|number| format!("{number} and\nmore\n")).collect();
        // A byte of each, and then the next of each: nobody's word is whole before everybody's is.
        for at in 0..words[0].len() {
            for (client, word) in clients.iter_mut().zip(&words) {
                client.write_all(&word.as_bytes()[at..=at]).unwrap();
            }
            for (client, word) in clients.iter_mut().zip(&words).rev() {
                answer(client, &word.as_bytes()[at..=at]);
            }
        }
    });
}

#[test]
fn one_more_than_the_number_waits_until_another_leaves() {
    let test = "one_more_than_the_number_waits_until_another_leaves";
    each(
        test,
        |model| model.clients < SOME,
        |model, program| {
            let mut clients: Vec<TcpStream> = (0..model.clients).map(|_| program.connect()).collect();
            for client in &mut clients {
                ask(client, b"served");
            }
            let mut waits = program.connect();
            waits.write_all(b"waits\n").unwrap();
            ask(&mut clients[0], b"still served");
            assert!(is_silent(&mut waits));
            drop(clients.pop());
            answer(&mut waits, b"waits\n");
        },
    );
}

#[test]
fn each_gives_a_megabyte_back_through_small_buffers() {
    each("each_gives_a_megabyte_back_through_small_buffers", any, |_, program| {
        let mut stream = with_small_buffers(program.addr());
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            let bytes: Vec<u8> = (0..1 << 20).map(byte).collect();
            // Nothing that a buffer is a multiple of.
            bytes.chunks(4099).for_each(|piece| writer.write_all(piece).unwrap());
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(rest(&mut stream), 1 << 20);
        writing.join().unwrap();
    });
}

#[test]
fn each_gives_a_half_closed_client_all_its_bytes() {
    each("each_gives_a_half_closed_client_all_its_bytes", any, |_, program| {
        let mut stream = program.connect();
        let bytes: Vec<u8> = (0..1 << 15).map(byte).collect();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut stream), bytes.len());
        // The end came, so nobody is left behind who keeps the connection.
        ask(&mut program.connect(), b"the next one");
    });
}

/// All that there is to be told was told once, when the program looks for the first time.
#[test]
fn each_finds_what_came_while_it_stood_still() {
    each("each_finds_what_came_while_it_stood_still", any, |_, program| {
        // More reads than a client has in one turn, and no more than a connection holds that nobody has accepted.
        let bytes: Vec<u8> = (0..63 << 10).map(byte).collect();
        let mut stream = held(&program, || {
            let mut stream = program.connect();
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            until("all of it has arrived", || queues(&stream)?.close_wait.then_some(()));
            stream
        });
        assert_eq!(rest(&mut stream), bytes.len());
    });
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up_and_loses_nothing() {
    let test = "a_client_that_does_not_read_holds_nobody_up_and_loses_nothing";
    each(test, serves_several, |model, program| {
        let mut other = program.connect();
        ask(&mut other, b"before");
        let deaf = Deaf::start(&program);
        // Until it has been held up for many words of the other one.
        let (mut still, mut before) = (0, 0);
        while still < 200 {
            ask(&mut other, b"and on we go");
            let now = deaf.sent();
            assert!(now < Deaf::TOO_MUCH, "it is read from though it takes nothing");
            still = if now > 0 && now == before && deaf.is_held_up() { still + 1 } else { 0 };
            before = now;
        }
        if waits(model) {
            sleeps(&program);
        }
        ask(&mut program.connect(), b"a new one");
        deaf.listen();
        ask(&mut other, b"after");
    });
}

#[test]
fn an_error_ends_its_own_connection_alone() {
    each("an_error_ends_its_own_connection_alone", any, |model, program| {
        let mut stays = (model.clients > 1).then(|| program.connect());
        if let Some(stays) = &mut stays {
            ask(stays, b"before");
        }
        for _ in 0..10 {
            let mut breaks = program.connect();
            ask(&mut breaks, b"soon gone");
            SockRef::from(&breaks).set_linger(Some(Duration::ZERO)).unwrap();
        }
        if let Some(stays) = &mut stays {
            ask(stays, b"after");
        }
        ask(&mut program.connect(), b"new");
    });
}

#[test]
fn who_has_nothing_to_do_sleeps() {
    each("who_has_nothing_to_do_sleeps", waits, |model, program| {
        let mut clients: Vec<TcpStream> = (0..model.clients.min(SOME)).map(|_| program.connect()).collect();
        sleeps(&program);
        for client in &mut clients {
            ask(client, b"a word");
        }
        sleeps(&program);
    });
}

#[test]
fn a_pause_of_the_process_is_no_error() {
    each("a_pause_of_the_process_is_no_error", any, |model, program| {
        let mut stream = program.connect();
        ask(&mut stream, b"before");
        // The signal is to find it in the call that waits.
        if waits(model) {
            sleeps(&program);
        }
        program.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", program.id());
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            thread::yield_now();
        }
        program.signal(Signal::CONT);
        ask(&mut stream, b"after");
    });
}

/// More clients than descriptors: those that are connected are served, the others wait in the kernel's queue.
#[test]
fn clients_without_a_descriptor_wait_in_the_queue() {
    const DESCRIPTORS: usize = 32;
    for model in MODELS.iter().filter(|model| model.clients > DESCRIPTORS) {
        println!("{}", model.name);
        let test = "clients_without_a_descriptor_wait_in_the_queue";
        let Some(program) = start_with_descriptors(test, model, DESCRIPTORS) else { continue };
        let mut clients: Vec<TcpStream> = (0..2 * DESCRIPTORS).map(|_| program.connect()).collect();
        for client in &mut clients {
            client.write_all(b"a word").unwrap();
        }
        let mut first = clients.remove(0);
        answer(&mut first, b"a word");
        ask(&mut first, b"another one");
        if waits(model) {
            sleeps(&program);
        }
        // Each that has its word leaves, and gives a descriptor back.
        for mut client in clients {
            answer(&mut client, b"a word");
        }
    }
}

#[test]
fn forking_has_no_zombies_but_the_latest() {
    let Some(program) = by_name("forking_has_no_zombies_but_the_latest", "forking") else { return };
    let children = format!("/proc/{0}/task/{0}/children", program.id());
    let count = || fs::read_to_string(&children).unwrap().split_whitespace().count();
    for _ in 0..20 {
        ask(&mut program.connect(), b"a word");
    }
    // A client that comes has those counted out who have ended; the last ones may be about to.
    let start = Instant::now();
    while count() > 3 {
        assert!(start.elapsed() < LIMIT, "{} children", count());
        ask(&mut program.connect(), b"a word");
    }
}

/// The system refuses a process, or a thread: that client is sent away, and nobody else.
#[test]
fn a_client_without_a_process_or_a_thread_is_sent_away() {
    const NAME: &str = "a_client_without_a_process_or_a_thread_is_sent_away";
    for name in ["forking", "threaded"] {
        let Some(program) = by_name(NAME, name) else { return };
        let mut before = program.connect();
        ask(&mut before, b"before");
        let Some(mut strace) =
            attach(NAME, &program, &["-o", "/dev/null", "-e", "inject=clone,clone3:error=EAGAIN:when=1"])
        else {
            return;
        };
        assert!(is_sent_away(&mut program.connect()), "{name}");
        ask(&mut before, b"still here");
        ask(&mut program.connect(), b"the next one");
        drop(program);
        strace.wait().unwrap();
    }
}

#[test]
fn select_sends_an_urgent_byte_back_and_goes_on() {
    let Some(program) = by_name("select_sends_an_urgent_byte_back_and_goes_on", "select") else { return };
    let mut stream = program.connect();
    ask(&mut stream, b"before");
    for _ in 0..3 {
        SockRef::from(&stream).send_out_of_band(b"!").unwrap();
        answer(&mut stream, b"!");
        sleeps(&program);
    }
    ask(&mut stream, b"after");
}

/// The sets have 1,024 bits: who gets a higher number is sent away, with a line that says so, and the others stay.
#[test]
fn select_sends_those_away_whom_its_sets_cannot_hold() {
    const NAME: &str = "select_sends_those_away_whom_its_sets_cannot_hold";
    const CLIENTS: u64 = 1100;
    if !may_have_descriptors(NAME, 2 * CLIENTS) {
        return;
    }
    in_child(NAME, || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let Some(program) = by_name(NAME, "select") else { return };
        // The next client gets the number that follows.
        let open = fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap().count() as u64;
        let mut held: Vec<TcpStream> = Vec::new();
        for number in open..CLIENTS {
            let mut client = program.connect();
            if number < 1024 {
                ask(&mut client, b"a word");
                held.push(client);
            } else {
                assert!(is_sent_away(&mut client), "{number}");
            }
        }
        ask(&mut held[0], b"still here");
        ask(held.last_mut().unwrap(), b"still here");
        let ended = program.end(Signal::TERM);
        let line = "select: a client is sent away: select cannot watch descriptor 1024, only those below 1024\n";
        assert_eq!(ended.complained, line.repeat(CLIENTS as usize - 1024));
    });
}

#[test]
fn cost_tells_what_a_client_costs_each_of_four() {
    for server in ["iterative", "forking", "threaded", "pooled", "epoll_level"] {
        path(server);
    }
    let figure = std::env::temp_dir().join(format!("pollywog-cost-{}.svg", std::process::id()));
    let ended = run("cost", &["--clients", "20", "--lines", "20", "--figure", figure.to_str().unwrap()]);
    let drawn = fs::read_to_string(&figure);
    let _ = fs::remove_file(&figure);
    assert!(ended.status.success(), "{ended:?}");
    let rows: Vec<Vec<&str>> = ended.said.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
    let tasks: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    // One of the threads of the pool is there without clients: that of the iterative server.
    assert_eq!(tasks, [("forking", "1.00"), ("threaded", "1.00"), ("pooled", "0.95"), ("epoll_level", "0.00")]);
    let switches = |row: usize| rows[row][8].parse::<f64>().unwrap();
    assert!((0..4).all(|row| switches(row) > 0.0), "{}", ended.said);
    assert!(drawn.unwrap().contains("<title>What one client costs</title>"));
}
