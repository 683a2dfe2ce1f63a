//! The loads of the example `client`, against servers that count what they get, and stall when the test wants it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pollywog_tests::program::{Ended, bounded, path, run};
use serde_json::Value;

const SIZE: usize = 16;

/// A server that accepts so many connections and does `serve` with each: where it listens, and what came of each.
fn server<T: Send + 'static>(
    connections: usize,
    serve: impl Fn(usize, TcpStream) -> T + Clone + Send + 'static,
) -> (String, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let connections: Vec<_> = (0..connections)
            .map(|number| {
                let (stream, serve) = (bounded(listener.accept().unwrap().0), serve.clone());
                thread::spawn(move || serve(number, stream))
            })
            .collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).collect()
    });
    (addr, server)
}

/// Sends everything back until the client says that it writes no more: how many bytes that were.
fn echo(mut stream: TcpStream) -> usize {
    let (mut buffer, mut total) = ([0; 4096], 0);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return total;
        }
        stream.write_all(&buffer[..count]).unwrap();
        total += count;
    }
}

/// The same line by line, so that bytes can be counted in lines.
fn echo_lines(mut stream: TcpStream) -> usize {
    let mut line = [0; SIZE];
    for lines in 0.. {
        match stream.read_exact(&mut line) {
            Ok(()) => stream.write_all(&line).unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                return lines;
            }
        }
    }
    unreachable!()
}

fn load(addr: &str, arguments: &str) -> (Ended, Value) {
    let arguments = format!("--addr {addr} --size {SIZE} --json {arguments}");
    let ended = run("client", &arguments.split(' ').collect::<Vec<_>>());
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.lines().count(), &*ended.complained), (1, ""), "{ended:?}");
    let report = serde_json::from_str(&ended.said).unwrap();
    (ended, report)
}

/// A number of a class.
#[track_caller]
fn number(report: &Value, class: usize, name: &str) -> u64 {
    report["classes"][class][name].as_u64().unwrap_or_else(|| panic!("no '{name}' in {report}"))
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[test]
fn as_many_requests_as_were_wanted_shared_by_all() {
    let (addr, server) = server(3, |_, stream| echo_lines(stream));
    let (_, report) = load(&addr, "--connections 3 --requests 100");

    let mut lines = server.join().unwrap();
    lines.sort_unstable();
    assert_eq!(lines, [33, 33, 34]);
    assert_eq!(report["connections"], 3);
    assert_eq!(report["size"], SIZE);
    assert_eq!(report["rate"], Value::Null);
    assert!(report["seconds"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(report["classes"].as_array().unwrap().len(), 1);
    assert_eq!(report["classes"][0]["name"], "asking");
    assert_eq!(number(&report, 0, "connections"), 3);
    assert_eq!(number(&report, 0, "requests"), 100);
    assert_eq!((number(&report, 0, "errors"), number(&report, 0, "unanswered")), (0, 0));
    let latencies = ["p50", "p90", "p99", "p99.9", "max"].map(|name| number(&report, 0, name));
    assert!(latencies[0] > 0 && latencies.is_sorted(), "{report}");
}

#[test]
fn some_are_active_and_the_others_held() {
    let (addr, server) = server(5, |_, stream| echo_lines(stream));
    let (_, report) = load(&addr, "--connections 5 --active 2 --requests 10");
    let mut lines = server.join().unwrap();
    lines.sort_unstable();
    assert_eq!(lines, [0, 0, 0, 5, 5]);
    assert_eq!((number(&report, 0, "connections"), number(&report, 0, "requests")), (2, 10));
}

#[test]
fn idle_connections_ask_nothing() {
    let (addr, server) = server(3, |_, stream| echo_lines(stream));
    let (_, report) = load(&addr, "--connections 3 --idle --seconds 1");
    assert_eq!(server.join().unwrap(), [0, 0, 0]);
    assert_eq!(report["classes"], Value::Array(Vec::new()));
    assert!(report["seconds"].as_f64().unwrap() >= 1.0, "{report}");
}

#[test]
fn a_connection_for_each_request() {
    let (addr, server) = server(7, |_, stream| echo_lines(stream));
    let (_, report) = load(&addr, "--connections 2 --reconnect --requests 7");
    assert_eq!(server.join().unwrap(), [1; 7]);
    assert_eq!((number(&report, 0, "requests"), number(&report, 0, "errors")), (7, 0));
}

/// The second is closed unanswered, and asked again by another.
#[test]
fn a_connection_that_fails_is_counted_where_each_request_has_its_own() {
    let (addr, server) = server(7, |number, stream| if number == 1 { 0 } else { echo_lines(stream) });
    let (_, report) = load(&addr, "--connections 1 --reconnect --requests 6");
    assert_eq!(server.join().unwrap(), [1, 0, 1, 1, 1, 1, 1]);
    assert_eq!((number(&report, 0, "requests"), number(&report, 0, "errors")), (6, 1));
}

#[test]
fn at_a_rate_requests_are_as_many_as_were_due() {
    let (addr, server) = server(3, |_, stream| echo_lines(stream));
    let (_, report) = load(&addr, "--connections 3 --rate 100 --seconds 0.5");
    let mut lines = server.join().unwrap();
    lines.sort_unstable();
    assert_eq!(lines, [16, 17, 17]);
    assert_eq!(report["rate"], 100);
    assert_eq!((number(&report, 0, "requests"), number(&report, 0, "unanswered")), (50, 0));
}

/// The server stalls at the fortieth of two hundred. Whatever came due in the first half of that time waits at least as
/// long as the second half: fifty requests or more, which is every fourth.
#[test]
fn what_was_due_while_the_server_stalled_has_waited() {
    let (addr, server) = server(1, |_, mut stream| {
        let mut line = [0; SIZE];
        for _ in 0..40 {
            stream.read_exact(&mut line).unwrap();
            stream.write_all(&line).unwrap();
        }
        stream.read_exact(&mut line).unwrap();
        let start = Instant::now();
        thread::sleep(Duration::from_millis(500));
        let stalled = start.elapsed();
        stream.write_all(&line).unwrap();
        (echo_lines(stream), stalled)
    });
    let (ended, report) = load(&addr, "--connections 1 --rate 200 --seconds 1");
    let (lines, stalled) = server.join().unwrap()[0];
    assert_eq!(lines, 159);
    assert_eq!(number(&report, 0, "requests"), 200);
    assert!(number(&report, 0, "p90") >= nanoseconds(stalled / 2), "{stalled:?}: {}", ended.said);
    assert!(number(&report, 0, "max") >= nanoseconds(stalled), "{stalled:?}: {}", ended.said);
}

/// Ten seconds are what the client waits for answers.
#[test]
fn what_is_never_answered_is_counted_as_if_the_answer_came_at_the_end() {
    let (addr, server) = server(1, |_, mut stream| {
        let mut line = [0; SIZE];
        for _ in 0..10 {
            stream.read_exact(&mut line).unwrap();
            stream.write_all(&line).unwrap();
        }
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    let (_, report) = load(&addr, "--connections 1 --rate 50 --seconds 1");
    assert_eq!(server.join().unwrap(), [SIZE]);
    assert_eq!((number(&report, 0, "requests"), number(&report, 0, "unanswered")), (50, 40));
    assert!(number(&report, 0, "p50") >= nanoseconds(Duration::from_secs(10)), "{report}");
}

#[test]
fn a_hot_one_beside_quiet_ones() {
    let (addr, server) = server(3, |_, stream| echo(stream));
    let (_, report) = load(&addr, "--connections 3 --hot 1 --rate 40 --seconds 1");
    let mut bytes = server.join().unwrap();
    bytes.sort_unstable();
    assert_eq!((report["classes"][0]["name"].as_str(), number(&report, 0, "connections")), (Some("hot"), 1));
    assert_eq!((report["classes"][1]["name"].as_str(), number(&report, 1, "connections")), (Some("quiet"), 2));
    assert_eq!(bytes[..2], [20 * SIZE, 20 * SIZE]);
    assert_eq!(number(&report, 1, "requests"), 40);
    assert_eq!(number(&report, 0, "requests") * SIZE as u64, bytes[2] as u64);
    assert!(bytes[2] > 100 * SIZE, "{report}");
}

#[test]
fn a_hot_one_notices_a_byte_that_is_wrong() {
    let (addr, server) = server(2, |_, mut stream| {
        let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
        // The client leaves when it has seen the byte.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            total += count;
            if total > 100_000 {
                buffer[count / 2] ^= 1;
            }
            if stream.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    });
    let size = SIZE.to_string();
    let arguments = ["--addr", &addr, "--size", &size, "--connections", "2", "--hot", "1", "--rate", "1", "--json"];
    run("client", &arguments).failed_with(1, "client: connection 0: the answer is not what was sent");
    server.join().unwrap();
}

/// What the stream has: bytes, the end, or nothing yet.
fn look(stream: &TcpStream) -> Result<usize, ErrorKind> {
    stream.set_nonblocking(true).unwrap();
    stream.peek(&mut [0; 1]).map_err(|error| error.kind())
}

#[test]
fn waits_for_a_line_before_and_after() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(path("client"));
    command.args(["--addr", &listener.local_addr().unwrap().to_string(), "--connections", "1", "--size", "16"]);
    command.args(["--requests", "1", "--json", "--wait"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut stream = bounded(listener.accept().unwrap().0);
    let mut line = String::new();
    BufReader::new(client.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "client: connected: 1\n");
    assert_eq!(look(&stream), Err(ErrorKind::WouldBlock));

    client.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut request = [0; SIZE];
    stream.read_exact(&mut request).unwrap();
    stream.write_all(&request).unwrap();
    let mut report = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut report).unwrap();
    assert_eq!(number(&serde_json::from_str(&report).unwrap(), 0, "requests"), 1);
    assert_eq!(look(&stream), Err(ErrorKind::WouldBlock));

    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    assert_eq!(look(&stream), Ok(0));
}
