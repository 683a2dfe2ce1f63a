//! Signals: nobody misses one, nobody takes another's, and nothing stays behind. Each test is a process of its own.

use std::fs;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

use futures::{FutureExt, StreamExt, poll};
use pollywog_net::signal::{Signal, SignalKind, ctrl_c, signal};
use pollywog_net::task::consume_budget;
use pollywog_net::{Runtime, spawn};
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::net::{alone, counted, descriptors, run, turns, warnings};
use rustix::process::{getpid, kill_process};
use signal_hook::low_level;

const USR1: SignalKind = SignalKind::user_defined1();

/// Sends it to this thread; it has come when this returns.
fn raise(kind: SignalKind) {
    low_level::raise(kind.as_raw_value()).unwrap();
}

/// Sends it to this process: the kernel picks the thread, and it comes when it comes.
fn send_to_the_process() {
    kill_process(getpid(), rustix::process::Signal::USR1).unwrap();
}

/// Fails if one is there.
async fn nothing_more(signal: &mut Signal) {
    let mut recv = pin!(signal.recv());
    for _ in 0..3 {
        assert!(poll!(recv.as_mut()).is_pending());
        turns(2).await;
    }
}

/// Blocks until the thread with this number sleeps in the kernel.
fn sleeps(thread: i32) {
    let stat = format!("/proc/self/task/{thread}/stat");
    while !fs::read_to_string(&stat).unwrap().rsplit_once(") ").unwrap().1.starts_with('S') {
        thread::yield_now();
    }
}

#[test]
fn a_runtime_that_sleeps_is_woken() {
    alone("a_runtime_that_sleeps_is_woken", || {
        let this = rustix::thread::gettid().as_raw_nonzero().get();
        let (go, wanted) = channel();
        let sender = thread::spawn(move || {
            for () in wanted {
                sleeps(this);
                send_to_the_process();
            }
        });
        run(async move {
            let mut signal = signal(USR1).unwrap();
            for _ in 0..5 {
                go.send(()).unwrap();
                let (recv, polls) = counted(signal.recv());
                assert_eq!(recv.await, Some(()));
                assert_eq!(polls.get(), 2, "once to wait, once to hear");
            }
        });
        sender.join().unwrap();
    });
}

#[test]
fn two_runtimes_on_two_threads_hear_one_signal() {
    alone("two_runtimes_on_two_threads_hear_one_signal", || {
        let ready = Arc::new(Barrier::new(3));
        let threads = [(); 2].map(|()| {
            let ready = ready.clone();
            thread::spawn(move || {
                run(async {
                    let mut signal = signal(USR1).unwrap();
                    assert!(poll!(pin!(signal.recv())).is_pending());
                    ready.wait();
                    assert_eq!(signal.recv().await, Some(()));
                    nothing_more(&mut signal).await;
                });
            })
        });
        ready.wait();
        send_to_the_process();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn everybody_in_one_runtime_hears_it() {
    alone("everybody_in_one_runtime_hears_it", || {
        run(async {
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    let mut signal = signal(USR1).unwrap();
                    spawn(async move { signal.recv().await })
                })
                .collect();
            let mut other = signal(SignalKind::user_defined2()).unwrap();
            turns(3).await;
            raise(USR1);
            for task in tasks {
                assert_eq!(task.await.unwrap(), Some(()));
            }
            nothing_more(&mut other).await;
        });
    });
}

/// More than the socket pair holds.
#[test]
fn a_burst_is_one() {
    alone("a_burst_is_one", || {
        run(async {
            let mut signal = signal(USR1).unwrap();
            for count in [2, 256, 257, 5_000] {
                (0..count).for_each(|_| raise(USR1));
                assert_eq!(signal.recv().await, Some(()));
                nothing_more(&mut signal).await;
            }
        });
    });
}

#[test]
fn what_comes_between_two_is_there_for_the_next() {
    alone("what_comes_between_two_is_there_for_the_next", || {
        run(async {
            let mut signal = signal(USR1).unwrap();
            for _ in 0..5 {
                raise(USR1);
                assert_eq!(signal.recv().now_or_never(), Some(Some(())));
                turns(2).await;
            }
        });
    });
}

/// Dropped after each number of polls, with the signal coming before each of them.
#[test]
fn a_wait_that_is_dropped_takes_no_signal_along() {
    alone("a_wait_that_is_dropped_takes_no_signal_along", || {
        run(async {
            let mut signal = signal(USR1).unwrap();
            for polls in 1..5 {
                for comes_before in 0..=polls {
                    let mut is_heard = false;
                    let mut recv = Box::pin(signal.recv());
                    for poll in 0..polls {
                        if poll == comes_before {
                            raise(USR1);
                        }
                        if poll!(recv.as_mut()).is_ready() {
                            is_heard = true;
                            break;
                        }
                        turns(1).await;
                    }
                    drop(recv);
                    if comes_before == polls {
                        raise(USR1);
                    }
                    if !is_heard {
                        assert_eq!(signal.recv().await, Some(()), "dropped after {polls}, came before {comes_before}");
                    }
                    nothing_more(&mut signal).await;
                }
            }
        });
    });
}

#[test]
fn a_wait_that_is_refused_for_its_budget_takes_no_signal_along() {
    alone("a_wait_that_is_refused_for_its_budget_takes_no_signal_along", || {
        run(async {
            let mut signal = signal(USR1).unwrap();
            raise(USR1);
            turns(1).await;
            while consume_budget().now_or_never().is_some() {}
            assert_eq!(signal.recv().now_or_never(), None);
            assert_eq!(signal.recv().await, Some(()));
        });
    });
}

#[test]
fn it_moves_to_the_runtime_of_another_thread_and_back() {
    alone("it_moves_to_the_runtime_of_another_thread_and_back", || {
        let mut signal = signal(USR1).unwrap();
        let runtime = Runtime::new().unwrap();
        for _ in 0..3 {
            runtime.block_on(async { assert!(poll!(pin!(signal.recv())).is_pending()) });
            signal = thread::spawn(move || {
                run(async {
                    let mut recv = pin!(signal.recv());
                    assert!(poll!(recv.as_mut()).is_pending());
                    raise(USR1);
                    assert_eq!(recv.await, Some(()));
                });
                signal
            })
            .join()
            .unwrap();
        }
        runtime.block_on(async {
            raise(USR1);
            assert_eq!(signal.recv().await, Some(()));
            nothing_more(&mut signal).await;
        });
    });
}

/// The future of one `recv` is polled here, there, and here again.
#[test]
fn a_wait_moves_to_the_runtime_of_another_thread_and_back() {
    alone("a_wait_moves_to_the_runtime_of_another_thread_and_back", || {
        let mut signal = signal(USR1).unwrap();
        let mut recv = Box::pin(async move { signal.recv().await });
        let here = Runtime::new().unwrap();
        here.block_on(async { assert!(poll!(recv.as_mut()).is_pending()) });
        recv = thread::spawn(move || {
            run(async { assert!(poll!(recv.as_mut()).is_pending()) });
            recv
        })
        .join()
        .unwrap();
        here.block_on(async {
            assert!(poll!(recv.as_mut()).is_pending());
            raise(USR1);
            assert_eq!(recv.await, Some(()));
        });
    });
}

#[test]
fn it_is_a_stream() {
    alone("it_is_a_stream", || {
        run(async {
            let mut signals = signal(USR1).unwrap();
            for _ in 0..3 {
                assert!(poll!(signals.next()).is_pending());
                raise(USR1);
                assert_eq!(signals.next().await, Some(()));
            }
        });
    });
}

#[test]
fn ctrl_c_hears_only_what_comes_after() {
    alone("ctrl_c_hears_only_what_comes_after", || {
        run(async {
            let mut first = pin!(ctrl_c());
            assert!(poll!(first.as_mut()).is_pending());
            raise(SignalKind::interrupt());
            first.await.unwrap();
            let mut second = pin!(ctrl_c());
            for _ in 0..3 {
                assert!(poll!(second.as_mut()).is_pending());
                turns(2).await;
            }
            raise(SignalKind::interrupt());
            second.await.unwrap();
        });
    });
}

#[test]
fn the_default_action_does_not_come_back() {
    alone("the_default_action_does_not_come_back", || {
        drop(signal(SignalKind::terminate()).unwrap());
        raise(SignalKind::terminate());
        let mut signal = signal(SignalKind::terminate()).unwrap();
        run(nothing_more(&mut signal));
    });
}

#[test]
fn what_is_no_signal_for_handlers_is_one_clear_error() {
    for (number, name) in [(4, "SIGILL"), (8, "SIGFPE"), (9, "SIGKILL"), (11, "SIGSEGV"), (19, "SIGSTOP")] {
        let error = signal(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let expected = "cannot be listened for: SIGKILL, SIGSTOP, SIGILL, SIGFPE and SIGSEGV are not for handlers";
        assert_eq!(error.to_string(), format!("{name} {expected}"));
    }
    for number in [0, -1, 65, i32::MIN, i32::MAX] {
        let error = signal(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let expected = format!("signal {number} cannot be listened for: Invalid argument (os error 22)");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn no_descriptor_stays_behind() {
    alone("no_descriptor_stays_behind", || {
        run(async {
            // The first makes the handler.
            drop(signal(USR1).unwrap());
            let before = descriptors();
            for kind in [USR1, SignalKind::from_raw(9), SignalKind::from_raw(65)] {
                for _ in 0..10 {
                    drop(signal(kind));
                }
            }
            assert_eq!(descriptors(), before);
            let mut waits = signal(USR1).unwrap();
            assert_eq!(descriptors(), before + 2);
            assert!(poll!(pin!(waits.recv())).is_pending());
            drop(waits);
            for polls in 0..3 {
                let mut waits = Box::pin(ctrl_c());
                for _ in 0..polls {
                    assert_eq!(poll!(waits.as_mut()).map(|_| ()), Poll::Pending);
                    turns(1).await;
                }
            }
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn without_a_descriptor_left_it_is_an_error() {
    alone("without_a_descriptor_left_it_is_an_error", || {
        let mut open = vec![fs::File::open("/dev/null").unwrap()];
        limit_descriptors(open[0].try_clone().map(|file| std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap() as u64 + 2);
        while let Ok(file) = fs::File::open("/dev/null") {
            open.push(file);
        }
        for _ in 0..2 {
            // With none, and with one.
            assert_eq!(signal(USR1).unwrap_err().raw_os_error(), Some(24), "EMFILE");
            open.pop();
        }
        signal(USR1).unwrap();
    });
}

/// Signals come all the time, on both threads, while others are made and dropped.
#[test]
fn making_and_dropping_in_a_storm() {
    alone("making_and_dropping_in_a_storm", || {
        let mut stays = signal(USR1).unwrap();
        let threads = [(); 2].map(|()| {
            thread::spawn(|| {
                run(async {
                    for _ in 0..2_000 {
                        let mut signal = signal(USR1).unwrap();
                        raise(USR1);
                        assert_eq!(signal.recv().await, Some(()));
                        send_to_the_process();
                    }
                });
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(stays.recv().now_or_never(), Some(Some(())));
    });
}

#[test]
fn where_no_runtime_runs_waiting_is_none_and_a_warning_says_why() {
    alone("where_no_runtime_runs_waiting_is_none_and_a_warning_says_why", || {
        let (mut told, _guard) = warnings();
        let mut signal = signal(USR1).unwrap();
        raise(USR1);
        assert_eq!(signal.recv().now_or_never(), Some(Some(())), "it need not wait");
        assert_eq!(signal.recv().now_or_never(), Some(None));
        let warning = told.next().now_or_never().flatten().unwrap();
        assert!(warning.contains("SIGUSR1") && warning.contains("no Pollywog runtime runs"), "{warning}");
        let error = ctrl_c().now_or_never().unwrap().unwrap_err();
        assert!(error.to_string().contains("no Pollywog runtime runs on this thread"), "{error}");
        run(async {
            raise(USR1);
            assert_eq!(signal.recv().await, Some(()), "and later it can");
        });
    });
}

#[test]
fn everything_may_move_between_threads() {
    fn is_send_and_sync<T: Send + Sync>(value: T) -> T {
        value
    }
    is_send_and_sync(USR1);
    drop(is_send_and_sync(is_send_and_sync(signal(USR1).unwrap()).recv()));
    drop(is_send_and_sync(ctrl_c()));
}
