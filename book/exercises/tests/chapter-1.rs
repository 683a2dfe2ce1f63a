//! Exercises of chapter 1.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use pollywog_exercises::{Watched, bounded};

/// What a run has cost, as `waiting` shows it: times in milliseconds, and how often the thread left the processor.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// By the clock on the wall.
    pub wall: u64,
    /// On a processor, in the program.
    pub user: u64,
    /// On a processor, in the kernel.
    pub system: u64,
    /// It had to wait.
    pub voluntary: u64,
    /// It could have gone on.
    pub involuntary: u64,
}

/// What would make it faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It computes: less work, or more processors.
    ComputeLess,
    /// It asks the kernel all the time: fewer, larger calls.
    AskLess,
    /// It waits for somebody else: wait for several at once.
    WaitTogether,
    /// It is ready to go on and gets no turn: fewer programs on this machine.
    GetATurn,
}

/// 1.1: What would make a program faster that has cost this much?
#[cfg(not(feature = "solutions"))]
fn remedy(cost: Cost) -> Remedy {
    todo!("1.1: {cost:?}: on the processor or off it? Where on it, and why off it?")
}
#[cfg(feature = "solutions")]
fn remedy(cost: Cost) -> Remedy {
    let on = cost.user + cost.system;
    if 2 * on < cost.wall {
        // Off the processor: who went by itself waits for somebody, who was taken off waits for a turn.
        if cost.voluntary > cost.involuntary { Remedy::WaitTogether } else { Remedy::GetATurn }
    } else if cost.system > cost.user {
        Remedy::AskLess
    } else {
        Remedy::ComputeLess
    }
}

#[test]
fn a_program_that_adds_numbers_computes() {
    let cost = Cost { wall: 410, user: 402, system: 3, voluntary: 0, involuntary: 9 };
    assert_eq!(remedy(cost), Remedy::ComputeLess);
}

/// It went by itself, twelve times in all: what has it gained if it need not?
#[test]
fn a_program_that_adds_numbers_and_waits_a_little_computes() {
    let cost = Cost { wall: 410, user: 402, system: 3, voluntary: 12, involuntary: 1 };
    assert_eq!(remedy(cost), Remedy::ComputeLess);
}

#[test]
fn a_program_that_copies_a_file_byte_by_byte_asks_the_kernel() {
    let cost = Cost { wall: 950, user: 210, system: 730, voluntary: 1, involuntary: 14 };
    assert_eq!(remedy(cost), Remedy::AskLess);
}

#[test]
fn a_program_that_asks_a_far_server_twenty_times_waits() {
    let cost = Cost { wall: 2_040, user: 4, system: 6, voluntary: 21, involuntary: 2 };
    assert_eq!(remedy(cost), Remedy::WaitTogether);
}

/// It is off the processor for most of the time, and no faster network would help it.
#[test]
fn a_program_that_adds_numbers_on_a_busy_machine_wants_a_turn() {
    for voluntary in [0, 3] {
        let cost = Cost { wall: 4_087, user: 398, system: 5, voluntary, involuntary: 1_886 };
        assert_eq!(remedy(cost), Remedy::GetATurn);
    }
}

/// 1.2: Sends "what?\n" to each server, and gives the lines that they answer, each with its "\n", in the order of the
/// servers. On one thread.
#[cfg(not(feature = "solutions"))]
fn ask_all(servers: &[TcpStream]) -> io::Result<Vec<String>> {
    // It works while each server minds only its own client. Those of the test do not.
    let mut answers = Vec::new();
    for mut server in servers {
        server.write_all(b"what?\n")?;
        let mut line = String::new();
        BufReader::new(server).read_line(&mut line)?;
        answers.push(line);
    }
    Ok(answers)
}
#[cfg(feature = "solutions")]
fn ask_all(servers: &[TcpStream]) -> io::Result<Vec<String>> {
    // All questions first: while one answer is awaited, the others are on their way.
    for mut server in servers {
        server.write_all(b"what?\n")?;
    }
    let mut answers = Vec::new();
    for server in servers {
        let mut line = String::new();
        BufReader::new(server).read_line(&mut line)?;
        answers.push(line);
    }
    Ok(answers)
}

#[test]
fn four_servers_that_think_together_answer_all() {
    let answers = bounded(
        Duration::from_secs(10),
        "1.2: nobody answers before all four have been asked, and nobody hangs up",
        || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let clients = [(); 4].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let asking = Watched::this_thread();
            let thinking = thread::Builder::new().name("thinking".to_owned()).spawn(move || {
                let mut servers: Vec<_> = (0..4).map(|_| listener.accept().unwrap().0).collect();
                for server in &servers {
                    let mut question = String::new();
                    BufReader::new(server).read_line(&mut question).unwrap();
                    assert_eq!(question, "what?\n");
                }
                let threads = asking.threads();
                for (number, server) in servers.iter_mut().enumerate() {
                    // A line may come in pieces.
                    server.write_all(b"answer ").unwrap();
                    thread::sleep(Duration::from_millis(20));
                    writeln!(server, "{number}").unwrap();
                }
                (servers, threads)
            });
            let answers = ask_all(&clients).unwrap();
            // Who has answered does not hang up.
            let (servers, threads) = thinking.unwrap().join().unwrap();
            drop(servers);
            assert_eq!(threads, 1, "1.2: one thread is enough");
            answers
        },
    );
    assert_eq!(answers, ["answer 0\n", "answer 1\n", "answer 2\n", "answer 3\n"]);
}
