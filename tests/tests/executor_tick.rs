//! An executor that is a part of another loop: turns without sleep, and who tells the outer loop of work. And the hooks
//! around the sleep of `block_on`.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::{mpsc as channel, oneshot};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt};
use pollywog_executor::driver::{Driver, Park, TaskId, ThreadDriver};
use pollywog_executor::time::{self, sleep, sleep_until};
use pollywog_executor::{Executor, Handle, spawn, task::yield_now};
use pollywog_net::{Runtime, TcpListener, TcpStream};
use pollywog_tests::executor::{Counter, OnDrop, Probe, bounded, panic_of, silence_expected_panics};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Notes how long each look at it may last, and looks at nothing.
#[derive(Default)]
struct Looks(Vec<Park>);

impl Driver for Looks {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, park: Park, _ready: &mut Vec<TaskId>) {
        self.0.push(park);
    }
}

fn tick(executor: &Executor) -> bool {
    executor.tick(&mut Looks::default())
}

/// Ticks while there is more; returns how often.
fn tick_out(executor: &Executor) -> usize {
    (1..100).find(|_| !tick(executor)).expect("it comes to rest")
}

/// An executor with a task that waits for `probe`, at rest, and the wakes of its outer loop.
fn at_rest() -> (Executor, Rc<Probe>, Arc<Counter>) {
    let (executor, probe, wakes) = (Executor::new().unwrap(), Rc::new(Probe::default()), Counter::new());
    executor.spawn(probe.task());
    assert!(!tick(&executor));
    assert_eq!(probe.polls.get(), 1);
    executor.on_wake(wakes.clone().into());
    assert_eq!(wakes.count(), 0, "there is nothing to do");
    (executor, probe, wakes)
}

#[test]
fn a_tick_says_whether_there_is_more() {
    let executor = Executor::builder().event_interval(100).build().unwrap();
    assert!(!tick(&executor), "nothing was ever there");
    let ran = Rc::new(Cell::new(0));
    for _ in 0..250 {
        let ran = ran.clone();
        executor.spawn(async move { ran.set(ran.get() + 1) });
    }
    for expected in [(true, 100), (true, 200), (false, 250), (false, 250)] {
        assert_eq!((tick(&executor), ran.get()), expected);
    }

    let yields = executor.spawn(async { yield_now().await });
    assert!(tick(&executor), "it has yielded");
    assert!(!tick(&executor));
    drop(yields);

    let probe = Rc::new(Probe::default());
    executor.spawn(probe.task());
    assert!(!tick(&executor) && executor.has_tasks(), "it waits");
    let waker = probe.waker();
    executor.spawn(async move { waker.wake() });
    assert!(!tick(&executor), "it was woken and polled within the tick");
    assert_eq!(probe.polls.get(), 2);

    // What comes from another thread during the tick is more to do, too.
    let waker = probe.waker();
    executor.spawn(async move { thread::spawn(move || waker.wake()).join().unwrap() });
    assert!(tick(&executor));
    assert!(!tick(&executor));
    assert_eq!(probe.polls.get(), 3);
}

#[test]
fn a_tick_looks_at_the_driver_once_and_never_sleeps() {
    let called = Arc::new(Mutex::new(Vec::new()));
    let (before, after) = (called.clone(), called.clone());
    let builder = Executor::builder().on_park(move || before.lock().unwrap().push("park"));
    let executor = builder.on_unpark(move || after.lock().unwrap().push("unpark")).build().unwrap();
    let mut driver = Looks::default();
    executor.tick(&mut driver);
    executor.spawn(pending::<()>());
    executor.tick(&mut driver);
    executor.spawn(sleep(Duration::from_secs(3600)));
    executor.tick(&mut driver);
    executor.spawn(yield_now());
    executor.tick(&mut driver);
    executor.tick(&mut driver);
    assert_eq!(driver.0, [Park::Look; 5]);
    assert!(called.lock().unwrap().is_empty(), "no sleep, no hook: {called:?}");
}

/// Each of these is done twice in each sleep; the outer loop is to be told once.
#[test]
fn the_outer_loop_is_told_once_in_each_sleep() {
    type Brings = fn(&Executor, &Rc<Probe>) -> Box<dyn FnMut()>;
    let wake: Brings = |_, probe| {
        let waker = probe.waker();
        Box::new(move || waker.wake_by_ref())
    };
    let wake_elsewhere: Brings = |_, probe| {
        let waker = probe.waker();
        Box::new(move || {
            let waker = waker.clone();
            thread::spawn(move || waker.wake()).join().unwrap();
        })
    };
    let spawn_by_handle: Brings = |executor, _| {
        let handle = executor.handle();
        Box::new(move || drop(handle.spawn(async {})))
    };
    let abort: Brings = |executor, _| {
        let handle = executor.spawn(pending::<()>());
        Box::new(move || handle.abort())
    };
    let reset: Brings = |executor, _| {
        let timer = Rc::new(RefCell::new(sleep(Duration::from_secs(3600))));
        let theirs = timer.clone();
        executor.spawn(poll_fn(move |cx| Pin::new(&mut *theirs.borrow_mut()).poll(cx)));
        Box::new(move || timer.borrow_mut().reset(Instant::now()))
    };
    let drop_handle: Brings = |executor, _| {
        let mut handles: Vec<_> = (0..6).map(|_| executor.spawn(pending::<()>())).collect();
        Box::new(move || drop(handles.pop()))
    };
    let all = [
        ("wake", wake, 3),
        ("wake elsewhere", wake_elsewhere, 3),
        ("spawn by handle", spawn_by_handle, 3),
        ("abort", abort, 1),
        // The deadline of the loop's own sleep may be another one. Then no timer is set, until the task polls again.
        ("reset", reset, 1),
        ("drop a handle", drop_handle, 3),
    ];
    for (name, brings, rounds) in all {
        let (executor, probe, wakes) = at_rest();
        let mut bring = brings(&executor, &probe);
        tick_out(&executor);
        let before = wakes.count();
        for round in 1..=rounds {
            bring();
            bring();
            assert_eq!(wakes.count() - before, round, "{name}");
            tick_out(&executor);
            assert_eq!(wakes.count() - before, round, "{name}: the tick has seen to it");
        }
    }
}

#[test]
fn a_spawn_between_two_ticks_tells_the_outer_loop() {
    let (executor, _probe, wakes) = at_rest();
    let task = executor.spawn(async {});
    assert_eq!(wakes.count(), 1);
    assert!(!tick(&executor));
    // From a task of another executor, too.
    let (executor, other) = (Rc::new(executor), Executor::new().unwrap());
    let theirs = executor.clone();
    let spawner = other.spawn(async move { Some(theirs.spawn(async {})) });
    assert!(!tick(&other));
    assert_eq!(wakes.count(), 2);
    drop((task, spawner));
}

#[test]
fn several_spawns_between_two_ticks_tell_the_outer_loop_once() {
    let (executor, probe, wakes) = at_rest();
    let tasks = [executor.spawn(async {}), executor.spawn(async {})];
    assert_eq!(wakes.count(), 1);
    probe.waker().wake();
    drop(tasks);
    assert_eq!(wakes.count(), 1, "it knows already");
}

#[test]
fn the_outer_loop_is_not_told_of_what_a_tick_says() {
    let (executor, _probe, wakes) = at_rest();
    let _task = executor.spawn(async {
        for _ in 0..5 {
            yield_now().await;
        }
    });
    assert_eq!(wakes.count(), 1, "the spawn");
    for _ in 0..5 {
        assert!(tick(&executor));
    }
    assert!(!tick(&executor));
    assert_eq!(wakes.count(), 1);
}

#[test]
fn what_is_brought_and_done_within_a_tick_does_not_tell_the_outer_loop() {
    let (executor, probe, wakes) = at_rest();
    let executor = Rc::new(executor);
    let (own, waker) = (executor.clone(), probe.waker());
    let _task = executor.spawn(async move {
        drop(spawn(async {}));
        drop(own.spawn(async {}));
        drop(Handle::current().spawn(async {}));
        waker.wake();
    });
    assert_eq!(wakes.count(), 1, "the spawn");
    assert!(!tick(&executor));
    assert_eq!((wakes.count(), probe.polls.get()), (1, 2));
}

#[test]
fn what_a_block_on_leaves_over_tells_the_outer_loop() {
    let (executor, probe, wakes) = at_rest();
    let waker = probe.waker();
    executor.block_on(&mut ThreadDriver::new(), async move { waker.wake() });
    assert_eq!((wakes.count(), probe.polls.get()), (1, 1));
    assert!(!tick(&executor));
    assert_eq!((wakes.count(), probe.polls.get()), (1, 2));
    // Nothing is left, and so nobody is told.
    executor.block_on(&mut ThreadDriver::new(), yield_now());
    assert_eq!(wakes.count(), 1);
    // Mail is left over too.
    let waker = probe.waker();
    executor.block_on(&mut ThreadDriver::new(), async { thread::spawn(move || waker.wake()).join().unwrap() });
    assert_eq!(wakes.count(), 2);
    assert!(!tick(&executor));
    assert_eq!(probe.polls.get(), 3);
    probe.waker().wake();
    assert_eq!(wakes.count(), 3, "and it is told again");
}

#[test]
fn a_root_that_wakes_itself_in_its_last_poll_leaves_nothing_to_do() {
    let (executor, _probe, wakes) = at_rest();
    let root = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    });
    executor.block_on(&mut ThreadDriver::new(), root);
    assert_eq!(wakes.count(), 0);
}

#[test]
fn who_asks_to_be_told_is_told_of_what_is_there_already() {
    let (executor, wakes) = (Executor::new().unwrap(), Counter::new());
    executor.spawn(async {});
    executor.on_wake(wakes.clone().into());
    assert_eq!(wakes.count(), 1);
    // A waker that takes another's place is let go.
    let other = Counter::new();
    executor.on_wake(other.clone().into());
    assert_eq!((other.count(), Arc::strong_count(&wakes)), (1, 1));
    assert!(!tick(&executor));
    drop(executor);
    assert_eq!(Arc::strong_count(&other), 1);
}

#[test]
fn a_waker_that_takes_anothers_place_is_not_woken_for_nothing() {
    let (executor, probe, wakes) = at_rest();
    let other = Counter::new();
    executor.on_wake(other.clone().into());
    assert_eq!(other.count(), 0);
    probe.waker().wake();
    assert_eq!((wakes.count(), other.count()), (0, 1));
}

#[test]
fn a_run_that_sets_the_waker_of_the_outer_loop_is_still_woken() {
    bounded(|| {
        let (executor, wakes) = (Executor::new().unwrap(), Counter::new());
        let mut looks = 0;
        let mut driver = Counted { inner: ThreadDriver::new(), looks: &mut looks };
        executor.block_on(&mut driver, async {
            executor.on_wake(wakes.clone().into());
            for _ in 0..3 {
                let (send, receive) = oneshot::channel();
                let other = thread::spawn(move || send.send(()).unwrap());
                receive.await.unwrap();
                other.join().unwrap();
            }
        });
        assert_eq!(wakes.count(), 0);
        assert!(looks < 10, "it sleeps: {looks} looks");
    });
}

struct Counted<'a> {
    inner: ThreadDriver,
    looks: &'a mut usize,
}

impl Driver for Counted<'_> {
    fn unparker(&self) -> Waker {
        self.inner.unparker()
    }

    fn park(&mut self, park: Park, ready: &mut Vec<TaskId>) {
        *self.looks += 1;
        self.inner.park(park, ready);
    }
}

/// An outer loop whose queue is a channel, and which sleeps without limit: a wake that is lost stops it.
#[test]
fn no_wake_of_another_thread_is_lost_between_two_ticks() {
    const MESSAGES: usize = 2_000;
    bounded(|| {
        let (executor, mut driver) = (Executor::new().unwrap(), ThreadDriver::new());
        let (ring, bell) = mpsc::channel();
        executor.on_wake(Waker::from(Arc::new(Bell((), Mutex::new(ring)))));
        let (mut send, mut receive) = channel::channel(1);
        let task = executor.spawn(async move {
            let mut count = 0;
            while receive.next().await.is_some() {
                count += 1;
            }
            assert_eq!(count, MESSAGES);
        });
        let other = thread::spawn(move || {
            for number in 0..MESSAGES {
                futures::executor::block_on(futures::SinkExt::send(&mut send, number)).unwrap();
            }
        });
        while executor.has_tasks() {
            if !executor.tick(&mut driver) && executor.has_tasks() {
                bell.recv().unwrap();
            }
        }
        executor.block_on(&mut driver, task).unwrap();
        other.join().unwrap();
    });
}

/// Rings with a name.
struct Bell<T>(T, Mutex<mpsc::Sender<T>>);

impl<T: Copy + Send + Sync + 'static> Wake for Bell<T> {
    fn wake(self: Arc<Self>) {
        // The loop may be over.
        let _ = self.1.lock().unwrap().send(self.0);
    }
}

#[test]
fn has_tasks_until_the_last_has_ended() {
    let executor = Executor::new().unwrap();
    assert!(!executor.has_tasks());
    let (probe, done) = (Rc::new(Probe::default()), executor.spawn(async {}));
    let aborted = executor.spawn(pending::<()>());
    drop(executor.spawn(probe.task()));
    assert!(executor.has_tasks());
    tick_out(&executor);
    aborted.abort();
    tick_out(&executor);
    assert!(executor.has_tasks(), "one waits");
    probe.done.set(true);
    probe.waker().wake();
    assert!(executor.has_tasks(), "one is ready");
    tick_out(&executor);
    assert!(!executor.has_tasks(), "results that nobody has taken are no tasks");
    drop((done, aborted));
}

#[test]
fn the_next_deadline_is_that_of_the_nearest_timer() {
    let executor = Executor::new().unwrap();
    assert_eq!(executor.next_deadline(), None);
    let near = Instant::now() + Duration::from_secs(60);
    let timers = [3, 1, 2].map(|minutes| {
        let deadline = near + Duration::from_secs(60 * (minutes - 1));
        executor.spawn(sleep_until(deadline))
    });
    assert_eq!(executor.next_deadline(), None, "none was polled yet");
    tick_out(&executor);
    // Carried from the executor's clock to the machine's, between two readings of which some time passes.
    let found = executor.next_deadline().unwrap();
    let second = Duration::from_secs(1);
    assert!((near - second..near + second).contains(&found));
    timers[1].abort();
    tick_out(&executor);
    assert!(executor.next_deadline().unwrap() > near + Duration::from_secs(59));
    timers.iter().for_each(|timer| timer.abort());
    tick_out(&executor);
    assert_eq!(executor.next_deadline(), None);

    // One that is due has come, until a tick has seen to it.
    let due = Instant::now() + Duration::from_millis(1);
    drop(executor.spawn(sleep_until(due)));
    tick_out(&executor);
    while Instant::now() <= due {}
    assert!(executor.next_deadline().unwrap() <= Instant::now());
    tick_out(&executor);
    assert!(executor.next_deadline().is_none() && !executor.has_tasks());
}

#[test]
fn the_next_deadline_is_that_of_the_timer_itself() {
    let executor = Executor::new().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    drop(executor.spawn(sleep_until(deadline)));
    tick_out(&executor);
    assert_eq!(executor.next_deadline(), Some(deadline));
}

#[test]
fn the_next_deadline_of_a_paused_clock_is_now_unless_the_clock_is_held() {
    let minute = Duration::from_secs(60);
    let executor = Executor::new().unwrap();
    let is_now = || {
        let before = Instant::now();
        executor.next_deadline().is_some_and(|at| (before..=Instant::now()).contains(&at))
    };
    let (order, hold) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None)));
    let (theirs, slot) = (order.clone(), hold.clone());
    drop(executor.spawn(async move {
        time::pause();
        slot.set(Some(time::hold()));
        for minutes in [1, 2, 10] {
            let (order, waits) = (theirs.clone(), sleep(minutes * minute));
            drop(spawn(async move {
                waits.await;
                order.borrow_mut().push(minutes);
            }));
        }
        time::advance(minute / 2).await;
        theirs.borrow_mut().push(0);
        time::sleep(minute / 2).await;
        // The next is due with this, and nobody has looked.
        drop(time::advance(minute));
    }));
    tick_out(&executor);
    assert_eq!((executor.next_deadline(), order.borrow().as_slice()), (None, [0].as_slice()), "no tick will move it");
    drop(hold.take());
    assert!(!tick(&executor), "it has read its mail");
    assert!(is_now(), "the next tick moves the clock, as a sleep of `block_on` would");
    assert!(!tick(&executor));
    assert_eq!(*order.borrow(), [0, 1]);
    assert!(is_now(), "it is due");
    tick_out(&executor);
    assert_eq!(*order.borrow(), [0, 1, 2]);
    assert!(is_now() && executor.has_tasks());
    tick_out(&executor);
    assert_eq!((executor.next_deadline(), executor.has_tasks()), (None, false));
}

const INSIDE: &str = "`block_on` inside an executor would stop every task of this thread: `await` the future, `spawn` \
                      it, or run it on a thread of its own";

#[test]
fn a_tick_inside_a_task_panics_and_harms_nobody() {
    let (executor, other) = (Rc::new(Executor::new().unwrap()), Executor::new().unwrap());
    let before = other.spawn(async {});
    let (own, probe) = (executor.clone(), Rc::new(Probe::default()));
    drop(executor.spawn(probe.task()));
    let told = Rc::new(RefCell::new(Vec::new()));
    let texts = told.clone();
    drop(executor.spawn(async move {
        texts.borrow_mut().push(panic_of(|| tick(&own)));
        texts.borrow_mut().push(panic_of(|| tick(&other)));
        assert_eq!(Handle::current(), own.handle(), "the context is still that of the outer one");
        // That of a destructor that runs while it shuts down, too.
        let texts = texts.clone();
        let guard = OnDrop::new(move || texts.borrow_mut().push(panic_of(|| tick(&own))));
        drop(other.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        drop(other);
        drop(before);
        yield_now().await;
    }));
    assert!(tick(&executor));
    assert!(!tick(&executor));
    assert_eq!(*told.borrow(), [INSIDE; 3]);
    probe.waker().wake();
    tick(&executor);
    assert_eq!(probe.polls.get(), 2);
}

#[test]
fn two_executors_in_one_outer_loop() {
    const LAST: usize = 100;
    bounded(|| {
        let (ring, bell) = mpsc::channel();
        let executors = [(); 2].map(|()| Executor::new().unwrap());
        let ([to_0, to_1], [from_1, from_0]) = {
            let ((to_0, from_1), (to_1, from_0)) = (channel::unbounded(), channel::unbounded());
            ([to_0, to_1], [from_1, from_0])
        };
        to_0.unbounded_send(0).unwrap();
        let ends = [(to_1, from_1), (to_0, from_0)];
        let tasks = ends.into_iter().enumerate().map(|(number, (send, mut receive))| {
            let (executor, own) = (&executors[number], executors[number].handle());
            executor.on_wake(Waker::from(Arc::new(Bell(number, Mutex::new(ring.clone())))));
            executor.spawn(async move {
                while let Some(round) = receive.next().await {
                    assert_eq!((Handle::current(), round % 2), (own, number));
                    if round == LAST {
                        break;
                    }
                    send.unbounded_send(round + 1).unwrap();
                }
            })
        });
        let _tasks: Vec<_> = tasks.collect();
        assert_eq!([bell.recv(), bell.recv()], [Ok(0), Ok(1)], "each was given a task");
        let (mut due, mut ticks) = (vec![1, 0], 0);
        while executors.iter().any(Executor::has_tasks) {
            let number = due.pop().unwrap_or_else(|| bell.recv().unwrap());
            ticks += 1;
            if tick(&executors[number]) {
                due.push(number);
            }
        }
        // One for each message, and one that finds the other's end gone.
        assert_eq!(ticks, LAST + 2);
    });
}

/// Rings at the far end of a socket pair.
struct Doorbell(UnixStream);

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        (&self.0).write_all(&[1]).unwrap();
    }
}

/// Waits for the runtime or for its doorbell; how often the latter was rung.
fn wait(runtime: &Runtime, mut door: &UnixStream) -> usize {
    // SAFETY: the descriptor is open for as long as `runtime` is borrowed.
    let selector = unsafe { BorrowedFd::borrow_raw(runtime.as_raw_fd()) };
    let mut fds = [PollFd::new(&selector, PollFlags::IN), PollFd::new(door, PollFlags::IN)];
    let timeout = runtime.next_deadline().map(|at| {
        let rest = at.saturating_duration_since(Instant::now());
        Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: rest.subsec_nanos().into() }
    });
    poll(&mut fds, timeout.as_ref()).unwrap();
    if fds[1].revents().is_empty() { 0 } else { door.read(&mut [0; 64]).unwrap() }
}

/// Whether the runtime has an event.
fn is_readable(runtime: &Runtime) -> bool {
    // SAFETY: the descriptor is open for as long as `runtime` is borrowed.
    let selector = unsafe { BorrowedFd::borrow_raw(runtime.as_raw_fd()) };
    poll(&mut [PollFd::new(&selector.as_fd(), PollFlags::IN)], Some(&Timespec::default())).unwrap() > 0
}

#[test]
fn an_echo_in_an_outer_loop_that_polls_the_descriptor() {
    const ROUNDS: usize = 200;
    bounded(|| {
        let runtime = Runtime::new().unwrap();
        let (ring, door) = UnixStream::pair().unwrap();
        runtime.on_wake(Waker::from(Arc::new(Doorbell(ring))));
        let (send, receive) = mpsc::channel();
        let server = runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut buffer, mut total) = ([0; 64], 0);
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => return total,
                    count => stream.write_all(&buffer[..count]).await.unwrap(),
                }
                total += 1;
            }
        });
        assert_eq!((&door).read(&mut [0; 64]).unwrap(), 1, "the spawn");
        assert!(!runtime.tick());
        let addr = receive.try_recv().unwrap();
        let client = thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            stream.set_nodelay(true).unwrap();
            for round in 0..ROUNDS {
                let (sent, mut back) = (round.to_le_bytes(), [0; 8]);
                stream.write_all(&sent).unwrap();
                stream.read_exact(&mut back).unwrap();
                assert_eq!(sent, back);
            }
        });
        let (mut ticks, mut rings) = (1, 0);
        while runtime.has_tasks() {
            rings += wait(&runtime, &door);
            while runtime.tick() {
                ticks += 1;
            }
            ticks += 1;
        }
        client.join().unwrap();
        assert_eq!(runtime.block_on(server).unwrap(), ROUNDS);
        assert_eq!(rings, 0, "events of the reactor come through its descriptor");
        assert!((ROUNDS..3 * ROUNDS).contains(&ticks), "it spins: {ticks} ticks for {ROUNDS} messages");
    });
}

#[test]
fn the_descriptor_is_silent_where_nothing_is_to_be_done() {
    bounded(|| {
        let runtime = Runtime::new().unwrap();
        assert!(!runtime.tick() && !is_readable(&runtime));
        let (send, receive) = oneshot::channel::<()>();
        drop(runtime.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (connected, accepted) = futures::join!(TcpStream::connect(address), listener.accept());
            // Both can be written to, and nobody wants to.
            let _ends = (connected.unwrap(), accepted.unwrap());
            receive.await.unwrap();
        }));
        // Loopback: what is connected has arrived.
        while runtime.tick() || is_readable(&runtime) {}
        assert!(runtime.has_tasks());
        // Neither an event of another thread nor a timer rings there.
        let due = Instant::now() + Duration::from_millis(1);
        drop(runtime.spawn(sleep_until(due)));
        drop(runtime.handle().spawn(async {}));
        while runtime.tick() {}
        while Instant::now() <= due {}
        thread::spawn(move || send.send(()).unwrap()).join().unwrap();
        assert!(!is_readable(&runtime));
        while runtime.tick() {}
        assert!(!runtime.has_tasks());
    });
}

#[test]
fn an_outer_loop_cannot_be_inside_of_its_runtime() {
    silence_expected_panics();
    let runtime = Rc::new(Runtime::new().unwrap());
    let own = runtime.clone();
    drop(runtime.spawn(async move {
        let text = panic_of(|| own.tick());
        assert!(text.starts_with("`block_on` of a runtime inside itself would stop every task"), "{text}");
        let text = panic_of(|| own.as_raw_fd());
        assert!(text.starts_with("the descriptor is for an outer loop"), "{text}");
        assert_eq!(panic_of(|| Runtime::new().unwrap().tick()), INSIDE);
    }));
    assert!(!runtime.tick() && !runtime.has_tasks());
}

/// Writes down what happens, for hooks, drivers and tasks alike.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn builder(&self) -> pollywog_executor::Builder {
        let (before, after) = (self.clone(), self.clone());
        Executor::builder().on_park(move || before.note("park")).on_unpark(move || after.note("unpark"))
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A driver whose every sleep ends at once, with the wake of `probe`.
struct Naps<'a>(&'a Log, &'a Probe);

impl Driver for Naps<'_> {
    fn unparker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn park(&mut self, park: Park, _ready: &mut Vec<TaskId>) {
        if park == Park::Look {
            return self.0.note("look");
        }
        self.0.note("sleep");
        self.1.waker().wake();
    }
}

/// Polls `probe` and writes it down, until the third poll.
async fn three_polls(log: &Log, probe: &Probe) {
    poll_fn(|cx| {
        log.note("poll");
        probe.done.set(probe.polls.get() == 2);
        probe.poll(cx)
    })
    .await;
}

#[test]
fn the_hooks_frame_each_sleep() {
    let (log, probe) = (Log::default(), Probe::default());
    let executor = log.builder().build().unwrap();
    executor.block_on(&mut Naps(&log, &probe), three_polls(&log, &probe));
    assert_eq!(log.take(), ["poll", "park", "sleep", "unpark", "poll", "park", "sleep", "unpark", "poll"]);
    // What does not sleep calls none.
    executor.block_on(&mut Naps(&log, &probe), yield_now());
    assert_eq!(log.take(), ["look"]);
}

/// Runs an executor whose root waits for a sleep, after a first `on_park` that did `once`.
fn log_of_a_hook(once: impl Fn(&Log, &Waker) + Send + Sync + 'static) -> Vec<&'static str> {
    let (log, probe) = (Log::default(), Probe::default());
    let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (hook, taken) = (log.clone(), slot.clone());
    let builder = log.builder().on_park(move || {
        hook.note("park");
        if let Some(waker) = taken.lock().unwrap().take() {
            once(&hook, &waker);
        }
    });
    let executor = builder.build().unwrap();
    executor.block_on(&mut Naps(&log, &probe), async {
        poll_fn(|cx| {
            slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        three_polls(&log, &probe).await;
    });
    log.take()
}

#[test]
fn a_hook_that_wakes_or_spawns_prevents_the_sleep() {
    let hooks: [fn(&Log, &Waker); 3] = [
        |_, waker| waker.wake_by_ref(),
        |log, _| {
            let log = log.clone();
            drop(spawn(async move { log.note("poll") }));
        },
        |_, waker| {
            let waker = waker.clone();
            thread::spawn(move || waker.wake()).join().unwrap();
        },
    ];
    for hook in hooks {
        // What comes after the look is announced anew.
        let log = log_of_a_hook(hook);
        assert_eq!(log[..4], ["poll", "park", "look", "poll"], "{log:?}");
        for (number, what) in log.iter().enumerate() {
            let (before, after) = (log.get(number.wrapping_sub(1)), log.get(number + 1));
            assert!(*what != "sleep" || (before, after) == (Some(&"park"), Some(&"unpark")), "{log:?}");
            assert!(*what != "unpark" || before == Some(&"sleep"), "{log:?}");
        }
        assert!(log.contains(&"sleep"), "{log:?}");
    }
}

/// Another thread's wake comes between the announcement and the sleep, each time.
#[test]
fn mail_before_each_sleep_lets_the_driver_look_each_time() {
    const POLLS: usize = 10;
    let (probe, slot) = (Probe::default(), Arc::new(Mutex::new(None::<Waker>)));
    let taken = slot.clone();
    let executor = Executor::builder().on_park(move || {
        let waker = taken.lock().unwrap().clone().expect("the root was polled");
        thread::spawn(move || waker.wake()).join().unwrap();
    });
    let mut driver = Looks::default();
    executor.build().unwrap().block_on(
        &mut driver,
        poll_fn(|cx| {
            slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
            probe.done.set(probe.polls.get() + 1 == POLLS);
            probe.poll(cx)
        }),
    );
    assert_eq!(driver.0, [Park::Look; POLLS - 1]);
}

#[test]
fn the_hooks_find_nothing_borrowed() {
    thread_local!(static LEFT: Cell<u32> = const { Cell::new(2) });
    fn everything() {
        if LEFT.get() == 0 {
            return;
        }
        LEFT.set(LEFT.get() - 1);
        let handle = spawn(async { sleep(Duration::from_millis(1)).await });
        handle.abort();
        assert!(!handle.is_finished());
        drop(Handle::current().spawn(async {}));
        let metrics = pollywog_executor::Metrics::current();
        assert!(metrics.alive > 0 && metrics.turns < 100);
        let waker = Counter::new();
        assert!(Pin::new(&mut yield_now()).poll(&mut Context::from_waker(&waker.into())).is_pending());
        assert!(sleep(Duration::from_millis(1)).now_or_never().is_none());
        assert_eq!(panic_of(|| Executor::new().unwrap().block_on(&mut ThreadDriver::new(), async {})), INSIDE);
    }
    let executor = Executor::builder().on_park(everything).on_unpark(everything).build().unwrap();
    executor.block_on(&mut ThreadDriver::new(), async {
        sleep(Duration::from_millis(1)).await;
        sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(LEFT.get(), 0);
}

#[test]
fn a_hook_that_panics_is_contained() {
    silence_expected_panics();
    let (log, probe) = (Log::default(), Probe::default());
    let (before, after) = (log.clone(), log.clone());
    let builder = Executor::builder().on_park(move || {
        before.note("park");
        panic!("expected: on_park");
    });
    let builder = builder.on_unpark(move || {
        after.note("unpark");
        panic!("expected: on_unpark");
    });
    builder.build().unwrap().block_on(&mut Naps(&log, &probe), three_polls(&log, &probe));
    assert_eq!(log.take(), ["poll", "park", "sleep", "unpark", "poll", "park", "sleep", "unpark", "poll"]);
}

#[test]
fn the_hooks_of_a_runtime_are_those_of_its_executor() {
    let log = Log::default();
    let (before, after) = (log.clone(), log.clone());
    let builder = Runtime::builder().on_park(move || before.note("park")).on_unpark(move || after.note("unpark"));
    builder.build().unwrap().block_on(async { sleep(Duration::from_millis(1)).await });
    let log = log.take();
    assert!(log.len() >= 2 && log.chunks(2).all(|pair| pair == ["park", "unpark"]), "{log:?}");
}
