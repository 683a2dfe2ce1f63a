//! The readiness of a descriptor: what a guard clears and what it leaves, who is woken, and where it is registered.

use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::thread;

use futures::channel::oneshot;
use futures::executor::block_on;
use futures::poll;
use pollywog_net::{AsyncFd, Interest, Ready, spawn};
use pollywog_tests::net::{Watchdog, counted, run, turns};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

fn descriptor(value: u32) -> OwnedFd {
    eventfd(value, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
}

fn event(value: u32) -> AsyncFd<OwnedFd> {
    AsyncFd::new(descriptor(value)).unwrap()
}

fn add(fd: impl std::os::fd::AsFd) {
    assert_eq!(write(fd, &1_u64.to_ne_bytes()).unwrap(), 8);
}

fn take(fd: &OwnedFd) -> io::Result<u64> {
    let mut value = [0; 8];
    assert_eq!(read(fd, &mut value)?, 8);
    Ok(u64::from_ne_bytes(value))
}

#[test]
fn an_operation_that_blocks_clears_the_readiness() {
    run(async {
        let fd = event(1);
        let mut guard = fd.readable().await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE);
        assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
        // What succeeded clears nothing: it may succeed again.
        let mut guard = fd.readable().await.unwrap();
        let error = guard.try_io(|fd| take(fd.get_ref())).unwrap_err();
        assert_eq!(error.to_string(), "the operation would block: wait until the descriptor is ready again");
        assert!(guard.ready().is_empty());
        let mut waiting = pin!(fd.readable());
        assert!(poll!(waiting.as_mut()).is_pending());
        add(&fd);
        assert!(waiting.await.unwrap().ready().is_readable());
    });
}

#[test]
fn an_error_of_the_operation_clears_nothing() {
    run(async {
        let fd = event(1);
        let mut guard = fd.readable().await.unwrap();
        let result: io::Result<()> = guard.try_io(|_| Err(ErrorKind::InvalidData.into())).unwrap();
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(guard.ready().is_readable());
        assert!(poll!(pin!(fd.readable())).is_ready());
    });
}

#[test]
fn what_is_retained_is_given_again_at_once() {
    run(async {
        let fd = event(1);
        for _ in 0..3 {
            fd.readable().await.unwrap().retain_ready();
            assert!(poll!(pin!(fd.readable())).is_ready());
        }
    });
}

#[test]
fn clearing_clears_what_the_guard_saw() {
    run(async {
        let fd = event(1);
        fd.readable().await.unwrap().clear_ready();
        assert!(poll!(pin!(fd.readable())).is_pending());
        assert!(poll!(pin!(fd.writable())).is_ready(), "the other direction is as it was");
        add(&fd);
        fd.readable().await.unwrap().retain_ready();
    });
}

/// The last event is newer than the guard, and would be the last.
#[test]
fn clearing_leaves_what_came_after_the_guard() {
    run(async {
        let fd = event(1);
        let mut guard = fd.readable().await.unwrap();
        assert_eq!(take(&fd.get_ref().try_clone().unwrap()).unwrap(), 1);
        add(&fd);
        turns(2).await; // the event is taken in
        guard.clear_ready();
        let mut guard = pin!(fd.readable());
        let std::task::Poll::Ready(Ok(mut guard)) = poll!(guard.as_mut()) else { panic!("the event is lost") };
        assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
    });
}

#[test]
fn a_part_of_the_readiness_is_cleared() {
    run(async {
        let fd = event(1);
        fd.readable().await.unwrap().retain_ready();
        let mut guard = fd.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        guard.clear_ready_matching(Ready::WRITABLE);
        assert_eq!(guard.ready(), Ready::READABLE);
        assert!(poll!(pin!(fd.writable())).is_pending());
        assert!(poll!(pin!(fd.readable())).is_ready());
        guard.clear_ready();
        assert!(poll!(pin!(fd.readable())).is_pending());
    });
}

#[test]
fn try_io_uses_the_readiness_up_only_where_it_blocks() {
    run(async {
        let fd = event(1);
        fd.readable().await.unwrap().retain_ready();
        assert_eq!(fd.try_io(Interest::READABLE, take).unwrap(), 1);
        assert_eq!(fd.try_io(Interest::READABLE, take).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut runs = 0;
        let result = fd.try_io(Interest::READABLE, |_| {
            runs += 1;
            Ok(())
        });
        assert_eq!((result.unwrap_err().kind(), runs), (ErrorKind::WouldBlock, 0), "it is known to block");
        add(&fd);
        assert_eq!(fd.async_io(Interest::READABLE, take).await.unwrap(), 1);
    });
}

#[test]
fn polling_for_readiness_gives_guards() {
    run(async {
        let fd = event(0);
        let (reading, polls) = counted(std::future::poll_fn(|cx| fd.poll_read_ready(cx)));
        let mut reading = pin!(reading);
        assert!(poll!(reading.as_mut()).is_pending());
        let mut guard = std::future::poll_fn(|cx| fd.poll_write_ready(cx)).await.unwrap();
        guard.retain_ready();
        add(guard.get_inner());
        let mut guard = reading.await.unwrap();
        assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
        assert!(polls.get() <= 3, "{polls:?}");
    });
}

#[test]
fn everybody_who_waits_is_woken() {
    run(async {
        let fd = Rc::new(event(0));
        let waiting: Vec<_> = (0..5)
            .map(|number| {
                let fd = fd.clone();
                spawn(async move {
                    match number % 2 {
                        0 => fd.readable().await.unwrap().retain_ready(),
                        _ => fd.ready(Interest::READABLE).await.unwrap().retain_ready(),
                    }
                })
            })
            .collect();
        turns(2).await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        add(&*fd);
        for task in waiting {
            task.await.unwrap();
        }
    });
}

/// Dropped after each poll: before it waits, while it waits, and when the event has come.
#[test]
fn a_dropped_wait_loses_nothing() {
    run(async {
        let fd = event(0);
        for _ in 0..20 {
            assert!(poll!(pin!(fd.readable())).is_pending());
            {
                let mut woken = pin!(fd.async_io(Interest::READABLE, take));
                assert!(poll!(woken.as_mut()).is_pending());
                add(&fd);
                turns(1).await;
            }
            drop(fd.readable().await.unwrap());
            assert_eq!(fd.async_io(Interest::READABLE, take).await.unwrap(), 1);
            assert_eq!(fd.async_io(Interest::READABLE, |_| io::Result::Ok(7)).await.unwrap(), 7);
            assert_eq!(fd.try_io(Interest::READABLE, take).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}

/// Duplicates are one eventfd with several numbers, each registered for itself.
#[test]
fn duplicates_are_woken_and_dropped_one_by_one() {
    run(async {
        let first = descriptor(0);
        let mut duplicates: Vec<_> =
            (0..3).map(|_| Rc::new(AsyncFd::new(first.try_clone().unwrap()).unwrap())).collect();
        let wait = |fd: &Rc<AsyncFd<OwnedFd>>| {
            let fd = fd.clone();
            let (waiting, polls) = counted(async move { fd.readable().await.unwrap().clear_ready() });
            (spawn(waiting), polls)
        };
        // The one that is closed leaves the others waiting.
        while !duplicates.is_empty() {
            let waiting: Vec<_> = duplicates.iter().map(wait).collect();
            turns(2).await;
            add(&first);
            for (task, polls) in waiting {
                task.await.unwrap();
                assert!(polls.get() <= 3, "{polls:?}");
            }
            drop(duplicates.pop());
        }
    });
}

/// The old descriptor stays open, and would still bring events.
#[test]
fn a_descriptor_that_is_swapped_out_is_deregistered() {
    run(async {
        let mut fd = event(0);
        assert!(poll!(pin!(fd.readable())).is_pending());
        let old = mem::replace(fd.get_mut(), descriptor(0));
        let mut waiting = pin!(fd.readable());
        assert!(poll!(waiting.as_mut()).is_pending());
        add(&old);
        turns(3).await;
        assert!(poll!(waiting.as_mut()).is_pending(), "that was the old one's");
        add(&fd);
        waiting.await.unwrap().retain_ready();
        // And it can be registered by another owner.
        let old = AsyncFd::new(old).unwrap();
        old.readable().await.unwrap().retain_ready();
    });
}

/// Looking through `get_mut` without changing anything costs a registration, and no event.
#[test]
fn what_is_ready_when_it_is_changed_is_told_again() {
    run(async {
        let mut fd = event(0);
        for _ in 0..5 {
            assert!(poll!(pin!(fd.readable())).is_pending());
            add(&fd);
            turns(2).await;
            let _: &mut OwnedFd = fd.get_mut();
            let mut guard = fd.readable().await.unwrap();
            assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
            guard.clear_ready();
        }
    });
}

/// The descriptor is the same, so were it still registered, it could not be again.
#[test]
fn whoever_gives_it_up_has_it_deregistered() {
    run(async {
        let mut inner = descriptor(0);
        for _ in 0..3 {
            let fd = AsyncFd::new(inner).unwrap();
            assert!(poll!(pin!(fd.readable())).is_pending());
            inner = fd.into_inner();
            let borrowed = AsyncFd::new(&inner).unwrap();
            let mut waiting = Box::pin(borrowed.readable());
            assert!(poll!(waiting.as_mut()).is_pending());
            add(&inner);
            waiting.await.unwrap().retain_ready();
            drop(borrowed);
            let shared = Rc::new(inner);
            let fd = AsyncFd::new(shared.clone()).unwrap();
            assert_eq!(fd.async_io(Interest::READABLE, |fd| take(fd)).await.unwrap(), 1);
            drop(fd);
            inner = Rc::into_inner(shared).unwrap();
        }
    });
}

#[test]
fn dropped_on_another_thread_it_is_deregistered_here() {
    run(async {
        let inner = std::sync::Arc::new(descriptor(0));
        let fd = AsyncFd::new(inner.clone()).unwrap();
        assert!(poll!(pin!(fd.readable())).is_pending());
        thread::spawn(move || drop(fd)).join().unwrap();
        let fd = AsyncFd::new(inner).unwrap();
        let mut waiting = pin!(fd.readable());
        assert!(poll!(waiting.as_mut()).is_pending());
        add(fd.get_ref());
        waiting.await.unwrap().retain_ready();
    });
}

#[test]
fn moved_to_another_thread_it_waits_there() {
    let _watchdog = Watchdog::start();
    let (fd, here) = run(async {
        let fd = event(1);
        fd.readable().await.unwrap().clear_ready();
        let here = fd.get_ref().try_clone().unwrap();
        let (parked, is_parked) = oneshot::channel();
        let moved = thread::spawn(move || {
            run(async move {
                // What is ready is told again by the reactor that it is new to.
                let mut guard = fd.readable().await.unwrap();
                assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
                guard.clear_ready();
                let mut taking = Box::pin(fd.async_io(Interest::READABLE, take));
                assert!(poll!(taking.as_mut()).is_pending());
                parked.send(()).unwrap();
                assert_eq!(taking.await.unwrap(), 1);
                fd
            })
        });
        let (waiting, polls) = counted(is_parked);
        waiting.await.unwrap();
        add(&here);
        while !moved.is_finished() {
            turns(1).await;
        }
        assert!(polls.get() <= 3, "{polls:?}");
        (moved.join().unwrap(), here)
    });
    run(async move {
        let mut waiting = pin!(fd.readable());
        assert!(poll!(waiting.as_mut()).is_pending());
        add(&here);
        waiting.await.unwrap().retain_ready();
    });
}

/// A guard of one thread clears nothing that another has been told.
#[test]
fn a_guard_that_is_moved_clears_nothing_elsewhere() {
    run(async {
        let fd = event(1);
        let mut guard = fd.readable().await.unwrap();
        thread::scope(|scope| {
            scope.spawn(|| guard.clear_ready());
        });
        assert!(poll!(pin!(fd.readable())).is_ready());
    });
}

#[test]
fn where_no_runtime_runs_waiting_is_an_error() {
    let _watchdog = Watchdog::start();
    let fd = event(1);
    let error = block_on(fd.readable()).unwrap_err();
    assert!(error.to_string().contains("no Pollywog runtime runs on this thread"), "{error}");
    assert_eq!(fd.try_io(Interest::READABLE, take).unwrap(), 1, "what need not wait works anywhere");
}
