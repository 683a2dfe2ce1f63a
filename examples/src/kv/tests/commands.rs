//! What commands answer. `tests/tests/examples_kv_redis.rs` asks a real Redis the same and more.

use super::{Alone, command};
use crate::kv::Next;

/// Lines that are typed, and their replies, in one conversation.
const CONVERSATION: &[(&str, &str)] = &[
    ("PING", "+PONG\r\n"),
    ("ping hello", "$5\r\nhello\r\n"),
    ("ECHO 'two words'", "$9\r\ntwo words\r\n"),
    ("GET frog", "$-1\r\n"),
    ("SET frog pond", "+OK\r\n"),
    ("get frog", "$4\r\npond\r\n"),
    ("SET frog lake NX", "$-1\r\n"),
    ("SET toad lake XX", "$-1\r\n"),
    ("SET frog lake XX GET", "$4\r\npond\r\n"),
    ("SET newt reed NX GET", "$-1\r\n"),
    ("MGET frog toad newt", "*3\r\n$4\r\nlake\r\n$-1\r\n$4\r\nreed\r\n"),
    ("EXISTS frog frog toad", ":2\r\n"),
    ("DEL frog frog newt", ":2\r\n"),
    ("DBSIZE", ":0\r\n"),
    ("INCR count", ":1\r\n"),
    ("INCRBY count 41", ":42\r\n"),
    ("DECR count", ":41\r\n"),
    ("DECRBY count 50", ":-9\r\n"),
    ("GET count", "$2\r\n-9\r\n"),
    ("APPEND count 9", ":3\r\n"),
    ("STRLEN count", ":3\r\n"),
    ("INCRBY count 9223372036854775807", ":9223372036854775708\r\n"),
    ("INCRBY count 100", "-ERR increment or decrement would overflow\r\n"),
    ("INCRBY count 1.5", "-ERR value is not an integer or out of range\r\n"),
    ("DECRBY count -9223372036854775808", "-ERR decrement would overflow\r\n"),
    ("MSET a 1 b 2", "+OK\r\n"),
    ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"),
    ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
    ("SET a b EX", "-ERR syntax error\r\n"),
    ("SET a b NX XX", "-ERR syntax error\r\n"),
    ("SET a b EX 0", "-ERR invalid expire time in 'set' command\r\n"),
    ("SET a b PX ten", "-ERR value is not an integer or out of range\r\n"),
    ("HOP a b", "-ERR unknown command 'HOP', with args beginning with: 'a' 'b' \r\n"),
    ("CLIENT HOP", "-ERR unknown subcommand 'HOP'. Try CLIENT HELP.\r\n"),
    ("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n"),
    ("CLIENT GETNAME", "$-1\r\n"),
    ("CLIENT SETNAME frog", "+OK\r\n"),
    ("CLIENT GETNAME", "$4\r\nfrog\r\n"),
    ("CLIENT SETINFO LIB-NAME pond", "+OK\r\n"),
    ("SELECT 0", "+OK\r\n"),
    ("SELECT 1", "-ERR DB index is out of range\r\n"),
    ("HELLO 3", "-NOPROTO unsupported protocol version\r\n"),
    ("CONFIG GET save appendonly", "*4\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$4\r\nsave\r\n$0\r\n\r\n"),
    ("COMMAND DOCS get", "*0\r\n"),
    ("COMMAND INFO get hop", "*2\r\n*6\r\n$3\r\nget\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n$-1\r\n"),
    ("PUBLISH news hello", ":0\r\n"),
    ("FLUSHALL", "+OK\r\n"),
    ("DBSIZE", ":0\r\n"),
    ("", ""),
];

fn typed() -> Vec<u8> {
    CONVERSATION.iter().map(|(line, _)| format!("{line}\r\n")).collect::<String>().into_bytes()
}

/// The same as a client sends it: no line has more than one quoted word, at its end.
fn sent() -> Vec<u8> {
    let words = |line: &'static str| match line.split_once('\'') {
        Some((before, quoted)) => before.split_whitespace().chain([quoted.trim_end_matches('\'')]).collect::<Vec<_>>(),
        None => line.split_whitespace().collect(),
    };
    let lines = CONVERSATION.iter().map(|(line, _)| words(line).into_iter().map(str::as_bytes).collect::<Vec<_>>());
    lines.flat_map(|words| command(&words)).collect()
}

fn replies() -> Vec<u8> {
    CONVERSATION.iter().map(|(_, reply)| *reply).collect::<String>().into_bytes()
}

#[test]
fn each_command_has_its_reply() {
    let mut alone = Alone::new();
    for (line, reply) in CONVERSATION {
        assert_eq!(alone.ask(format!("{line}\r\n")), *reply, "{line}");
    }
}

#[test]
fn commands_that_come_in_two_pieces_are_answered_in_order_as_if_in_one() {
    for input in [typed(), sent()] {
        for place in 0..=input.len() {
            let (first, second) = input.split_at(place);
            let (found, next) = Alone::new().ask_in_pieces(&[first, second]);
            assert_eq!((&found[..], next), (&replies()[..], Next::Wait), "cut at byte {place}");
        }
    }
}

#[test]
fn commands_that_come_byte_by_byte_are_answered_in_order_as_if_in_one() {
    for input in [typed(), sent()] {
        let bytes: Vec<_> = input.chunks(1).collect();
        let (found, next) = Alone::new().ask_in_pieces(&bytes);
        assert_eq!((&found[..], next), (&replies()[..], Next::Wait));
    }
}

#[test]
fn who_says_goodbye_is_not_heard_any_more() {
    let (replies, next) = Alone::new().ask_in_pieces(&[b"PING\r\nQUIT\r\nPING\r\n"]);
    assert_eq!((&replies[..], next), (&b"+PONG\r\n+OK\r\n"[..], Next::Close));
}

#[test]
fn values_are_any_bytes() {
    let mut alone = Alone::new();
    let value: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    alone.ask(command(&[b"SET", b"\r\n\0", &value]));
    let (reply, _) = alone.ask_in_pieces(&[&command(&[b"GET", b"\r\n\0"])]);
    assert_eq!(reply[..], [b"$70000\r\n", &value[..], b"\r\n"].concat()[..]);
}

#[test]
fn info_tells_what_there_is() {
    let mut alone = Alone::new();
    alone.ask("MSET a 1 b 2\r\nEXPIRE b 10\r\nGET a\r\nGET c\r\n");
    let info = alone.ask("INFO\r\n");
    for line in
        ["redis_version:7", "connected_clients:1", "keyspace_hits:1", "keyspace_misses:1", "db0:keys=2,expires=1"]
    {
        assert!(info.contains(&format!("\r\n{line}")), "no '{line}' in {info}");
    }
    let stats = alone.ask("INFO stats\r\n");
    assert!(stats.contains("# Stats\r\n") && !stats.contains("# Server"), "{stats}");
}
