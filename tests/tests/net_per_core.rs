//! One runtime per core: who serves what, what moves between cores, how they start and end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use futures::channel::oneshot;
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, poll};
use pollywog_net::per_core::{Builder, PerCore};
use pollywog_net::task::yield_now;
use pollywog_net::{Handle, Runtime, TcpListener, TcpStream, UnhandledPanic, spawn};
use pollywog_tests::executor::{OnDrop, silence_expected_panics};
use pollywog_tests::limits::leave_descriptors;
use pollywog_tests::namespace::{in_namespace, sysctl};
use pollywog_tests::net::{LIMIT, Watchdog, alone, descriptors, read, run, turns};
use rustix::thread::{CpuSet, sched_getaffinity};

const _: fn() = || {
    fn is<T: Send + Sync + std::fmt::Debug>() {}
    is::<PerCore>();
    is::<Builder>();
};

fn cores(count: usize) -> PerCore {
    PerCore::builder().cores(count).build().unwrap()
}

fn name() -> String {
    thread::current().name().unwrap().to_owned()
}

/// Sends the name of the thread, and ends.
async fn tell(mut stream: TcpStream) {
    stream.write_all(name().as_bytes()).await.unwrap();
}

/// What `addr` sends to a new connection.
async fn ask(addr: SocketAddr) -> String {
    let mut answer = String::new();
    TcpStream::connect(addr).await.unwrap().read_to_string(&mut answer).await.unwrap();
    answer
}

/// How many of `count` connections got which answer.
async fn answers(addr: SocketAddr, count: usize) -> BTreeMap<String, u64> {
    let mut answers = BTreeMap::new();
    for answer in join_all((0..count).map(|_| ask(addr))).await {
        *answers.entry(answer).or_default() += 1;
    }
    answers
}

/// How many threads of the process belong to a core.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("pollywog-")).count()
}

/// Waits until the kernel has forgotten the threads that were joined: it wakes who joins a little before.
fn no_thread_is_left() {
    let _watchdog = Watchdog::start();
    while threads() > 0 {
        thread::yield_now();
    }
}

/// The selectors that a descriptor is registered with, by their own descriptors.
fn selectors_of(socket: &impl AsFd) -> Vec<RawFd> {
    let number = socket.as_fd().as_raw_fd();
    let mut selectors: Vec<RawFd> = fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // Other tests close theirs meanwhile.
            let info = fs::read_to_string(&path).ok()?;
            let mut targets = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
            let is_there = targets.any(|rest| rest.split_whitespace().next() == Some(&number.to_string()));
            is_there.then(|| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        })
        .collect();
    selectors.sort_unstable();
    selectors
}

/// The selectors of a core.
async fn selectors_at(core: Handle) -> Vec<RawFd> {
    let task = core.spawn_pinned(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(poll!(pin!(listener.accept())).is_pending());
        selectors_of(&listener)
    });
    task.await.unwrap()
}

#[test]
fn all_cores_serve_one_port_and_count_what_they_accept() {
    const CONNECTIONS: usize = 128;
    run(async {
        let cores = cores(3);
        assert_eq!(cores.accepted(), [0; 3]);
        let addr = cores.serve("127.0.0.1:0", |stream, _| tell(stream)).await.unwrap();
        assert_ne!(addr.port(), 0);
        let answers = answers(addr, CONNECTIONS).await;
        let accepted = cores.accepted();
        assert_eq!(accepted.iter().sum::<u64>(), CONNECTIONS as u64);
        // That one of three gets none of 128 happens once in 10^22 times.
        let expected = accepted.iter().enumerate().map(|(index, count)| (format!("pollywog-{index}"), *count));
        assert_eq!(answers, expected.collect(), "the kernel spreads them, and who accepts serves");
        cores.shutdown().await.unwrap();
    });
}

#[test]
fn the_handler_gets_the_address_of_the_peer() {
    run(async {
        let cores = cores(1);
        let handler = |mut stream: TcpStream, peer: SocketAddr| async move {
            stream.write_all(peer.to_string().as_bytes()).await
        };
        let addr = cores.serve("[::1]:0", handler).await.unwrap();
        let mut client = TcpStream::connect(addr).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, client.local_addr().unwrap().to_string());
        cores.shutdown().await.unwrap();
    });
}

#[test]
fn the_connections_of_a_core_share_what_cannot_be_sent() {
    const CONNECTIONS: usize = 64;
    run(async {
        let (cores, made) = (cores(2), Arc::new(AtomicUsize::new(0)));
        let theirs = made.clone();
        let make = move || {
            theirs.fetch_add(1, Ordering::SeqCst);
            let visits = Rc::new(Cell::new(0));
            move |mut stream: TcpStream, _| {
                let visits = visits.clone();
                async move {
                    visits.set(visits.get() + 1);
                    stream.write_all(format!("{} {}", name(), visits.get()).as_bytes()).await.unwrap();
                }
            }
        };
        let addr = cores.serve_with("127.0.0.1:0", make).await.unwrap();
        let answers = answers(addr, CONNECTIONS).await;
        let expected = cores.accepted().into_iter().enumerate();
        let expected =
            expected.flat_map(|(index, count)| (1..=count).map(move |visit| format!("pollywog-{index} {visit}")));
        assert_eq!(answers, expected.map(|answer| (answer, 1)).collect());
        assert_eq!(made.load(Ordering::SeqCst), 2);
        cores.shutdown().await.unwrap();
        assert_eq!(Arc::strong_count(&made), 1, "nothing is left");
    });
}

#[test]
fn a_connection_is_handed_to_another_core() {
    run(async {
        let (cores, (report, reports)) = (cores(2), mpsc::channel());
        let at = join_all(cores.handles().iter().copied().map(selectors_at)).await;
        assert!(!at[0].is_empty() && !at[1].is_empty() && at[0] != at[1], "{at:?}");
        let handles = [cores.handles()[0], cores.handles()[1]];
        // The handler runs on either core; the stream goes to the other, and for one that has blocked, back again.
        let addr = cores
            .serve("127.0.0.1:0", move |stream: TcpStream, _| {
                let report = report.clone();
                let here = handles.iter().position(|handle| *handle == Handle::current()).unwrap();
                async move {
                    let fresh = selectors_of(&stream);
                    let there = handles[1 - here].spawn_pinned(move || async move {
                        assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 1);
                        assert!(poll!(pin!(read(&stream, &mut [0; 16]))).is_pending());
                        let blocked = selectors_of(&stream);
                        let back = handles[here].spawn_pinned(move || async move {
                            assert!(poll!(pin!(read(&stream, &mut [0; 16]))).is_pending());
                            report.send((here, fresh, blocked, selectors_of(&stream))).unwrap();
                            assert_eq!(read(&stream, &mut [0; 16]).await.unwrap(), 2);
                            tell(stream).await;
                        });
                        back.await.unwrap();
                    });
                    there.await.unwrap();
                }
            })
            .await
            .unwrap();
        for _ in 0..4 {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(b"1").await.unwrap();
            let (here, fresh, blocked, back) = reports.recv_timeout(LIMIT).unwrap();
            assert_eq!(fresh, [] as [RawFd; 0], "one that has not waited is registered nowhere");
            assert_eq!(blocked, at[1 - here], "where it waits, it is registered");
            assert_eq!(back, at[here], "and nowhere else");
            client.write_all(b"22").await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, format!("pollywog-{here}"));
        }
        cores.shutdown().await.unwrap();
    });
}

/// It tells on which thread it was dropped.
type Guard = OnDrop<Box<dyn FnOnce() + Send>>;

/// What makes guards, and where they tell.
fn drops() -> (impl Fn() -> Guard + Clone + Send, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let guard = move || {
        let sender = sender.clone();
        OnDrop::new(Box::new(move || sender.send(name()).unwrap()) as Box<dyn FnOnce() + Send>)
    };
    (guard, receiver)
}

/// Four connections that are served and wait, as seen by their peers.
async fn four_that_wait(
    cores: &PerCore,
    guard: impl Fn() -> Guard + Clone + Send + 'static,
) -> (SocketAddr, Vec<StdStream>) {
    let handler = move |mut stream: TcpStream, _| {
        let guard = guard();
        async move {
            stream.write_all(b"!").await.unwrap();
            let _guard = guard;
            read(&stream, &mut [0]).await.unwrap();
        }
    };
    let addr = cores.serve("127.0.0.1:0", handler).await.unwrap();
    let clients = (0..4).map(|_| {
        let mut client = StdStream::connect(addr).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.read_exact(&mut [0]).unwrap();
        client
    });
    (addr, clients.collect())
}

#[test]
fn shutdown_leaves_no_thread_no_descriptor_and_no_task() {
    alone("shutdown_leaves_no_thread_no_descriptor_and_no_task", || {
        run(async {
            let (before, cores, (guard, dropped)) = (descriptors(), cores(2), drops());
            let handles = cores.handles().to_vec();
            let (addr, clients) = four_that_wait(&cores, guard).await;
            let accepted = cores.accepted();
            // A thread-local's destructor is the last that runs of a thread.
            thread_local! {
                static LAST: Cell<Option<Arc<()>>> = const { Cell::new(None) };
            }
            let last = Arc::new(());
            for handle in &handles {
                let last = last.clone();
                handle.spawn(async { LAST.set(Some(last)) }).await.unwrap();
            }
            assert_eq!((threads(), Arc::strong_count(&last)), (2, 3));
            cores.shutdown().await.unwrap();
            assert_eq!(Arc::strong_count(&last), 1, "the threads were waited for");
            no_thread_is_left();
            assert!(handles.iter().all(Handle::is_closed));
            let mut per_core = [0; 2];
            for thread in dropped.try_iter() {
                per_core[thread.strip_prefix("pollywog-").unwrap().parse::<usize>().unwrap()] += 1;
            }
            assert_eq!(per_core[..], accepted, "each is dropped where it was served");
            for mut client in clients {
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            }
            assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn dropping_it_ends_the_cores_too() {
    let _watchdog = Watchdog::start();
    let (guard, dropped) = drops();
    let (handles, mut clients) = run(async {
        let cores = cores(2);
        let (_, clients) = four_that_wait(&cores, guard).await;
        (cores.handles().to_vec(), clients)
    });
    assert_eq!(dropped.iter().count(), 4, "all are dropped, and the handler with them");
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    assert!(handles.iter().all(|handle| futures::executor::block_on(handle.spawn(pending::<()>())).is_err()));
}

#[test]
fn a_shutdown_that_nobody_waits_for_ends_the_cores_too() {
    let _watchdog = Watchdog::start();
    let (guard, dropped) = drops();
    run(async {
        let ((stopped, stops), (begin, begun)) = (mpsc::channel::<()>(), oneshot::channel());
        let cores = cores(2);
        let _clients = four_that_wait(&cores, guard).await;
        // A core that cannot end for now.
        cores.handles()[0].spawn(async move {
            begin.send(()).unwrap();
            stops.recv().unwrap_err()
        });
        begun.await.unwrap();
        let mut shutdown = Box::pin(cores.shutdown());
        assert!(poll!(&mut shutdown).is_pending());
        drop((shutdown, stopped));
    });
    assert_eq!(dropped.iter().count(), 4);
}

#[test]
fn a_shutdown_on_one_of_the_cores_drops_its_own_task() {
    let _watchdog = Watchdog::start();
    let (cores, (guard, dropped)) = (cores(2), drops());
    let handles = cores.handles().to_vec();
    let (guards, (begin, begun)) = ((guard(), guard()), mpsc::channel());
    drop(guard);
    let other = handles[1].spawn_pinned(move || async move {
        let _guard = guards.1;
        begin.send(()).unwrap();
        pending::<()>().await
    });
    begun.recv().unwrap();
    let task = handles[0].spawn_pinned(move || async move {
        let _guard = guards.0;
        cores.shutdown().await
    });
    for result in [futures::executor::block_on(task).map(drop), futures::executor::block_on(other)] {
        assert!(result.unwrap_err().is_cancelled());
    }
    let mut dropped: Vec<_> = dropped.iter().collect();
    dropped.sort();
    assert_eq!(dropped, ["pollywog-0", "pollywog-1"]);
}

#[test]
fn a_handler_that_panics_ends_its_own_connection_alone() {
    silence_expected_panics();
    run(async {
        let cores = cores(2);
        let handler = |stream: TcpStream, peer: SocketAddr| {
            let remainder = peer.port() % 3;
            assert!(remainder != 0, "expected: panic of the handler");
            async move {
                assert!(remainder != 1, "expected: panic of its future");
                tell(stream).await;
            }
        };
        let addr = cores.serve("127.0.0.1:0", handler).await.unwrap();
        let (mut served, mut connections) = (0, 0);
        while served < 30 {
            let mut client = TcpStream::connect(addr).await.unwrap();
            connections += 1;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            let is_served = client.local_addr().unwrap().port() % 3 == 2;
            assert_eq!(!answer.is_empty(), is_served);
            served += u64::from(is_served);
        }
        assert_eq!(cores.accepted().iter().sum::<u64>(), connections);
        cores.shutdown().await.unwrap();
    });
}

#[test]
fn a_core_that_panics_is_reported_and_the_others_serve_on() {
    silence_expected_panics();
    run(async {
        let settings = Runtime::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let cores = PerCore::builder().cores(3).runtime(settings).build().unwrap();
        let handles = cores.handles().to_vec();
        let addr = cores.serve("127.0.0.1:0", |stream, _| tell(stream)).await.unwrap();
        let kill = async |core: Handle| {
            let last = core.spawn_pinned(pending::<()>);
            core.spawn_pinned(|| async { panic!("expected: a fatal task") });
            assert!(last.await.unwrap_err().is_cancelled());
        };
        kill(handles[1]).await;
        assert_eq!(handles.iter().map(Handle::is_closed).collect::<Vec<_>>(), [false, true, false]);
        for addr in [addr, cores.serve("127.0.0.1:0", |stream, _| tell(stream)).await.unwrap()] {
            let answers = answers(addr, 64).await;
            assert_eq!(answers.keys().collect::<Vec<_>>(), ["pollywog-0", "pollywog-2"]);
        }
        kill(handles[0]).await;
        kill(handles[2]).await;
        let error = cores.serve("127.0.0.1:0", |stream, _| tell(stream)).await.unwrap_err();
        assert_eq!(error.to_string(), "no core is alive: their threads have panicked");
        let said = cores.shutdown().await.unwrap_err().to_string();
        let mut said = said.split("; the thread of core ");
        let begins =
            |index| format!("{index} panicked: the executor shuts down, as its settings ask for: JoinError(task ");
        assert!(said.next().unwrap().starts_with(&format!("the thread of core {}", begins(0))));
        assert!(said.next().unwrap().starts_with(&begins(1)));
        let last = said.next().unwrap();
        assert!(
            last.starts_with(&begins(2)) && last.contains(" panicked: expected: a fatal task; spawned at "),
            "{last}"
        );
        assert_eq!(said.next(), None);
    });
}

#[test]
fn a_core_that_cannot_make_its_handler_does_not_listen() {
    silence_expected_panics();
    run(async {
        let cores = cores(2);
        let make = || {
            assert!(name() != "pollywog-0", "expected: no handler");
            |stream, _| tell(stream)
        };
        let addr = cores.serve_with("127.0.0.1:0", make).await.unwrap();
        // It listens until its first turn comes.
        cores.handles()[0].spawn(async {}).await.unwrap();
        assert_eq!(answers(addr, 64).await, BTreeMap::from([("pollywog-1".to_owned(), 64)]));
        assert_eq!(cores.accepted(), [0, 64]);
        cores.shutdown().await.unwrap();
    });
}

fn processors(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// The processors that each core may run on.
async fn affinities(cores: PerCore) -> Vec<Vec<usize>> {
    let ask = |core: &Handle| core.spawn_pinned(|| async { processors(&sched_getaffinity(None).unwrap()) });
    let all = join_all(cores.handles().iter().map(ask)).await;
    cores.shutdown().await.unwrap();
    all.into_iter().map(Result::unwrap).collect()
}

#[test]
fn each_thread_is_pinned_to_one_of_the_processors_that_are_allowed() {
    run(async {
        let allowed = processors(&sched_getaffinity(None).unwrap());
        let count = allowed.len() + 1;
        let pinned = PerCore::builder().cores(count).pin(true).build().unwrap();
        let expected: Vec<_> = allowed.iter().chain(&allowed[..1]).map(|cpu| vec![*cpu]).collect();
        assert_eq!(affinities(pinned).await, expected, "and then from the first again");
        let free = PerCore::builder().cores(2).pin(false).build().unwrap();
        assert_eq!(affinities(free).await, vec![allowed; 2]);
    });
}

#[test]
fn there_is_one_thread_for_each_processor_unless_told_otherwise() {
    run(async {
        let cores = PerCore::new().unwrap();
        assert_eq!(cores.handles().len(), thread::available_parallelism().unwrap().get());
        assert_eq!(format!("{cores:?}"), format!("PerCore {{ handles: {:?}, .. }}", cores.handles()));
        cores.shutdown().await.unwrap();
    });
}

#[test]
fn a_number_of_cores_that_makes_no_sense_is_refused() {
    for (count, expected) in [
        (0, "0 cores run nothing: ask for one at least"),
        (1_025, "1025 cores are too many: a process can have 1024 runtimes"),
        (usize::MAX, "18446744073709551615 cores are too many: a process can have 1024 runtimes"),
    ] {
        let error = PerCore::builder().cores(count).build().unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, expected.to_owned()));
    }
}

#[test]
fn where_a_core_cannot_start_none_is_left() {
    alone("where_a_core_cannot_start_none_is_left", || {
        let _watchdog = Watchdog::start();
        let before = descriptors();
        // For two runtimes, of four descriptors each on Linux, and not for three.
        leave_descriptors(11);
        for _ in 0..20 {
            let error = PerCore::builder().cores(4).build().unwrap_err().to_string();
            assert!(error.starts_with("core ") && error.ends_with(": Too many open files (os error 24)"), "{error}");
            assert_eq!(descriptors(), before);
            no_thread_is_left();
        }
        futures::executor::block_on(cores(2).shutdown()).unwrap();
    });
}

#[test]
fn an_address_in_use_is_an_error_and_the_next_one_serves() {
    run(async {
        let cores = cores(2);
        let taken = StdListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = cores.serve(addr, |stream, _| tell(stream)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let second = cores.serve([addr, "127.0.0.1:0".parse().unwrap()], |stream, _| tell(stream)).await.unwrap();
        drop(taken);
        let first = cores.serve(addr, |stream, _| tell(stream)).await.unwrap();
        assert_eq!(first, addr);
        for addr in [first, second] {
            assert_eq!(answers(addr, 16).await.values().sum::<u64>(), 16);
        }
        assert_eq!(cores.accepted().iter().sum::<u64>(), 32);
        cores.shutdown().await.unwrap();
    });
}

#[test]
fn nothing_listens_where_serving_is_dropped_at_any_poll() {
    alone("nothing_listens_where_serving_is_dropped_at_any_poll", || {
        run(async {
            let cores = cores(1);
            cores.serve("localhost:0", |stream, _| tell(stream)).await.unwrap();
            // Once, while nothing looks a name up: what does has files open for a moment.
            let before = descriptors();
            for polls in 0.. {
                let mut serving = Box::pin(cores.serve("localhost:0", |stream, _| tell(stream)));
                let mut is_done = false;
                for _ in 0..polls {
                    is_done = poll!(&mut serving).is_ready();
                    if is_done {
                        break;
                    }
                    yield_now().await;
                }
                if is_done {
                    break;
                }
                drop(serving);
                while descriptors() != before {
                    yield_now().await;
                }
            }
            cores.shutdown().await.unwrap();
        });
    });
}

#[test]
fn a_core_runs_what_is_spawned_from_its_handlers() {
    run(async {
        let cores = cores(2);
        let handler = |stream: TcpStream, _| async move {
            let (local, (send, receive)) = (Rc::new(stream), oneshot::channel());
            let theirs = local.clone();
            spawn(async move {
                let mut stream: &TcpStream = &theirs;
                stream.write_all(name().as_bytes()).await.unwrap();
                send.send(name()).unwrap();
            });
            assert_eq!(receive.await.unwrap(), name());
        };
        let addr = cores.serve("127.0.0.1:0", handler).await.unwrap();
        assert_eq!(answers(addr, 16).await.values().sum::<u64>(), 16);
        cores.shutdown().await.unwrap();
    });
}

/// A core goes while connections wait in its queue. How many of 64 the other has accepted before, and in the end; what
/// the peers see is checked.
async fn accepted_before_and_after_a_core_is_gone() -> (u64, u64) {
    const CONNECTIONS: usize = 64;
    let settings = Runtime::builder().unhandled_panic(UnhandledPanic::ShutdownRuntime);
    let cores = PerCore::builder().cores(2).runtime(settings).build().unwrap();
    let handles = cores.handles().to_vec();
    let addr = cores.serve("127.0.0.1:0", |stream, _| tell(stream)).await.unwrap();
    // Core 0 accepts nothing more, and then it is gone.
    let ((end, ended), (begin, begun)) = (mpsc::channel::<()>(), oneshot::channel());
    let last = handles[0].spawn(async move {
        begin.send(()).unwrap();
        ended.recv().unwrap_err();
        panic!("expected: a fatal task");
    });
    begun.await.unwrap();
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| StdStream::connect(addr).unwrap()).collect();
    // Core 1 has come to its own, and sleeps.
    handles[1].spawn(turns(8)).await.unwrap();
    let before = cores.accepted()[1];
    drop(end);
    assert!(last.await.unwrap_err().is_panic());
    let mut answers = 0;
    for mut client in clients {
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = String::new();
        match client.read_to_string(&mut answer) {
            Ok(_) => answers += u64::from(answer == "pollywog-1"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    assert!(handles[0].is_closed());
    let after = cores.accepted();
    assert_eq!(after, [0, answers]);
    (before, answers)
}

#[test]
fn what_waits_for_a_core_that_is_gone_is_reset_unless_the_kernel_may_move_it() {
    silence_expected_panics();
    in_namespace("what_waits_for_a_core_that_is_gone_is_reset_unless_the_kernel_may_move_it", || {
        sysctl("ipv4/tcp_migrate_req", "0");
        let (before, after) = run(accepted_before_and_after_a_core_is_gone());
        assert!(before < 64, "the kernel spreads them");
        assert_eq!(after, before);
        sysctl("ipv4/tcp_migrate_req", "1");
        let (before, after) = run(accepted_before_and_after_a_core_is_gone());
        assert!(before < 64);
        assert_eq!(after, 64, "core 1 is woken for what was moved to it");
    });
}
