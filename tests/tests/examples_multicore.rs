//! The example `multicore`: every core serves, and says how many.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use pollywog_tests::program::{Program, Signal, bounded, path, run};

/// A word there and back.
fn ask(stream: &mut TcpStream, word: &[u8]) {
    stream.write_all(word).unwrap();
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, word);
}

/// What a line says that each core has accepted; the sum is right.
fn accepted(line: &str) -> Vec<u64> {
    let (sum, counts) = line.strip_prefix("accepted ").and_then(|line| line.split_once(" connections: ")).unwrap();
    let counts: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
    assert_eq!(sum.parse::<u64>().unwrap(), counts.iter().sum::<u64>());
    counts
}

#[test]
fn every_core_serves_and_the_last_line_counts_all_connections() {
    const CONNECTIONS: u64 = 96;
    for signal in [Signal::INT, Signal::TERM] {
        let multicore = Program::start("multicore", &["--cores", "2"]);
        let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| multicore.connect()).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            ask(stream, format!("hello {number}").as_bytes());
        }
        let ended = multicore.end(signal);
        assert!(ended.status.success() && ended.complained.is_empty(), "{ended:?}");
        let counts = accepted(ended.said.lines().last().unwrap());
        assert_eq!((counts.len(), counts.iter().sum::<u64>()), (2, CONNECTIONS));
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        for stream in &mut streams {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "its connections are closed");
        }
    }
}

/// Which processors each thread of a core may run on, as the kernel writes it.
fn affinities(process: u32) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let field = |status: &str, name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let all = status.map(|status| (field(&status, "Name:"), field(&status, "Cpus_allowed_list:")));
    all.filter(|(name, _)| name.starts_with("pollywog-")).collect()
}

#[test]
fn pin_keeps_each_thread_on_one_processor() {
    let free = Program::start("multicore", &["--cores", "3"]);
    let names = ["pollywog-0", "pollywog-1", "pollywog-2"];
    assert_eq!(affinities(free.id()).keys().collect::<Vec<_>>(), names);
    let pinned = Program::start("multicore", &["--cores", "3", "--pin"]);
    let affinities = affinities(pinned.id());
    assert_eq!(affinities.keys().collect::<Vec<_>>(), names);
    assert!(affinities.values().all(|list| list.parse::<usize>().is_ok()), "{affinities:?}");
    ask(&mut pinned.connect(), b"hello");
    assert!(pinned.end(Signal::INT).status.success());
    assert!(free.end(Signal::INT).status.success());
}

/// Killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_now_and_then_what_is_new() {
    let mut command = Command::new(path("multicore"));
    command.args(["--addr", "127.0.0.1:0", "--cores", "2", "--every", "1"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut multicore = Killed(command.spawn().unwrap());
    let mut lines = BufReader::new(multicore.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let addr = lines.next().unwrap().strip_prefix("listening on ").unwrap().to_owned();
    let mut streams = Vec::new();
    for total in 1..=2 {
        streams.push(bounded(TcpStream::connect(&addr).unwrap()));
        ask(streams.last_mut().unwrap(), b"hello");
        assert_eq!(accepted(&lines.next().unwrap()).iter().sum::<u64>(), total);
    }
}

#[test]
fn what_makes_no_sense_is_one_line() {
    run("multicore", &["--cores", "0"]).failed_with(1, "multicore: 0 cores run nothing: ask for one at least");
    run("multicore", &["--cores", "2000"]).failed_with(1, "a process can have 1024 runtimes");
    run("multicore", &["--every", "0"]).failed_with(2, "multicore: invalid value '0' for '--every <SECONDS>'");
    run("multicore", &["--addr", "7007"]).failed_with(2, "multicore: invalid value '7007' for '--addr <HOST:PORT>'");
    run("multicore", &["--colour"]).failed_with(2, "multicore: unexpected argument '--colour' found");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    run("multicore", &["--addr", &addr]).failed_with(1, &format!("cannot listen on {addr}: Address already in use"));
}

#[test]
fn help_explains_every_option() {
    let help = run("multicore", &["--help"]);
    assert!(help.status.success() && help.complained.is_empty(), "{help:?}");
    for option in ["--addr", "127.0.0.1:7007", "--cores", "--pin", "--every"] {
        assert!(help.said.contains(option), "no {option} in:\n{}", help.said);
    }
}
