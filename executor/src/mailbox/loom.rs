//! Every interleaving of the mailbox's threads, explored to the end.
//!
//! `RUSTFLAGS="--cfg pollywog_loom" cargo test --release -p pollywog-executor --lib loom`

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::sync::{Arc, Notify};
use loom::thread;
use waker_fn::waker_fn;

use super::{Mail, Mailbox};
use crate::key::{ExecutorId, Key};

/// A sticky place to sleep: what every driver is, reduced to a flag.
#[derive(Clone)]
struct Bed(Arc<Notify>);

impl Bed {
    fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }

    fn sleep(&self) {
        self.0.wait();
    }

    fn waker(&self) -> std::sync::Arc<std::task::Waker> {
        let bed = self.clone();
        std::sync::Arc::new(waker_fn(move || bed.0.notify()))
    }
}

fn open() -> Arc<Mailbox<u32>> {
    let mailbox = Arc::new(Mailbox::closed());
    mailbox.open();
    mailbox
}

fn key(slot: u32) -> Key {
    Key::new(ExecutorId::new(0), slot, 1)
}

/// What `block_on` does with a mailbox until it has had `wanted` messages. A wake that is lost is a deadlock here,
/// and loom reports it.
fn receive(mailbox: &Mailbox<u32>, bed: &Bed, wanted: usize) -> Mail<u32> {
    let mut all = Mail::new();
    let mut mail = Mail::new();
    loop {
        if mailbox.take(&mut mail) {
            all.wakes.append(&mut mail.wakes);
            all.commands.append(&mut mail.commands);
        }
        if all.wakes.len() + all.commands.len() >= wanted {
            return all;
        }
        if mailbox.try_park() {
            bed.sleep();
            mailbox.end_park();
        }
    }
}

#[test]
fn a_post_ends_a_park() {
    loom::model(|| {
        let (mailbox, bed) = (open(), Bed::new());
        mailbox.set_unparker(Some(bed.waker()));
        let poster = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_wake(key(1)))
        };
        assert_eq!(receive(&mailbox, &bed, 1).wakes, [key(1)]);
        poster.join().unwrap();
    });
}

#[test]
fn two_posters_and_nothing_is_lost() {
    loom::model(|| {
        let (mailbox, bed) = (open(), Bed::new());
        mailbox.set_unparker(Some(bed.waker()));
        let poster = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_wake(key(1)))
        };
        let other = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_command(1, 2).unwrap())
        };
        let mail = receive(&mailbox, &bed, 2);
        assert_eq!(mail.wakes, [key(1)]);
        assert_eq!(mail.commands, [2]);
        poster.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_second_block_on_hears_what_came_between_with_its_own_unparker() {
    loom::model(|| {
        let mailbox = open();
        let first = Bed::new();
        mailbox.set_unparker(Some(first.waker()));
        let poster = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                mailbox.post_wake(key(1));
                mailbox.post_wake(key(2));
            })
        };
        let mut got = receive(&mailbox, &first, 1).wakes.len();
        mailbox.set_unparker(None);
        let second = Bed::new();
        mailbox.set_unparker(Some(second.waker()));
        if got < 2 {
            got += receive(&mailbox, &second, 1).wakes.len();
        }
        assert_eq!(got, 2);
        poster.join().unwrap();
    });
}

#[test]
fn between_two_ticks_exactly_one_poster_calls_the_outer_loop() {
    loom::model(|| {
        let mailbox = open();
        let calls = std::sync::Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        mailbox.set_unparker(Some(std::sync::Arc::new(waker_fn(move || {
            counter.fetch_add(1, Relaxed);
        }))));
        // A tick ends parked: the outer loop sleeps somewhere of its own.
        assert!(mailbox.try_park());
        let posters = [1, 2].map(|slot| {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_wake(key(slot)))
        });
        for poster in posters {
            poster.join().unwrap();
        }
        assert_eq!(calls.load(Relaxed), 1);
        mailbox.end_park();
        let mut mail = Mail::new();
        assert!(mailbox.take(&mut mail));
        assert_eq!(mail.wakes.len(), 2);
    });
}

#[test]
fn a_command_against_close_is_returned_exactly_once() {
    loom::model(|| {
        let mailbox = open();
        let poster = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_command(1, 7).err())
        };
        let unread = mailbox.close().commands;
        let refused = poster.join().unwrap();
        assert_eq!(unread.into_iter().chain(refused).collect::<Vec<_>>(), [7]);
    });
}

#[test]
fn a_command_is_run_by_the_owner_it_was_meant_for_or_comes_back() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::closed());
        let since = mailbox.open() + 1;
        let poster = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.post_command(since, 7).err())
        };
        let mut mail = Mail::new();
        mailbox.take(&mut mail);
        let run = std::mem::take(&mut mail.commands);
        let unread = mailbox.close().commands;
        mailbox.retire(since);

        // The next owner, for whom there is a command too.
        let since = mailbox.open() + 1;
        mailbox.post_command(since, 8).unwrap();
        mailbox.take(&mut mail);
        let refused = poster.join().unwrap();
        let mut late = Mail::new();
        mailbox.take(&mut late);
        mail.commands.append(&mut late.commands);
        assert_eq!(mail.commands, [8]);
        assert_eq!([run, unread, refused.into_iter().collect()].concat(), [7]);
    });
}

/// Two posters with two wakes each.
fn storm(mailbox: &Arc<Mailbox<u32>>) -> [thread::JoinHandle<()>; 2] {
    [[1, 2], [3, 4]].map(|slots| {
        let mailbox = mailbox.clone();
        thread::spawn(move || slots.into_iter().for_each(|slot| mailbox.post_wake(key(slot))))
    })
}

fn join<const N: usize>(posters: [thread::JoinHandle<()>; N]) {
    for poster in posters {
        poster.join().unwrap();
    }
}

/// Whether these are the wakes of a storm up to the end of an owner: each once, and none without the one before.
fn is_cut_short(wakes: &[Key]) -> bool {
    let place = |slot| wakes.iter().position(|wake| *wake == key(slot));
    let is_whole = |first, second| place(second).is_none_or(|second| place(first).is_some_and(|first| first < second));
    let are_single = wakes.iter().all(|wake| wakes.iter().filter(|other| *other == wake).count() == 1);
    are_single && is_whole(1, 2) && is_whole(3, 4)
}

/// What the next owner finds is its own.
fn begin_anew(mailbox: &Mailbox<u32>) {
    mailbox.open();
    assert!(!mailbox.has_mail());
    mailbox.post_wake(key(9));
    let mut mail = Mail::new();
    assert!(mailbox.take(&mut mail));
    assert_eq!(mail.wakes, [key(9)]);
}

#[test]
fn a_storm_of_wakes_against_close_leaves_nothing_to_the_next_owner() {
    loom::model(|| {
        let mailbox = open();
        let posters = storm(&mailbox);
        let mut mail = Mail::new();
        mailbox.take(&mut mail);
        let mut wakes = mail.wakes;
        wakes.append(&mut mailbox.close().wakes);
        assert!(is_cut_short(&wakes), "{wakes:?}");
        join(posters);
        begin_anew(&mailbox);
    });
}

#[test]
fn a_storm_of_wakes_against_the_close_of_one_that_rests_calls_the_outer_loop_once_or_not_at_all() {
    loom::model(|| {
        let mailbox = open();
        let calls = std::sync::Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        mailbox.set_unparker(Some(std::sync::Arc::new(waker_fn(move || {
            counter.fetch_add(1, Relaxed);
        }))));
        assert!(mailbox.try_park());
        let posters = storm(&mailbox);
        let wakes = mailbox.close().wakes;
        assert!(is_cut_short(&wakes), "{wakes:?}");
        join(posters);
        assert_eq!(calls.load(Relaxed), usize::from(!wakes.is_empty()));
        begin_anew(&mailbox);
    });
}
