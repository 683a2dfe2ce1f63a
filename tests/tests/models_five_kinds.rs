//! One slow pipe, read in five ways: the same bytes, and the calls that each way is about.

use std::fs;
use std::io::{ErrorKind, Read, Write, pipe};

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::has_io_uring;
use pollywog_tests::program::run;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};

/// What one of them says of itself, alone: the lane, and the calls.
fn alone(kind: &str) -> (String, String) {
    let ended = run("five_kinds", &[kind]);
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<&str> = ended.said.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    let lane = lines[1].strip_prefix(kind).unwrap().trim_start();
    // Each piece, and the end.
    assert_eq!(lane.matches('*').count(), 4, "{lane}");
    (lane.to_owned(), lines[2].trim_start().to_owned())
}

#[test]
fn who_blocks_makes_one_call_for_each_piece_and_does_nothing_else() {
    let (lane, calls) = alone("blocking");
    assert_eq!(calls, "4 read: 'one two three'");
    assert!(lane.contains('.') && !lane.contains('='), "{lane}");
}

#[test]
fn who_polls_is_refused_until_something_is_there() {
    assert_is_refused("non-blocking");
}

#[test]
fn who_is_told_by_signals_asks_until_it_is_refused() {
    let refused = assert_is_refused("signal-driven");
    // Once at the start, and once after each piece; a signal that came late may be one more each.
    assert!((4..=8).contains(&refused), "{refused}");
}

fn assert_is_refused(kind: &str) -> usize {
    let (lane, calls) = alone(kind);
    let (reads, rest) = calls.split_once(" read, ").unwrap();
    let (refused, rest) = rest.split_once(' ').unwrap();
    assert_eq!(rest, "of them refused: 'one two three'");
    let (reads, refused): (usize, usize) = (reads.parse().unwrap(), refused.parse().unwrap());
    assert_eq!(reads - refused, 4, "three pieces, and the end");
    assert!(refused > 0 && lane.contains('='), "{calls} {lane}");
    refused
}

#[test]
fn who_multiplexes_makes_two_calls_for_each_piece() {
    let (lane, calls) = alone("multiplexed");
    assert_eq!(calls, "4 poll, 4 read: 'one two three'");
    assert!(lane.contains('.') && !lane.contains('='), "{lane}");
}

#[test]
fn who_is_asynchronous_never_reads() {
    if !has_io_uring("who_is_asynchronous_never_reads") {
        return;
    }
    let (lane, calls) = alone("asynchronous");
    assert_eq!(calls, "4 io_uring_enter: 'one two three'");
    assert!(lane.contains('='), "{lane}");
}

#[test]
fn all_of_them_are_drawn() {
    if !has_io_uring("all_of_them_are_drawn") {
        return;
    }
    let folder = Folder::new();
    let file = folder.file("phases.svg");
    let ended = run("five_kinds", &["--svg", file.to_str().unwrap()]);
    assert!(ended.status.success(), "{ended:?}");
    let svg = fs::read_to_string(file).unwrap();
    for kind in ["blocking", "non-blocking", "multiplexed", "signal-driven", "asynchronous"] {
        assert!(svg.contains(&format!(">{kind}</text>")), "{svg}");
    }
    // Four times bytes are here, in each lane; and once in the key.
    assert_eq!(svg.matches("<circle").count(), 5 * 4 + 1, "{svg}");
    assert!(svg.contains("asynchronous: 4 io_uring_enter: 'one two three'."), "{svg}");
}

/// Two are told of one byte. Who comes second finds that it is gone.
#[test]
fn ready_may_be_over_when_one_comes() {
    let (mut first, mut writer) = pipe().unwrap();
    let mut second = first.try_clone().unwrap();
    fcntl_setfl(&second, OFlags::NONBLOCK).unwrap();
    writer.write_all(b"x").unwrap();
    for reader in [&first, &second] {
        let mut watched = [PollFd::new(reader, PollFlags::IN)];
        assert_eq!(poll(&mut watched, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap(), 1);
    }
    assert_eq!(first.read(&mut [0; 8]).unwrap(), 1);
    // A call that blocks would sleep here.
    assert_eq!(second.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}
