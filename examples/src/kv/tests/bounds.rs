//! What is too large is refused, before it is there.

use bytes::BytesMut;

use super::{Alone, command};
use crate::kv::{Db, MAX_ARGUMENT, MAX_ARGUMENTS, MAX_COMMAND, MAX_LINE, MAX_NAME, MAX_REPLY, Next, Session};

#[track_caller]
fn refused(input: &[u8], error: &str) {
    let (replies, next) = Alone::new().ask_in_pieces(&[input]);
    assert_eq!(String::from_utf8_lossy(&replies), format!("-ERR Protocol error: {error}\r\n"));
    assert_eq!(next, Next::Close);
}

#[test]
fn an_argument_that_is_too_long_is_refused_by_its_length() {
    refused(format!("*2\r\n$4\r\nECHO\r\n${}\r\n", MAX_ARGUMENT + 1).as_bytes(), "invalid bulk length");
    refused(b"*2\r\n$4\r\nECHO\r\n$9223372036854775807\r\n", "invalid bulk length");
    refused(b"*2\r\n$4\r\nECHO\r\n$9223372036854775808\r\n", "invalid bulk length");
    let (replies, next) = Alone::new().ask_in_pieces(&[format!("*2\r\n$4\r\nECHO\r\n${MAX_ARGUMENT}\r\n").as_bytes()]);
    assert_eq!((replies.len(), next), (0, Next::WaitForRest));
}

/// It is counted over all connections, and given back when the command is whole or its connection ends.
#[test]
fn commands_that_are_not_whole_are_refused_where_they_are_too_much() {
    const HEAD: &[u8] = b"*2\r\n$4\r\nECHO\r\n$1000000\r\n";
    let mut alone = Alone::with_memory(1_470_000);
    let part = [HEAD, &[b'x'; 900_000]].concat();
    let (replies, next) = alone.ask_in_pieces(&[&part[..500_000], &part[500_000..]]);
    assert_eq!((replies.len(), next), (0, Next::WaitForRest));

    let mut other = alone.db.join();
    let turn = |session: &mut Session, db: &mut Db, bytes: &[u8]| {
        let mut replies = BytesMut::new();
        let turn = session.turn(bytes, db, &mut replies, alone.now);
        (String::from_utf8_lossy(&replies).into_owned(), turn.next)
    };
    assert_eq!(turn(&mut other, &mut alone.db, &part[..600_000]), (String::new(), Next::WaitForRest));
    let refused = "-OOM too much has come of commands that are not whole\r\n".to_owned();
    assert_eq!(turn(&mut other, &mut alone.db, &part), (refused, Next::Close));
    alone.db.leave(&mut other);

    // There is room again, for one, and when its command was whole, for another.
    let whole = [&part[..], &[b'x'; 100_000], b"\r\n"].concat();
    let (mut third, mut fourth) = (alone.db.join(), alone.db.join());
    assert_eq!(turn(&mut third, &mut alone.db, &part[..600_000]).1, Next::WaitForRest);
    assert_eq!(turn(&mut third, &mut alone.db, &whole).1, Next::GoOn, "once its large reply is written");
    assert_eq!(turn(&mut fourth, &mut alone.db, &part[..600_000]).1, Next::WaitForRest);
    // A little is no matter, however many there are.
    assert_eq!(turn(&mut third, &mut alone.db, &part[..10_000]).1, Next::WaitForRest);
}

#[test]
fn an_argument_of_the_greatest_length_is_taken() {
    let longest = vec![b'x'; MAX_ARGUMENT];
    let (reply, _) = Alone::new().ask_in_pieces(&[&command(&[b"ECHO", &longest])]);
    assert!(reply[..] == [format!("${MAX_ARGUMENT}\r\n").as_bytes(), &longest, b"\r\n"].concat()[..]);
}

#[test]
fn a_command_that_is_too_long_is_refused_by_its_lengths() {
    let mut input = command(&[b"DEL", &vec![b'x'; MAX_ARGUMENT], b""]);
    input.truncate(input.len() - b"$0\r\n\r\n".len());
    input.extend_from_slice(format!("${MAX_ARGUMENT}\r\n").as_bytes());
    refused(&input, &format!("more than {MAX_COMMAND} bytes in one command"));
}

#[test]
fn a_line_that_is_too_long_is_refused_before_its_end() {
    refused(&[b'x'; MAX_LINE + 1], "too big inline request");
    refused(&[&[b'x'; MAX_LINE + 1][..], b"\r\n"].concat(), "too big inline request");
    refused(&[b'*'; 100], "too big mbulk count string");
    refused(&[&b"*1\r\n$"[..], &[b'1'; 100]].concat(), "too big bulk count string");
}

#[test]
fn too_many_arguments_are_refused_by_their_number() {
    refused(format!("*{}\r\n", MAX_ARGUMENTS + 1).as_bytes(), "invalid multibulk length");
}

#[test]
fn a_reply_that_would_be_too_long_is_refused() {
    let mut alone = Alone::new();
    alone.ask(command(&[b"SET", b"big", &vec![b'x'; MAX_ARGUMENT]]));
    let mut args = vec![&b"big"[..]; 1 + MAX_REPLY / MAX_ARGUMENT];
    args[0] = b"MGET";
    assert!(alone.ask(command(&args)).starts_with("*8\r\n"));
    args.push(b"big");
    let refused = format!("-ERR the values have more than {MAX_REPLY} bytes: ask for fewer at once\r\n");
    assert_eq!(alone.ask(command(&args)), refused);
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let mut alone = Alone::new();
    assert_eq!(alone.ask(command(&[b"CLIENT", b"SETNAME", &[b'x'; MAX_NAME]])), "+OK\r\n");
    let reply = alone.ask(command(&[b"CLIENT", b"SETNAME", &[b'x'; MAX_NAME + 1]]));
    assert_eq!(reply, "-ERR Client names cannot have more than 1024 bytes.\r\n");
}

/// Whoever asks for much more than was sent gets it in turns: what waits to be written stays small.
#[test]
fn a_turn_ends_when_there_is_much_to_write() {
    let mut alone = Alone::new();
    alone.ask(command(&[b"SET", b"big", &[b'x'; 100_000]]));
    let (input, mut replies) = (b"GET big\r\n".repeat(100), BytesMut::new());
    let turn = alone.session.turn(&input, &mut alone.db, &mut replies, alone.now);
    assert_eq!((turn.commands, turn.next), (1, Next::GoOn));
    let (rest, _) = alone.ask_in_pieces(&[&input[turn.consumed..]]);
    assert_eq!(replies.len() + rest.len(), 100 * (100_000 + "$100000\r\n\r\n".len()));
}

#[test]
fn a_turn_ends_after_many_commands() {
    let mut alone = Alone::new();
    let (input, mut replies) = (b"PING\r\n".repeat(1_000), BytesMut::new());
    let turn = alone.session.turn(&input, &mut alone.db, &mut replies, alone.now);
    assert_eq!((turn.commands, turn.consumed, turn.next), (256, 256 * "PING\r\n".len(), Next::GoOn));
}

#[test]
fn what_does_not_fit_into_memory_is_refused_and_changes_nothing() {
    const FULL: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    let mut alone = Alone::with_memory(10_000);
    assert_eq!(alone.ask(format!("SET a {}\r\n", "x".repeat(9_850))), "+OK\r\n");
    let used = alone.db.memory();
    for line in [
        format!("SET b {}", "x".repeat(2_000)),
        format!("SET a {}", "x".repeat(11_000)),
        format!("SET a {} EX 10", "x".repeat(9_850)),
        "EXPIRE a 10".to_owned(),
        format!("APPEND a {}", "x".repeat(2_000)),
        format!("APPEND b {}", "x".repeat(2_000)),
        format!("MSET c x {} x", "b".repeat(2_000)),
        format!("INCR {}", "b".repeat(2_000)),
        format!("SUBSCRIBE {}", "c".repeat(2_000)),
    ] {
        assert_eq!(alone.ask(format!("{line}\r\n")), FULL, "{}", &line[..10]);
        assert_eq!(alone.ask("TTL a\r\nSTRLEN a\r\nDBSIZE\r\n"), ":-1\r\n:9850\r\n:1\r\n", "{}", &line[..10]);
        assert_eq!(alone.db.memory(), used);
    }
    // What takes nothing more goes on, and so does what gives back.
    assert_eq!(alone.ask(format!("SET a {}\r\n", "y".repeat(9_850))), "+OK\r\n");
    assert_eq!(alone.ask(format!("MSET a {} a {}\r\n", "y".repeat(9_850), "y".repeat(9_850))), "+OK\r\n");
    assert_eq!(alone.ask("DEL a\r\nSET b 1\r\n"), ":1\r\n+OK\r\n");
}

/// Every way in and every way out again: what is counted comes back to nothing.
#[test]
fn memory_is_counted_both_ways() {
    let mut alone = Alone::new();
    for out in ["DEL a b", "FLUSHALL", "EXPIRE a 0\r\nPEXPIRE b -5", "SET a 1 PX 1\r\nSET b 1 PX 1"] {
        alone.ask("SET a 1\r\nSET a 12345678 EX 100\r\nAPPEND a 9\r\nAPPEND a 9\r\nSET a 1 KEEPTTL\r\nINCR a\r\n");
        alone.ask("MSET b 1 b 2\r\nEXPIRE b 5\r\nEXPIRE b 6\r\nPERSIST b\r\nEXPIRE b 7\r\nSET b 3\r\nPERSIST b\r\n");
        alone.ask(format!("SET b {}\r\nSET b 1\r\n", "x".repeat(10_000)));
        alone.ask("SUBSCRIBE one two one\r\nUNSUBSCRIBE two\r\nRESET\r\n");
        assert!(alone.db.memory() > 0);
        alone.ask(format!("{out}\r\n"));
        alone.later(1);
        alone.db.sweep(10, alone.now);
        assert_eq!((alone.db.keys(), alone.db.memory()), (0, 0), "{out}");
    }
}
