//! The example `kv` and a real Redis are asked the same, and answer with the same bytes.

use std::io::{Read, Write};
use std::net::TcpStream;

use pollywog_tests::program::{LIMIT, Program, bounded};
use pollywog_tests::redis::Redis;

/// Sends `input`, then a `PING` with a word of its own, and gives what comes before the reply to that. It is answered to
/// subscribers, too.
fn ask(stream: &mut TcpStream, input: &[u8]) -> String {
    const END: &[u8] = b"$10\r\nthe-marker\r\n";
    stream.write_all(&[input, b"*2\r\n$4\r\nPING\r\n", END].concat()).unwrap();
    let mut replies = Vec::new();
    while !replies.ends_with(END) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "closed after {:?}", replies.escape_ascii().to_string());
        replies.extend_from_slice(&buffer[..count]);
    }
    replies.truncate(replies.len() - END.len());
    replies.escape_ascii().to_string()
}

/// Both, and what they are asked.
struct Both {
    kv: Program,
    redis: Redis,
}

impl Both {
    fn start(test: &str) -> Option<Self> {
        let redis = Redis::own(test)?;
        Some(Self { kv: Program::start("kv", &[]), redis })
    }

    fn connect(&self) -> [TcpStream; 2] {
        let redis = self.redis.place().parse().unwrap();
        [self.kv.connect(), bounded(TcpStream::connect_timeout(&redis, LIMIT).unwrap())]
    }
}

/// As it is sent by clients: every word an argument.
fn sent(line: &str) -> Vec<u8> {
    let words: Vec<_> = line.split(' ').collect();
    let arguments: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{arguments}", words.len()).into_bytes()
}

/// One conversation: what comes later meets what came before.
const LINES: &[&str] = &[
    // Values.
    "PING",
    "ping hello",
    "PING hello hello",
    "ECHO hello",
    "ECHO",
    "GET a",
    "SET a 1",
    "GET a",
    "get",
    "GET a b",
    "SET a",
    "SET a 2 NX",
    "SET b 2 NX",
    "SET c 3 XX",
    "SET a 3 XX",
    "SET a 4 GET",
    "SET d 4 GET",
    "SET e 5 NX GET",
    "SET e 6 NX GET",
    "SET f 6 XX GET",
    "SET a 5 NX XX",
    "SET a 5 XX NX",
    "SET a 5 NX NX",
    "SET a 5 HOP",
    "SET a 5 EX",
    "SET a 5 EX 10 PX 10",
    "SET a 5 EX 10 KEEPTTL",
    "SET a 5 KEEPTTL EX 10",
    "SET a 5 KEEPTTL KEEPTTL",
    "SET a 5 EX 10 EX 20",
    "SET a 5 EX ten",
    "SET a 5 EX ten HOP",
    "SET a 5 EX 0",
    "SET a 5 PX -1",
    "SET a 5 EX 9223372036854775807",
    "SET a 5 PX 9223372036854775807",
    "SET a 5 ex 100",
    "TTL a",
    "SET a 6 KEEPTTL",
    "TTL a",
    "SET a 7",
    "TTL a",
    "MSET a 1 b 2 a 3",
    "MGET a b c",
    "MGET",
    "MSET a",
    "MSET a 1 b",
    "EXISTS a a c",
    "DEL a a c",
    "STRLEN b",
    "STRLEN c",
    "APPEND b 34",
    "APPEND c 34",
    "GET b",
    "DBSIZE",
    "DBSIZE now",
    // Numbers.
    "INCR n",
    "INCR n",
    "DECR n",
    "INCRBY n 41",
    "DECRBY n 50",
    "GET n",
    "INCRBY n 1.5",
    "INCRBY n +1",
    "INCRBY n 01",
    "INCRBY n  ",
    "INCRBY n 9223372036854775808",
    "SET n 9223372036854775807",
    "INCR n",
    "INCRBY n -9223372036854775808",
    "DECRBY n -9223372036854775808",
    "SET n -9223372036854775808",
    "DECR n",
    "GET n",
    "SET n 01",
    "INCR n",
    "SET n hop",
    "INCR n",
    "DECRBY n hop",
    // Time.
    "EXPIRE a 10",
    "EXPIRE b 100",
    "TTL b",
    "PERSIST b",
    "PERSIST b",
    "TTL b",
    "PTTL b",
    "TTL nobody",
    "PTTL nobody",
    "PEXPIRE b 100600",
    "TTL b",
    "EXPIRE b ten",
    "EXPIRE b 9223372036854775807",
    "EXPIRE b -9223372036854775808",
    "PEXPIRE b 9223372036854775807",
    "PEXPIRE b 9223372036854775",
    "EXPIRE b 9223372036854775",
    "EXPIRE b -1",
    "EXISTS b",
    "PEXPIRE c 0",
    "EXISTS c",
    "EXPIRE",
    "TTL a b",
    // The connection and the server.
    "HOP",
    "HOP a b",
    "hop aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c",
    "SELECT 0",
    "SELECT 100",
    "SELECT hop",
    "CLIENT",
    "CLIENT HOP",
    "CLIENT GETNAME",
    "CLIENT GETNAME hop",
    "CLIENT SETNAME frog",
    "CLIENT GETNAME",
    "CLIENT SETNAME",
    "CLIENT ID hop",
    "COMMAND HOP",
    "COMMAND COUNT hop",
    "CONFIG",
    "CONFIG GET",
    "CONFIG GET save appendonly",
    "CONFIG GET nothing",
    "CONFIG GET save save",
    "HELLO 4",
    "HELLO 1",
    "HELLO two",
    "HELLO 2 HOP",
    "FLUSHALL HOP",
    "FLUSHALL ASYNC SYNC",
    "FLUSHDB ASYNC",
    "FLUSHALL",
    "DBSIZE",
    // Channels.
    "PUBLISH news hello",
    "PUBLISH news",
    "UNSUBSCRIBE",
    "UNSUBSCRIBE news",
    "SUBSCRIBE",
    "SUBSCRIBE news olds news",
    "GET a",
    "HOP",
    "PING",
    "PING hello",
    "PING hello hello",
    "UNSUBSCRIBE olds",
    "UNSUBSCRIBE",
    "SUBSCRIBE news",
    "RESET",
    "RESET hop",
    "CLIENT GETNAME",
    "GET a",
];

#[test]
fn the_same_commands_get_the_same_bytes() {
    let Some(both) = Both::start("the_same_commands_get_the_same_bytes") else { return };
    let [mut kv, mut redis] = both.connect();
    for line in LINES {
        let command = sent(line);
        let found = ask(&mut kv, &command);
        // Settings that were asked for come in an order of Redis's own.
        match line.strip_prefix("CONFIG GET ").map(|wanted| wanted.split(' ').count()) {
            Some(2..) => assert_eq!(found.len(), ask(&mut redis, &command).len(), "{line}"),
            _ => assert_eq!(found, ask(&mut redis, &command), "{line}"),
        }
    }
}

#[test]
fn the_same_lines_that_are_typed_get_the_same_bytes() {
    let Some(both) = Both::start("the_same_lines_that_are_typed_get_the_same_bytes") else { return };
    let [mut kv, mut redis] = both.connect();
    for line in [
        "",
        " \t ",
        "set a 'two words'",
        "get a",
        r#"set "a" "\x41\n\"\\ \q \xzz""#,
        "get  a\t",
        r"set a 'it\'s \n'",
        "get a",
        "  get a",
        r#"set a """#,
        "strlen a",
        r#"echo mid"dle""#,
    ] {
        for end in ["\r\n", "\n"] {
            let line = format!("{line}{end}");
            assert_eq!(ask(&mut kv, line.as_bytes()), ask(&mut redis, line.as_bytes()), "{line}");
        }
    }
    for bytes in ["*0\r\n", "*-1\r\n", "*0\r\n\r\n*0\r\n"] {
        assert_eq!(ask(&mut kv, bytes.as_bytes()), ask(&mut redis, bytes.as_bytes()), "{bytes}");
    }
}

/// What both say before they close the connection.
#[test]
fn the_same_garbage_gets_the_same_end() {
    let Some(both) = Both::start("the_same_garbage_gets_the_same_end") else { return };
    for garbage in [
        &b"*1\r\nPING\r\n"[..],
        b"*2\r\n$4\r\nECHO\r\n*1\r\n",
        b"*x\r\n",
        b"*1x\r\n",
        b"*99999999999\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$99999999999\r\n",
        b"echo \"a\r\n",
        b"echo 'a'b\r\n",
        b"QUIT\r\nPING\r\n",
        b"*1\r\n$4\r\nquit\r\nPING\r\n",
    ] {
        let ends = both.connect().map(|mut stream| {
            stream.write_all(&[b"PING\r\n", garbage].concat()).unwrap();
            let mut end = Vec::new();
            // A reset is an end, too, of those who had more to say.
            let _ = stream.read_to_end(&mut end);
            end.escape_ascii().to_string()
        });
        assert_eq!(ends[0], ends[1], "{}", garbage.escape_ascii());
    }
}

#[test]
fn the_same_messages_have_the_same_bytes() {
    let Some(both) = Both::start("the_same_messages_have_the_same_bytes") else { return };
    let (mut listening, mut publishing) = (both.connect(), both.connect());
    let heard = [0, 1].map(|which| {
        let mut heard = ask(&mut listening[which], &sent("SUBSCRIBE news olds"));
        for line in ["PUBLISH news hello", "PUBLISH olds hello", "PUBLISH neither hello", "PUBLISH news "] {
            heard += &ask(&mut publishing[which], &sent(line));
        }
        // Whatever was published stands before the reply.
        heard + &ask(&mut listening[which], &sent("UNSUBSCRIBE news"))
    });
    assert_eq!(heard[0], heard[1]);
}
