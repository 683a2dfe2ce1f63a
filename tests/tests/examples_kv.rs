//! The example `kv`, as the clients of Redis see it, and as those who mean it ill do.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has;
use pollywog_tests::model::{attach, sleeps};
use pollywog_tests::program::{Program, Signal, bounded, run};
use pollywog_tests::queues::keepalive;
use socket2::{Domain, SockRef, Socket, Type};

/// Runs a tool of Redis's at the server, for a minute at most, with lines for its standard input.
fn tool(kv: &Program, name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", name, "-p", &kv.addr().port().to_string()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    output
}

fn cli(kv: &Program, arguments: &[&str]) -> String {
    String::from_utf8(tool(kv, "redis-cli", arguments, "").stdout).unwrap().trim_end().to_owned()
}

/// A connection that is asked by lines, as people type them.
struct Talk(BufReader<TcpStream>);

impl Talk {
    fn new(kv: &Program) -> Self {
        Self(BufReader::new(kv.connect()))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next line; fails at the end of the connection.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("the connection ended after '{line}'")).to_owned()
    }

    /// Sends a line, and gives the first line of the reply.
    fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    /// A number from a reply like `:3`.
    fn number(&mut self, line: &str) -> i64 {
        self.ask(line).strip_prefix(':').and_then(|number| number.parse().ok()).unwrap()
    }

    /// What comes until the end.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// As clients send it.
fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(&[format!("${}\r\n", arg.len()).as_bytes(), arg, b"\r\n"].concat());
    }
    bytes
}

/// Whose system keeps little for it, so that it is soon slow.
fn slow(kv: &Program) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&kv.addr().into()).unwrap();
    bounded(socket.into())
}

/// The memory of the server, in bytes.
fn memory(kv: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", kv.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A sanitizer keeps what was freed.
fn counts_memory() -> bool {
    std::env::var_os("POLLYWOG_SANITIZER").is_none()
}

#[test]
fn redis_cli_talks_to_it() {
    if !has("redis_cli_talks_to_it", "redis-cli") {
        return;
    }
    let kv = Program::start("kv", &[]);
    for (arguments, reply) in [
        (&["set", "frog", "pond"][..], "OK"),
        (&["get", "frog"], "pond"),
        (&["incr", "count"], "1"),
        (&["mget", "frog", "toad"], "pond"),
        (&["ping"], "PONG"),
        (&["-2", "echo", "two words"], "two words"),
        (&["hop"], "ERR unknown command 'hop', with args beginning with:"),
    ] {
        assert_eq!(cli(&kv, arguments), reply, "{arguments:?}");
    }
    // As at a terminal: it asks for the documentation of the commands first.
    let session = tool(&kv, "redis-cli", &[], "set frog lake\nget frog\n");
    assert_eq!(String::from_utf8(session.stdout).unwrap(), "OK\nlake\n");
    // The third version of the protocol is refused, and it goes on with the second.
    assert!(cli(&kv, &["-3", "get", "frog"]).ends_with("lake"));
}

#[test]
fn redis_benchmark_gets_an_answer_to_everything() {
    if !has("redis_benchmark_gets_an_answer_to_everything", "redis-benchmark") {
        return;
    }
    let kv = Program::start("kv", &[]);
    for pipeline in ["1", "16"] {
        let arguments = ["-c", "100", "-P", pipeline, "-n", "3000", "-t", "ping,set,get,incr,mset", "--csv"];
        let output = tool(&kv, "redis-benchmark", &arguments, "");
        let (table, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(complaints, "");
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
            assert!(table.contains(&format!("\"{test}\",")), "no {test} in {table}");
        }
        assert!(!table.contains("ERR"), "{table}");
    }
    let mut talk = Talk::new(&kv);
    // The pipelines are whole: 3,000 is no multiple of 1,600, and each asks for a few more.
    assert!(talk.number("INCR counter:__rand_int__") > 6_000);
    assert_eq!(talk.number("DBSIZE"), 2);
}

#[test]
fn a_pipeline_in_pieces_is_answered_in_its_order() {
    let kv = Program::start("kv", &[]);
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    for number in 0..20_000 {
        input.extend_from_slice(&command(&[b"ECHO", number.to_string().as_bytes()]));
        input.extend_from_slice(b"INCR n\r\n");
        let text = number.to_string();
        expected.extend_from_slice(format!("${}\r\n{text}\r\n:{}\r\n", text.len(), number + 1).as_bytes());
    }
    let mut stream = kv.connect();
    stream.set_nodelay(true).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        let mut rest = &input[..];
        // From a byte to more than the server reads at once, and none at the end of a command but by chance.
        for size in [1, 2, 3, 5, 7, 13, 97, 1_009, 10_007, 100_003].iter().cycle() {
            let (piece, more) = rest.split_at(rest.len().min(*size));
            writing.write_all(piece).unwrap();
            rest = more;
            if rest.is_empty() {
                return writing.shutdown(Shutdown::Write).unwrap();
            }
        }
    });
    let mut found = Vec::new();
    stream.read_to_end(&mut found).unwrap();
    writer.join().unwrap();
    assert!(found == expected, "{} bytes of {}", found.len(), expected.len());
}

#[test]
fn who_never_reads_holds_nobody_up_and_costs_no_memory() {
    let kv = Program::start("kv", &[]);
    let mut talk = Talk::new(&kv);
    talk.send(command(&[b"SET", b"big", &vec![b'x'; 1 << 20]]));
    assert_eq!(talk.line(), "+OK");
    let before = memory(&kv);
    // A hundred times a mebibyte is asked for.
    let mut greedy = slow(&kv);
    greedy.write_all(&b"GET big\r\n".repeat(100)).unwrap();
    greedy.set_nonblocking(true).unwrap();
    // It has been served when the first bytes are there.
    while greedy.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        assert_eq!(talk.ask("PING"), "+PONG");
    }
    for _ in 0..100 {
        assert_eq!(talk.ask("PING"), "+PONG");
    }
    let grown = memory(&kv).saturating_sub(before);
    if counts_memory() {
        assert!(grown < 16 << 20, "the server keeps what nobody reads: {grown} bytes more");
    }
    // Who begins to read after all gets everything.
    greedy.set_nonblocking(false).unwrap();
    SockRef::from(&greedy).set_recv_buffer_size(1 << 20).unwrap();
    greedy.shutdown(Shutdown::Write).unwrap();
    let all = std::io::copy(&mut greedy, &mut std::io::sink()).unwrap();
    assert_eq!(all, 100 * ((1 << 20) + "$1048576\r\n\r\n".len() as u64));
}

#[test]
fn a_message_is_heard_by_those_who_subscribed() {
    let kv = Program::start("kv", &[]);
    let (mut ann, mut bob, mut cleo) = (Talk::new(&kv), Talk::new(&kv), Talk::new(&kv));
    for listener in [&mut ann, &mut bob] {
        listener.send("SUBSCRIBE news\r\n");
        assert_eq!([(); 6].map(|()| listener.line()), ["*3", "$9", "subscribe", "$4", "news", ":1"]);
    }
    assert_eq!(cleo.number("PUBLISH news hello"), 2);
    for listener in [&mut ann, &mut bob] {
        assert_eq!([(); 7].map(|()| listener.line()), ["*3", "$7", "message", "$4", "news", "$5", "hello"]);
    }
    ann.send("UNSUBSCRIBE\r\n");
    assert_eq!([(); 6].map(|()| ann.line()), ["*3", "$11", "unsubscribe", "$4", "news", ":0"]);
    assert_eq!(ann.ask("GET frog"), "$-1");
    assert_eq!(cleo.number("PUBLISH news again"), 1);
    drop(bob);
    while cleo.number("PUBLISH news anybody?") > 0 {}
}

#[test]
fn redis_cli_listens() {
    if !has("redis_cli_listens", "redis-cli") {
        return;
    }
    let kv = Program::start("kv", &[]);
    let mut command = Command::new("timeout");
    command.args(["60", "redis-cli", "-p", &kv.addr().port().to_string(), "subscribe", "news"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!([(); 3].map(|()| lines.next().unwrap()), ["subscribe", "news", "1"]);
    assert_eq!(cli(&kv, &["publish", "news", "hello"]), "1");
    assert_eq!([(); 3].map(|()| lines.next().unwrap()), ["message", "news", "hello"]);
    // The end of the server is the end of the connection, and of redis-cli when it does not come back.
    assert!(kv.end(Signal::TERM).status.success());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_burst_is_heard_in_full_and_in_order() {
    let kv = Program::start("kv", &[]);
    let (mut ann, mut bob) = (Talk::new(&kv), Talk::new(&kv));
    ann.send("SUBSCRIBE news\r\n");
    assert_eq!([(); 6].map(|()| ann.line())[5], ":1");
    let burst: Vec<u8> = (0..5_000).flat_map(|number| format!("PUBLISH news {number}\r\n").into_bytes()).collect();
    bob.send(burst);
    for number in 0..5_000 {
        assert_eq!([(); 7].map(|()| ann.line())[6], number.to_string());
        assert_eq!(bob.line(), ":1");
    }
}

#[test]
fn a_subscriber_who_is_too_slow_is_cut_off() {
    let kv = Program::start("kv", &[]);
    let (mut talk, mut fast) = (Talk::new(&kv), Talk::new(&kv));
    let mut slow = slow(&kv);
    slow.write_all(b"SUBSCRIBE news\r\n").unwrap();
    fast.send("SUBSCRIBE news\r\n");
    assert_eq!([(); 6].map(|()| fast.line())[5], ":1");
    let before = memory(&kv);
    let (publish, mut published) = (command(&[b"PUBLISH", b"news", &vec![b'x'; 1 << 20]]), 0);
    let mut listeners = 0;
    loop {
        talk.send(&publish);
        let count = talk.line();
        // The slow one may not be there yet.
        listeners = listeners.max(count[1..].parse::<usize>().unwrap());
        published += 1;
        assert_eq!([(); 7].map(|()| fast.line())[6].len(), 1 << 20);
        if listeners == 2 && count == ":1" {
            break;
        }
        assert!(published < 100, "nobody is cut off");
    }
    if counts_memory() {
        let grown = memory(&kv).saturating_sub(before);
        assert!(grown < 40 << 20, "{grown} bytes more");
    }
    // It gets a part of them, and the end.
    let got = std::io::copy(&mut slow, &mut std::io::sink())
        .map_or_else(|error| (error.kind(), 0), |count| (ErrorKind::Other, count));
    assert!(got.0 == ErrorKind::ConnectionReset || got.1 < published << 20, "{got:?}");
    assert_eq!(talk.ask("PING"), "+PONG");
}

#[test]
fn a_key_that_has_expired_is_gone() {
    let kv = Program::start("kv", &[]);
    let mut talk = Talk::new(&kv);
    assert_eq!(talk.ask("SET frog pond PX 30"), "+OK");
    while talk.ask("GET frog") != "$-1" {
        assert_eq!(talk.line(), "pond");
    }
    // And its memory comes back when nobody asks for it.
    for number in 0..3_000 {
        assert_eq!(talk.ask(&format!("SET key:{number} {} PX 30", "x".repeat(100))), "+OK");
    }
    while talk.number("DBSIZE") > 0 {}
    talk.send("INFO memory\r\n");
    while talk.line() != "used_memory:0" {}
}

/// When it has told the kernel to ring.
#[test]
fn a_timer_is_set_only_while_a_key_expires() {
    const NAME: &str = "a_timer_is_set_only_while_a_key_expires";
    let folder = Folder::new();
    let trace = folder.file("trace");
    let kv = Program::start("kv", &[]);
    sleeps(&kv);
    let options = ["-e", "trace=epoll_wait,epoll_pwait,timerfd_settime", "-o", trace.to_str().unwrap()];
    let Some(mut strace) = attach(NAME, &kv, &options) else { return };
    let mut talk = Talk::new(&kv);
    assert_eq!(talk.ask("SET frog pond"), "+OK");
    sleeps(&kv);
    assert_eq!(talk.ask("EXPIRE frog 1000"), ":1");
    assert_eq!(talk.ask("PING"), "+PONG");
    sleeps(&kv);
    assert_eq!(talk.ask("PING"), "+PONG");
    drop(kv);
    strace.wait().unwrap();
    let trace = fs::read_to_string(&trace).unwrap();
    // Zero is a look, and no sleep.
    let is_sleep = |line: &&str| line.contains(", -1) = ");
    let (before, after) = trace.split_once("timerfd_settime").expect("a timer was set");
    assert!(before.lines().filter(is_sleep).count() >= 2, "{trace}");
    let nanos = after.split_once("tv_nsec=").and_then(|(_, rest)| rest.split_once("tv_nsec=")?.1.split_once('}'));
    let nanos: u64 = nanos.expect("when it rings").0.parse().unwrap();
    assert!((1..=100_000_000).contains(&nanos) && after.contains("it_value={tv_sec=0,"), "{trace}");
}

#[test]
fn garbage_is_told_so_and_the_others_go_on() {
    let kv = Program::start("kv", &[]);
    let mut talk = Talk::new(&kv);
    for (garbage, error) in [
        ("GET / HTTP/1.1\r\n\r\n*x\r\n", "invalid multibulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\nhop\r\n", "expected '$', got 'h'"),
        ("set \"a\r\n", "unbalanced quotes in request"),
    ] {
        let mut other = Talk::new(&kv);
        other.send(garbage);
        let rest = other.rest();
        assert!(rest.ends_with(&format!("-ERR Protocol error: {error}\r\n")), "{rest}");
    }
    assert_eq!(talk.ask("PING"), "+PONG");
}

/// The error arrives although the client had much more to say.
#[test]
fn what_is_too_large_is_refused_before_it_is_there() {
    let kv = Program::start("kv", &[]);
    let before = memory(&kv);
    let mut other = Talk::new(&kv);
    other.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8388609\r\n");
    let mut writing = other.0.get_ref().try_clone().unwrap();
    let writer = thread::spawn(move || {
        // What is discarded at last is not taken any more.
        let _ = writing.write_all(&vec![b'x'; 1 << 20]);
        let _ = writing.shutdown(Shutdown::Write);
    });
    assert_eq!(other.rest(), "-ERR Protocol error: invalid bulk length\r\n");
    writer.join().unwrap();
    if counts_memory() {
        assert!(memory(&kv).saturating_sub(before) < 4 << 20);
    }
}

#[test]
fn writes_that_need_more_memory_than_there_is_are_refused() {
    let kv = Program::start("kv", &["--max-memory", "10kb"]);
    let mut talk = Talk::new(&kv);
    assert_eq!(talk.ask(&format!("SET a {}", "x".repeat(8_000))), "+OK");
    let full = "-OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(talk.ask(&format!("SET b {}", "x".repeat(8_000))), full);
    assert_eq!(talk.ask("DEL a"), ":1");
    assert_eq!(talk.ask(&format!("SET b {}", "x".repeat(8_000))), "+OK");
}

#[test]
fn a_command_that_has_begun_is_finished_at_the_end() {
    let kv = Program::start("kv", &[]);
    let (mut busy, mut idle) = (Talk::new(&kv), Talk::new(&kv));
    assert_eq!(idle.ask("PING"), "+PONG");
    assert_eq!(busy.ask("SET frog pond"), "+OK");
    busy.send("*2\r\n$3\r\nGET\r\n$4\r\nfr");
    // It is read by the time that what was sent after it is answered.
    assert_eq!(idle.ask("PING"), "+PONG");
    let signalled = thread::spawn(move || kv.end(Signal::TERM));
    assert_eq!(idle.rest(), "", "who waits is let go at once");
    busy.send("og\r\n");
    assert_eq!(busy.rest(), "$4\r\npond\r\n");
    let ended = signalled.join().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("served 2 connections\n", ""));
}

#[test]
fn a_reply_that_is_on_its_way_at_the_end_arrives() {
    let kv = Program::start("kv", &[]);
    let (mut slow, mut idle) = (slow(&kv), Talk::new(&kv));
    let value = vec![b'x'; 60_000];
    slow.write_all(&command(&[b"SET", b"frog", &value])).unwrap();
    slow.read_exact(&mut [0; 5]).unwrap();
    slow.write_all(b"GET frog\r\n").unwrap();
    // By then the reply is with the system of the server, which the client has no room for.
    assert_eq!(idle.ask("PING"), "+PONG");
    let signalled = thread::spawn(move || kv.end(Signal::TERM));
    assert_eq!(idle.rest(), "");
    slow.write_all(b"PING\r\n").unwrap();
    let mut reply = Vec::new();
    slow.read_to_end(&mut reply).unwrap();
    assert_eq!(reply, [b"$60000\r\n", &value[..], b"\r\n"].concat());
    drop(slow);
    assert!(signalled.join().unwrap().status.success());
}

#[test]
fn who_sends_without_end_is_let_go_at_the_end() {
    // One that ends a turn with the buffer, one that has no reply, and one whose replies fill each turn.
    for endless in ["PING\r\n", "\r\n", "GET large\r\n"] {
        let kv = Program::start("kv", &[]);
        assert_eq!(
            Talk::new(&kv).ask(&format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$70000\r\n{}", "x".repeat(70_000))),
            "+OK"
        );
        let floods: Vec<_> = (0..4).map(|_| flood(kv.connect(), endless)).collect();
        let ended = kv.end(Signal::TERM);
        for [sending, reading] in floods {
            sending.join().unwrap();
            reading.join().unwrap();
        }
        assert!(ended.status.success(), "{ended:?}");
        let told = (ended.said.as_str(), ended.complained.as_str());
        assert_eq!(told, ("served 5 connections\n", ""), "nobody was cut off: {endless:?}");
    }
}

/// Sends commands until the connection ends, and reads what comes back.
fn flood(mut writer: TcpStream, endless: &str) -> [thread::JoinHandle<()>; 2] {
    let mut reader = writer.try_clone().unwrap();
    writer.write_all(b"PING\r\n").unwrap();
    let pipeline = endless.repeat(10_001);
    let sending = thread::spawn(move || while writer.write_all(pipeline.as_bytes()).is_ok() {});
    reader.read_exact(&mut [0; 7]).unwrap();
    // The end, or a reset: it has sent more than was read.
    let reading = thread::spawn(move || _ = io::copy(&mut reader, &mut io::sink()));
    [sending, reading]
}

#[test]
fn a_subscriber_is_let_go_at_the_end() {
    let kv = Program::start("kv", &[]);
    let mut talk = Talk::new(&kv);
    talk.send("SUBSCRIBE news\r\n");
    assert_eq!([(); 6].map(|()| talk.line())[5], ":1");
    let ended = kv.end(Signal::INT);
    assert_eq!(talk.rest(), "");
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn one_more_than_are_served_waits() {
    let kv = Program::start("kv", &["--max-connections", "2"]);
    let (mut first, mut second) = (Talk::new(&kv), Talk::new(&kv));
    assert_eq!((first.ask("PING"), second.ask("PING")), ("+PONG".to_owned(), "+PONG".to_owned()));
    let mut third = Talk::new(&kv);
    third.send("PING\r\n");
    third.0.get_ref().set_nonblocking(true).unwrap();
    for _ in 0..10 {
        assert_eq!(first.ask("PING"), "+PONG");
        assert_eq!(third.0.get_ref().peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    third.0.get_ref().set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(third.line(), "+PONG");
    assert_eq!(second.ask("PING"), "+PONG");
}

#[test]
fn the_system_asks_whether_a_silent_client_is_there() {
    let kv = Program::start("kv", &[]);
    let mut talk = Talk::new(&kv);
    assert_eq!(talk.ask("PING"), "+PONG");
    let asked = keepalive(talk.0.get_ref()).expect("it is asked");
    assert!(asked <= Duration::from_secs(300), "{asked:?}");
}

#[test]
fn who_does_nothing_for_too_long_is_let_go() {
    let kv = Program::start("kv", &["--idle-timeout", "1"]);
    let mut talk = Talk::new(&kv);
    assert_eq!(talk.ask("PING"), "+PONG");
    assert_eq!(talk.rest(), "");
}

#[test]
fn an_option_that_makes_no_sense_is_one_line() {
    for (option, value) in
        [("--max-memory", "10xb"), ("--max-memory", "mb"), ("--max-connections", "0"), ("--idle-timeout", "soon")]
    {
        run("kv", &[option, value]).failed_with(2, option);
    }
}
