//! The clock of an executor and what it cannot see: sockets, and other threads, which hold it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::{AsyncReadExt, poll};
use pollywog_executor::driver::{self, Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::task::yield_now;
use pollywog_executor::time::{Hold, advance, hold, now, pause, sleep, timeout};
use pollywog_executor::{Executor, Metrics, spawn, spawn_blocking};
use pollywog_net::{TcpListener, TcpStream};
use pollywog_tests::executor::{bounded, in_a_child, run, silence_expected_panics};
use pollywog_tests::net::{arrived_bytes, inside, run_child, with_peer};

const NANO: Duration = Duration::from_nanos(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Keeps the thread busy.
fn work(duration: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < duration {}
}

/// A thread's driver that tells a script of every look and every sleep, and lets it report tasks, before it begins.
struct Scripted<S> {
    thread: ThreadDriver,
    script: S,
}

impl<S: FnMut(Park, &mut Vec<TaskId>)> Scripted<S> {
    fn new(script: S) -> Self {
        Self { thread: ThreadDriver::new(), script }
    }
}

impl<S: FnMut(Park, &mut Vec<TaskId>)> Driver for Scripted<S> {
    fn unparker(&self) -> Waker {
        self.thread.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        (self.script)(park, ready);
        self.thread.park(park, ready);
    }
}

// What is outside: sockets.

#[test]
fn sockets_that_wait_do_not_keep_the_clock() {
    bounded(|| {
        pollywog_net::run(async {
            pause();
            let start = now();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (mut stream, peer) = with_peer().await;
            spawn(async move { listener.accept().await.map(drop) });
            let reading = spawn(async move { stream.read(&mut [0; 8]).await });
            for hours in 1..=3 {
                sleep(HOUR).await;
                assert_eq!(now(), start + hours * HOUR);
            }
            assert_eq!(Metrics::current().parks, 0);
            drop(peer);
            assert_eq!(reading.await.unwrap().unwrap(), 0, "and are woken all the same");
            assert_eq!(now(), start + 3 * HOUR);
        })
        .unwrap();
    });
}

#[test]
fn a_byte_that_waits_in_a_socket_is_read_before_the_clock_moves() {
    bounded(|| {
        pollywog_net::run(async {
            pause();
            let (mut stream, mut peer) = with_peer().await;
            let socket: OwnedFd = stream.as_fd().try_clone_to_owned().unwrap();
            let mut byte = [0];
            for round in 0..10_u8 {
                let start = now();
                {
                    let mut reading = pin!(timeout(NANO, stream.read(&mut byte)));
                    assert!(poll!(&mut reading).is_pending());
                    std::io::Write::write_all(&mut peer, &[round]).unwrap();
                    arrived_bytes(&socket, 1);
                    assert_eq!(reading.await.map(Result::unwrap), Ok(1));
                }
                assert_eq!((byte[0], now()), (round, start));
            }
        })
        .unwrap();
    });
}

#[test]
fn a_name_is_looked_up_while_the_clock_stands() {
    const NAME: &str = "a_name_is_looked_up_while_the_clock_stands";
    if inside(NAME).is_none() {
        return run_child(&["env", "BLOCKING_MAX_THREADS=1"], NAME, "");
    }
    let listener = std::net::TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The pool's one thread is busy for another executor, so that no look-up is over before the clock could move.
    let (begin, begun) = mpsc::channel();
    let busy = thread::spawn(move || {
        run(async {
            let work = spawn_blocking(move || {
                begin.send(()).unwrap();
                work(Duration::from_millis(100));
            });
            work.await.unwrap();
        });
    });
    begun.recv().unwrap();
    pollywog_net::run(async {
        pause();
        let start = now();
        let connected = timeout(HOUR, TcpStream::connect(format!("localhost:{port}"))).await;
        drop(connected.expect("no time has passed").unwrap());
        drop(timeout(HOUR, TcpListener::bind("localhost:0")).await.expect("no time has passed").unwrap());
        assert_eq!(now(), start);
        // A limit that is over has let the clock go, whatever the look-up does.
        let _ = timeout(Duration::ZERO, TcpStream::connect(("localhost", port))).await;
        sleep(HOUR).await;
        assert_eq!(now(), start + HOUR);
    })
    .unwrap();
    busy.join().unwrap();
}

/// Runs `future` with a driver that calls `asleep` whenever the executor goes to sleep without limit, which is what it
/// does while the clock is held.
fn run_asleep<T>(mut asleep: impl FnMut(), future: impl Future<Output = T>) -> T {
    let mut driver = Scripted::new(move |park, _: &mut Vec<TaskId>| match park {
        Park::Unlimited => asleep(),
        park => assert_eq!(park, Park::Look),
    });
    Executor::new().unwrap().block_on(&mut driver, future)
}

type Held = Rc<RefCell<Vec<Hold>>>;

#[test]
fn a_held_clock_moves_when_the_last_hold_is_dropped_on_another_thread() {
    bounded(|| {
        let (held, sleeps) = (Held::default(), Rc::new(Cell::new(0)));
        let (holds, counter) = (held.clone(), sleeps.clone());
        let asleep = move || {
            counter.set(counter.get() + 1);
            let hold = holds.borrow_mut().pop().expect("nothing holds it any more");
            thread::spawn(move || drop(hold)).join().unwrap();
        };
        run_asleep(asleep, async {
            pause();
            let start = now();
            held.borrow_mut().extend([hold(), hold()]);
            sleep(HOUR).await;
            assert_eq!((now(), sleeps.get()), (start + HOUR, 2));
            sleep(HOUR).await;
            assert_eq!((now(), sleeps.get()), (start + 2 * HOUR, 2));
        });
    });
}

#[test]
fn a_held_clock_moves_when_the_hold_is_dropped_on_its_own_thread() {
    bounded(|| {
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let woken = waker.clone();
        run_asleep(
            move || {
                let waker = woken.borrow_mut().take().expect("it sleeps once");
                thread::spawn(move || waker.wake()).join().unwrap();
            },
            async {
                pause();
                let start = now();
                let next = spawn(sleep(NANO));
                let held = hold();
                let mut polls = 0;
                poll_fn(|cx| {
                    waker.replace(Some(cx.waker().clone()));
                    polls += 1;
                    if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                waker.take();
                assert_eq!(now(), start, "it was held");
                drop(held);
                next.await.unwrap();
                assert_eq!(now(), start + NANO);
            },
        );
    });
}

#[test]
fn a_hold_that_is_dropped_between_two_runs_counts() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let held = executor.block_on(&mut ThreadDriver::new(), async {
            pause();
            hold()
        });
        drop(held);
        executor.block_on(&mut ThreadDriver::new(), sleep(HOUR));
    });
}

#[test]
fn a_held_clock_can_be_advanced_and_fires_what_is_due() {
    bounded(|| {
        run(async {
            pause();
            let _held = hold();
            let task = spawn(sleep(HOUR));
            yield_now().await;
            advance(HOUR).await;
            assert!(task.is_finished());
        });
    });
}

#[test]
fn a_held_clock_fires_what_an_advance_that_is_dropped_made_due() {
    bounded(|| {
        run(async {
            pause();
            let _held = hold();
            let task = spawn(sleep(HOUR));
            yield_now().await;
            drop(advance(HOUR));
            task.await.unwrap();
        });
    });
}

#[test]
fn a_held_clock_fires_what_was_due_when_it_was_paused() {
    bounded(|| {
        run(async {
            let task = spawn(sleep(Duration::from_micros(500)));
            yield_now().await;
            work(Duration::from_millis(1));
            pause();
            let _held = hold();
            task.await.unwrap();
        });
    });
}

#[test]
fn a_hold_whose_executor_is_gone_does_not_let_go_for_another() {
    in_a_child("a_hold_whose_executor_is_gone_does_not_let_go_for_another", || {
        bounded(|| {
            let first = Executor::new().unwrap();
            let stale = first.block_on(&mut ThreadDriver::new(), async { [hold(), hold()] });
            let id = first.id();
            drop(first);
            let [early, late] = stale;
            drop(early); // nobody has the number
            let held = Held::default();
            let (holds, late) = (held.clone(), Cell::new(Some(late)));
            let mut driver = Scripted::new(move |park, _: &mut Vec<TaskId>| {
                if park == Park::Unlimited {
                    assert!(late.take().is_none(), "it sleeps once");
                    let holds = holds.take();
                    thread::spawn(move || drop(holds)).join().unwrap();
                } else if let Some(stale) = late.take() {
                    thread::spawn(move || drop(stale)).join().unwrap();
                }
            });
            let second = Executor::new().unwrap();
            assert_eq!(second.id(), id);
            second.block_on(&mut driver, async {
                pause();
                let start = now();
                held.borrow_mut().push(hold());
                yield_now().await; // the stale one is dropped now
                sleep(HOUR).await;
                assert_eq!(now(), start + HOUR);
                assert!(held.borrow().is_empty(), "the clock was held until the executor slept");
            });
        });
    });
}

#[test]
fn blocking_work_holds_the_clock_until_its_result_is_seen() {
    bounded(|| {
        let (begin, wait) = mpsc::channel::<()>();
        // The work ends only when the executor sleeps, which it does only while the clock is held.
        run_asleep(
            move || {
                let _ = begin.send(());
            },
            async {
                pause();
                let start = now();
                let work = spawn_blocking(move || {
                    wait.recv().expect("the executor sleeps");
                    42
                });
                assert_eq!(timeout(NANO, work).await.map(Result::unwrap), Ok(42));
                assert_eq!(now(), start);
                sleep(HOUR).await;
                assert_eq!(now(), start + HOUR, "it holds it no more");

                // Also when it panics, and when nobody waits for it any more.
                let failing = spawn_blocking(|| panic!("expected: it fails"));
                silence_expected_panics();
                assert!(failing.await.unwrap_err().is_panic());
                let (_begin, wait) = mpsc::channel::<()>();
                let aborted = spawn_blocking(move || wait.recv());
                aborted.abort();
                sleep(HOUR).await;
                assert_eq!(now(), start + 2 * HOUR);
                assert!(aborted.await.unwrap_err().is_cancelled());
            },
        );
    });
}

#[test]
fn where_no_executor_runs_there_is_nothing_to_hold() {
    let held = hold();
    run(async {
        pause();
        let start = now();
        sleep(HOUR).await;
        drop(held);
        sleep(HOUR).await;
        assert_eq!(now(), start + 2 * HOUR);
    });
    // So names are looked up there as ever.
    futures::executor::block_on(TcpListener::bind("localhost:0")).unwrap();
}

#[test]
fn a_hold_that_ends_after_the_look_lets_the_driver_look_again() {
    bounded(|| {
        let (held, waiting) = (Arc::new(Mutex::new(None::<Hold>)), Rc::new(Cell::new(None::<TaskId>)));
        let (holds, task) = (held.clone(), waiting.clone());
        let mut has_come = false;
        let mut driver = Scripted::new(move |park, ready: &mut Vec<TaskId>| {
            assert_eq!(park, Park::Look, "there is mail");
            if has_come {
                ready.extend(task.take());
            } else if let Some(hold) = holds.lock().unwrap().take() {
                // Too late for this look, another thread sends something and is done.
                has_come = true;
                thread::spawn(move || drop(hold)).join().unwrap();
            }
        });
        let executor = Executor::new().unwrap();
        let id = executor.id();
        executor.block_on(&mut driver, async {
            pause();
            let start = now();
            *held.lock().unwrap() = Some(hold());
            driver::post(id, || ()); // so that it only looks
            let mut polls = 0;
            let event = poll_fn(|cx| {
                waiting.set(TaskId::of(cx.waker()));
                polls += 1;
                if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
            });
            assert_eq!(timeout(HOUR, event).await, Ok(()));
            assert_eq!(now(), start);
        });
    });
}

#[test]
fn a_clock_without_timers_waits_for_other_threads() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let (send, receive) = oneshot::channel();
        let sender = Cell::new(Some(send));
        let mut driver = Scripted::new(move |park, _: &mut Vec<TaskId>| {
            if park == Park::Unlimited {
                let send = sender.take().expect("it sleeps once");
                thread::spawn(move || send.send(5).unwrap());
            }
        });
        executor.block_on(&mut driver, async {
            pause();
            assert_eq!(receive.await, Ok(5));
        });
    });
}
