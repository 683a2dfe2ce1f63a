//! Keys that expire.

use std::task::{Context, Waker};

use super::Alone;

#[test]
fn a_key_is_there_until_its_time_has_come_and_then_it_is_gone() {
    let mut alone = Alone::new();
    assert_eq!(alone.ask("SET frog pond PX 100\r\nPTTL frog\r\n"), "+OK\r\n:100\r\n");
    alone.later(99);
    assert_eq!(alone.ask("GET frog\r\nPTTL frog\r\nEXISTS frog\r\n"), "$4\r\npond\r\n:1\r\n:1\r\n");
    alone.later(1);
    assert_eq!(alone.ask("GET frog\r\nTTL frog\r\nEXISTS frog\r\nMGET frog\r\n"), "$-1\r\n:-2\r\n:0\r\n*1\r\n$-1\r\n");
    assert_eq!(alone.ask("DEL frog\r\n"), ":0\r\n");
}

/// Each of them would otherwise go on with the value that has expired.
#[test]
fn a_key_that_has_expired_is_a_new_one_to_who_writes() {
    for (line, reply) in [
        ("INCR frog", ":1\r\n"),
        ("APPEND frog er", ":2\r\n"),
        ("SET frog pond NX", "+OK\r\n"),
        ("SET frog pond XX", "$-1\r\n"),
        ("SET frog pond GET", "$-1\r\n"),
        ("EXPIRE frog 10", ":0\r\n"),
        ("PERSIST frog", ":0\r\n"),
    ] {
        let mut alone = Alone::new();
        alone.ask("SET frog 10 PX 1\r\n");
        alone.later(1);
        assert_eq!(alone.ask(format!("{line}\r\n")), reply, "{line}");
    }
    let mut alone = Alone::new();
    alone.ask("SET frog 10 PX 1\r\n");
    alone.later(1);
    assert_eq!(alone.ask("SET frog pond KEEPTTL\r\nTTL frog\r\n"), "+OK\r\n:-1\r\n");
}

#[test]
fn a_time_to_live_is_set_kept_and_taken_away() {
    let mut alone = Alone::new();
    for (line, reply) in [
        ("EXPIRE frog 10", ":0"),
        ("SET frog pond", "+OK"),
        ("TTL frog", ":-1"),
        ("EXPIRE frog 10", ":1"),
        ("TTL frog", ":10"),
        ("SET frog lake KEEPTTL", "+OK"),
        ("TTL frog", ":10"),
        ("APPEND frog s", ":5"),
        ("TTL frog", ":10"),
        ("PEXPIRE frog 1499", ":1"),
        ("TTL frog", ":1"),
        ("PERSIST frog", ":1"),
        ("PERSIST frog", ":0"),
        ("TTL frog", ":-1"),
        ("SET frog pond EX 5", "+OK"),
        ("SET frog lake", "+OK"),
        ("TTL frog", ":-1"),
        ("EXPIRE frog -1", ":1"),
        ("EXISTS frog", ":0"),
        ("SET frog pond", "+OK"),
        ("EXPIRE frog 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("PEXPIRE frog 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
    ] {
        assert_eq!(alone.ask(format!("{line}\r\n")), format!("{reply}\r\n"), "{line}");
    }
}

#[test]
fn memory_comes_back_without_anybody_asking_for_the_keys() {
    let mut alone = Alone::new();
    for number in 0..5_000 {
        alone.ask(format!("SET key:{number} {} PX {}\r\n", "x".repeat(100), 1 + number));
    }
    alone.ask("SET stays here\r\n");
    let full = alone.db.memory();
    alone.later(2_500);
    // A sweep takes so many and no more: others have their turn.
    assert!(alone.db.sweep(1_000, alone.now));
    assert_eq!(alone.db.keys(), 4_001);
    while alone.db.sweep(1_000, alone.now) {}
    assert_eq!(alone.db.keys(), 2_501);
    assert!(alone.db.memory() < full * 51 / 100, "{} of {full}", alone.db.memory());
    alone.later(2_500);
    while alone.db.sweep(1_000, alone.now) {}
    assert_eq!(alone.ask("DBSIZE\r\nGET stays\r\nDEL stays\r\n"), ":1\r\n$4\r\nhere\r\n:1\r\n");
    assert_eq!(alone.db.memory(), 0);
}

#[test]
fn who_is_set_anew_does_not_expire_with_the_one_before() {
    let mut alone = Alone::new();
    alone.ask("SET frog pond PX 10\r\nSET frog lake\r\nSET toad pond PX 10\r\nPEXPIRE toad 1000\r\n");
    alone.later(10);
    assert!(!alone.db.sweep(1_000, alone.now));
    assert_eq!(alone.ask("GET frog\r\nGET toad\r\n"), "$4\r\nlake\r\n$4\r\npond\r\n");
}

#[test]
fn who_sweeps_sleeps_until_there_is_something_to_sweep() {
    let mut alone = Alone::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(alone.db.poll_sweep(&mut cx).is_pending());
    alone.ask("SET frog pond\r\n");
    assert_eq!(alone.db.wakers().len(), 0, "nothing expires");
    alone.ask("EXPIRE frog 10\r\n");
    assert_eq!(alone.db.wakers().len(), 1, "this will");
    assert_eq!(alone.db.wakers().len(), 0, "it is woken once");
    assert!(alone.db.poll_sweep(&mut cx).is_ready());
    alone.later(10_000);
    assert!(!alone.db.sweep(1_000, alone.now));
    assert!(alone.db.poll_sweep(&mut cx).is_pending());
    // A table from which much was taken is given back as well.
    for number in 0..5_000 {
        alone.ask(format!("SET key:{number} value\r\n"));
    }
    for number in 0..5_000 {
        alone.ask(format!("DEL key:{number}\r\n"));
    }
    assert_eq!(alone.db.wakers().len(), 1);
    assert!(!alone.db.sweep(1_000, alone.now));
    assert!(alone.db.poll_sweep(&mut cx).is_pending());
}
