//! Channels, and who listens.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::BytesMut;

use super::{Alone, command};
use crate::kv::{MAX_ARGUMENT, MAX_OUTBOX, Session, TooSlow};

/// What somebody else in the same database asks.
fn ask(alone: &mut Alone, other: &mut Session, input: &[u8]) -> String {
    mem::swap(&mut alone.session, other);
    let replies = alone.ask(input);
    mem::swap(&mut alone.session, other);
    replies
}

fn messages(session: &Session) -> BytesMut {
    let mut out = BytesMut::new();
    session.outbox().unwrap().take(&mut out, usize::MAX);
    out
}

#[test]
fn who_subscribes_gets_what_is_published_after() {
    let mut alone = Alone::new();
    let mut other = alone.db.join();
    assert!(other.outbox().is_none());
    assert_eq!(ask(&mut alone, &mut other, b"SUBSCRIBE news\r\n"), "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    assert_eq!(alone.ask("PUBLISH news hello\r\nPUBLISH olds hello\r\nPUBLISH news again\r\n"), ":1\r\n:0\r\n:1\r\n");
    let hello = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n";
    assert_eq!(messages(&other), format!("{hello}{}", hello.replace("hello", "again")));
    assert_eq!(messages(&other), "");
}

#[test]
fn who_leaves_gets_nothing_more_and_leaves_nothing() {
    let mut alone = Alone::new();
    let mut other = alone.db.join();
    ask(&mut alone, &mut other, b"SUBSCRIBE a b\r\n");
    let replies = ask(&mut alone, &mut other, b"UNSUBSCRIBE a\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE c\r\n");
    let confirmed = |channel: &str, left| format!("*3\r\n$11\r\nunsubscribe\r\n{channel}\r\n:{left}\r\n");
    let expected =
        [("$1\r\na", 1), ("$1\r\nb", 0), ("$-1", 0), ("$1\r\nc", 0)].map(|(name, left)| confirmed(name, left));
    assert_eq!(replies, expected.concat());
    ask(&mut alone, &mut other, b"SUBSCRIBE a b\r\n");
    assert_eq!(alone.ask("PUBLISH a 1\r\nPUBLISH b 1\r\n"), ":1\r\n:1\r\n");
    alone.db.leave(&mut other);
    assert_eq!(alone.ask("PUBLISH a 1\r\nPUBLISH b 1\r\n"), ":0\r\n:0\r\n");
    assert_eq!(alone.db.memory(), 0);
}

#[test]
fn a_subscriber_listens_and_does_nothing_else() {
    let mut alone = Alone::new();
    alone.ask("SUBSCRIBE news\r\n");
    let refused = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                   this context\r\n";
    assert_eq!(alone.ask("GET frog\r\n"), refused);
    assert_eq!(
        alone.ask("PING\r\nPING hello\r\n"),
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$5\r\nhello\r\n"
    );
    assert_eq!(alone.ask("RESET\r\nGET frog\r\n"), "+RESET\r\n$-1\r\n");
}

#[test]
fn who_reads_too_slowly_is_cut_off_and_holds_no_memory() {
    const MESSAGE: usize = MAX_ARGUMENT / 2;
    let mut alone = Alone::new();
    let (mut slow, mut fast) = (alone.db.join(), alone.db.join());
    for session in [&mut slow, &mut fast] {
        ask(&mut alone, session, b"SUBSCRIBE news\r\n");
    }
    let publish = command(&[b"PUBLISH", b"news", &vec![b'x'; MESSAGE]]);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MAX_OUTBOX / MESSAGE {
        assert_eq!(slow.outbox().unwrap().poll_too_slow(&mut context), Poll::Pending);
        assert_eq!(alone.ask(&publish), ":2\r\n");
        assert!(messages(&fast).len() > MESSAGE);
    }
    assert_eq!(slow.outbox().unwrap().poll_too_slow(&mut context), Poll::Ready(TooSlow));
    assert_eq!(slow.outbox().unwrap().poll_message(&mut context), Poll::Ready(Err(TooSlow)));
    assert_eq!(messages(&slow).len(), 0);
    assert_eq!(fast.outbox().unwrap().poll_too_slow(&mut context), Poll::Pending);
}

#[test]
fn messages_are_taken_in_pieces_that_are_not_too_large() {
    let mut alone = Alone::new();
    let mut other = alone.db.join();
    ask(&mut alone, &mut other, b"SUBSCRIBE news\r\n");
    for _ in 0..10 {
        alone.ask(command(&[b"PUBLISH", b"news", &[b'x'; 1_000]]));
    }
    let mut lengths = Vec::new();
    loop {
        let mut out = BytesMut::new();
        other.outbox().unwrap().take(&mut out, 4_000);
        if out.is_empty() {
            break;
        }
        lengths.push(out.len() / 1_000);
    }
    assert_eq!(lengths, [3, 3, 3, 1]);
    alone.ask(command(&[b"PUBLISH", b"news", &[b'x'; 9_000]]));
    let mut out = BytesMut::new();
    other.outbox().unwrap().take(&mut out, 4_000);
    assert!(out.len() > 9_000, "one that is larger comes alone");
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker is foreign code, which could come back to the database.
#[test]
fn who_has_a_message_is_woken_once_and_by_who_owns_the_database() {
    let mut alone = Alone::new();
    let mut other = alone.db.join();
    ask(&mut alone, &mut other, b"SUBSCRIBE a b\r\n");
    let count = Arc::new(Count::default());
    let waker = count.clone().into();
    assert!(other.outbox().unwrap().poll_message(&mut Context::from_waker(&waker)).is_pending());
    alone.ask("PUBLISH a 1\r\nPUBLISH b 1\r\n");
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    alone.db.wakers().into_iter().for_each(Waker::wake);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(other.outbox().unwrap().poll_message(&mut Context::from_waker(&waker)).is_ready());
}
