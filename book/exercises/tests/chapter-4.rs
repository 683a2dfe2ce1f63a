//! Exercises of chapter 4, five kinds of I/O.

#[cfg(feature = "solutions")]
use std::io::Read;
use std::io::{self, PipeReader, Write, pipe};
use std::thread;
use std::time::Duration;

use pollywog_exercises::{Watched, bounded};
#[cfg(feature = "solutions")]
use rustix::event::{PollFd, PollFlags, poll};

/// Who waits, and who is told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each call waits for one descriptor.
    Blocking,
    /// Nobody waits, and nobody tells.
    NonBlocking,
    /// One call waits for many.
    Multiplexed,
    /// A signal tells.
    SignalDriven,
    /// The kernel does it, and tells when it is done.
    Asynchronous,
}

/// 4.1: Here are some lines of what strace has seen of a program. Of which kind is it?
#[cfg(not(feature = "solutions"))]
fn kind_of(trace: &str) -> Kind {
    todo!("4.1: what in these lines tells the kind?\n{trace}")
}
#[cfg(feature = "solutions")]
fn kind_of(trace: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| trace.contains(word));
    // In this order: a program that is told of readiness, in whatever way, makes calls that are refused, too.
    if has(&["io_uring_enter("]) {
        Kind::Asynchronous
    } else if has(&["--- SIGIO", "rt_sigtimedwait(", "O_ASYNC", "FASYNC"]) {
        Kind::SignalDriven
    } else if has(&["poll(", "poll_wait(", "poll_pwait(", "select(", "select6("]) {
        Kind::Multiplexed
    } else if has(&["EAGAIN"]) {
        Kind::NonBlocking
    } else {
        Kind::Blocking
    }
}

/// The traces of this chapter, each with the letter that it has there.
fn recorded(letter: char) -> &'static str {
    let recording = include_str!("../../recorded/five-traces.txt");
    let (_, rest) = recording.split_once(&format!("{letter}:\n")).expect("the recording has it");
    rest.split("\n\n").next().unwrap_or_default()
}

#[test]
fn the_five_traces_of_the_chapter_are_told_apart() {
    let kinds = ['A', 'B', 'C', 'D', 'E'].map(|letter| kind_of(recorded(letter)));
    let right = [Kind::Multiplexed, Kind::Asynchronous, Kind::Blocking, Kind::SignalDriven, Kind::NonBlocking];
    assert!(kinds == right, "4.1: A to E are not {kinds:?}");
}

#[test]
fn so_are_those_of_programs_that_one_has_not_seen() {
    for (trace, kind) in [
        ("accept4(3, NULL, NULL, SOCK_CLOEXEC) = 4\nrecvfrom(4, \"one\\n\", 4096, 0, NULL, NULL) = 4", Kind::Blocking),
        ("read(0, 0x7ffd, 4096) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)", Kind::Blocking),
        (
            "accept4(3, NULL, NULL, SOCK_CLOEXEC) = -1 EAGAIN (Resource temporarily unavailable)\n\
             recvfrom(4, 0x7ffd, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)",
            Kind::NonBlocking,
        ),
        (
            "recvfrom(5, 0x7ffd, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n\
             epoll_wait(4, [{events=EPOLLIN, data={u32=5, u64=5}}], 256, -1) = 1",
            Kind::Multiplexed,
        ),
        ("pselect6(5, [3 4], [], [], NULL, NULL) = 1 (in [4])\nread(4, \"x\", 1) = 1", Kind::Multiplexed),
        (
            "rt_sigtimedwait([IO], NULL, NULL, 8) = 29 (SIGIO)\nfcntl(4, F_SETFL, O_RDWR|O_NONBLOCK|O_ASYNC) = 0\n\
             recvfrom(4, 0x7ffd, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)",
            Kind::SignalDriven,
        ),
        (
            "recvfrom(4, 0x7ffd, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n\
             rt_sigtimedwait([IO], NULL, NULL, 8) = 29 (SIGIO)",
            Kind::SignalDriven,
        ),
        ("sendto(4, \"one\\n\", 4, MSG_NOSIGNAL, NULL, 0) = 4\nread(3, \"poll\", 64) = 4", Kind::Blocking),
        ("read(0, 0x7ffd, 4096) = ? ERESTARTSYS\n--- SIGINT {si_signo=SIGINT, si_code=SI_KERNEL} ---", Kind::Blocking),
        ("accept4(3, NULL, NULL, SOCK_CLOEXEC) = -1 EMFILE (Too many open files)", Kind::Blocking),
        ("io_uring_enter(4, 2, 1, IORING_ENTER_GETEVENTS, NULL, 128) = 2", Kind::Asynchronous),
    ] {
        let found = kind_of(trace);
        assert_eq!(found, kind, "4.1: this one is not {found:?}:\n{trace}");
    }
}

/// 4.2: Two people may speak. Gives what the first of them to speak has said (what one read of at most 64 bytes gives),
/// and who that is, 0 or 1. Who hangs up has spoken, too, and has said nothing. One thread, and it sleeps until then.
#[cfg(not(feature = "solutions"))]
fn first_to_speak(pipes: [PipeReader; 2]) -> io::Result<(usize, Vec<u8>)> {
    todo!("4.2: wait for both of {pipes:?}, then read one")
}
#[cfg(feature = "solutions")]
fn first_to_speak(mut pipes: [PipeReader; 2]) -> io::Result<(usize, Vec<u8>)> {
    let mut watched = [PollFd::new(&pipes[0], PollFlags::IN), PollFd::new(&pipes[1], PollFlags::IN)];
    poll(&mut watched, None)?;
    // The end of a pipe is told as HUP, and is something to read as well.
    let first = usize::from(watched[0].revents().is_empty());
    let mut buffer = [0; 64];
    let count = pipes[first].read(&mut buffer)?;
    Ok((first, buffer[..count].to_vec()))
}

#[test]
fn the_silent_one_of_two_is_not_waited_for() {
    for speaks in [0, 1] {
        bounded(Duration::from_secs(10), "4.2: it waits for the one who is silent", move || {
            let ((left, to_left), (right, to_right)) = (pipe().unwrap(), pipe().unwrap());
            let writers = [to_left, to_right];
            let reader = Watched::this_thread();
            let speaking = thread::Builder::new().name("speaking".to_owned()).spawn(move || {
                // Who has only looked has seen nobody.
                let asleep = reader.falls_asleep();
                let threads = reader.threads();
                (&writers[speaks]).write_all(&[b'x'; 100]).unwrap();
                (writers, asleep, threads)
            });
            let answer = first_to_speak([left, right]).unwrap();
            let (writers, asleep, threads) = speaking.unwrap().join().unwrap();
            assert_eq!(
                answer,
                (speaks, vec![b'x'; 64]),
                "4.2: pipe {speaks} has spoken, and one read has room for 64 bytes"
            );
            assert!(asleep, "4.2: nobody spoke for five seconds, and it was awake, or woke again and again");
            assert_eq!(threads, 1, "4.2: one thread is enough");
            drop(writers);
        });
    }
}

#[test]
fn who_hangs_up_has_spoken() {
    for leaves in [0, 1] {
        let ((left, to_left), (right, to_right)) = (pipe().unwrap(), pipe().unwrap());
        let mut writers = [Some(to_left), Some(to_right)];
        writers[leaves] = None;
        let answer = bounded(Duration::from_secs(10), "4.2: it waits for the one who has stayed", move || {
            first_to_speak([left, right])
        });
        assert_eq!(answer.unwrap(), (leaves, Vec::new()), "4.2: pipe {leaves} has come to its end");
        drop(writers);
    }
}
