//! What is no command.

use super::{Alone, command};
use crate::kv::Next;

#[test]
fn garbage_is_told_what_is_wrong_with_it_and_let_go() {
    for (input, error) in [
        (&b"*1\r\nPING\r\n"[..], "expected '$', got 'P'"),
        (b"*1\r\n\0", "expected '$', got ' '"),
        (b"*2\r\n$4\r\nECHO\r\n*1\r\n", "expected '$', got '*'"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\n", "invalid multibulk length"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$00\r\n\r\n", "invalid bulk length"),
        (b"*1\r\n$-0\r\n\r\n", "invalid bulk length"),
        (b"ECHO \"a\r\n", "unbalanced quotes in request"),
    ] {
        let (replies, next) = Alone::new().ask_in_pieces(&[&b"PING\r\n"[..], input, &b"PING\r\n"[..]]);
        let expected = format!("+PONG\r\n-ERR Protocol error: {error}\r\n");
        assert_eq!((String::from_utf8_lossy(&replies).into_owned(), next), (expected, Next::Close));
    }
}

/// What a web page can have a browser send to any port.
#[test]
fn a_request_of_http_is_not_read_to_its_end() {
    let headers = "Accept: */*\r\nOrigin: http://example.com\r\n\r\nFLUSHALL\r\n";
    for (request, replies) in [("POST / HTTP/1.1\r\n", 1), ("GET / HTTP/1.1\r\nUser-Agent: a\r\nhost: x\r\n", 3)] {
        let mut alone = Alone::new();
        assert_eq!(alone.ask("SET frog pond\r\n"), "+OK\r\n");
        let (said, next) = alone.ask_in_pieces(&[request.as_bytes(), headers.as_bytes()]);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!((said.lines().count(), next), (replies, Next::Close), "{said}");
        assert!(said.lines().all(|line| line.starts_with("-ERR")), "{said}");
        assert_eq!(alone.ask("GET frog\r\n"), "$4\r\npond\r\n");
    }
    assert_eq!(Alone::new().ask("SET post host:\r\nGET post\r\n"), "+OK\r\n$5\r\nhost:\r\n");
}

/// Each would be an array inside an array, thousands deep.
#[test]
fn arrays_do_not_nest() {
    let (replies, next) = Alone::new().ask_in_pieces(&[&b"*1\r\n".repeat(100_000)]);
    assert_eq!((&replies[..], next), (&b"-ERR Protocol error: expected '$', got '*'\r\n"[..], Next::Close));
}

#[test]
fn what_is_empty_is_passed_over() {
    assert_eq!(Alone::new().ask("\r\n*0\r\n*-1\r\n \r\n\nPING\r\n"), "+PONG\r\n");
}

#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"SET", b"get", b"APPEND", b"INCR", b"DEL", b"MSET", b"MGET", b"EXPIRE", b"PEXPIRE", b"TTL", b"SUBSCRIBE", b"EX",
    b"UNSUBSCRIBE", b"PUBLISH", b"HELLO", b"CLIENT", b"CONFIG", b"COMMAND", b"INFO", b"FLUSHALL", b"PING", b"GET",
    b"RESET", b"ECHO", b"SELECT", b"PX", b"NX", b"XX", b"KEEPTTL", b"a", b"b", b"1", b"-1", b"9223372036854775807",
    b"", b"\xff\0\r\n", b"docs", b"info", b"setname", b"PERSIST", b"DECRBY", b"STRLEN", b"DBSIZE", b"EXISTS",
];

/// A few commands of any kind, with bytes changed, cut off and put in.
fn input(random: &mut Random) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..random.below(8) {
        let mut args: Vec<&[u8]> = (0..=random.below(5)).map(|_| WORDS[random.below(WORDS.len())]).collect();
        let long = vec![b'x'; random.below(3_000)];
        if random.below(4) == 0 {
            args.push(&long);
        }
        match random.below(4) {
            0 => input.extend_from_slice(&[&args.join(&b' ')[..], b"\r\n"].concat()),
            _ => input.extend_from_slice(&command(&args)),
        }
    }
    for _ in 0..random.below(4) {
        let place = random.below(input.len() + 1);
        match random.below(3) {
            0 => input.insert(place, random.below(256) as u8),
            1 => input.truncate(place),
            _ => input.iter_mut().skip(place).take(1).for_each(|byte| *byte = b"*$\r\n-0 9\"'"[random.below(10)]),
        }
    }
    input
}

/// Whatever comes, in pieces of any size: nothing panics, what is counted stays within its bound, and comes back.
#[test]
fn no_input_panics_or_takes_more_than_it_may() {
    const MEMORY: usize = 20_000;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut endings = 0;
    for _ in 0..3_000 {
        let mut alone = Alone::with_memory(MEMORY);
        let (input, piece) = (input(&mut random), 1 + random.below(100));
        let pieces: Vec<_> = input.chunks(piece).collect();
        let (_, next) = alone.ask_in_pieces(&pieces);
        endings += usize::from(next == Next::Close);
        assert!(alone.db.memory() <= MEMORY, "{}", input.escape_ascii());
        alone.db.leave(&mut alone.session);
        alone.session = alone.db.join();
        alone.ask("FLUSHALL\r\n");
        assert_eq!(alone.db.memory(), 0, "{}", input.escape_ascii());
    }
    assert!((300..2_700).contains(&endings), "{endings} of 3,000 were garbage: that tests the one and not the other");
}

/// Marsaglia's xorshift: the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}
