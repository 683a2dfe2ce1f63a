//! What the system lacks or refuses: descriptors, memory, registrations; and signals.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::pin::pin;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, poll};
use pollywog_net::time::sleep;
use pollywog_net::{TcpListener, TcpStream, UdpSocket, spawn};
use pollywog_tests::net::{
    Arrival, LIMIT, Watchdog, alone, arrived, child, counted, descriptors, inside, pair, read, run, run_injected,
    turns, warnings, with_peer,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, kill_process, setrlimit, waitpid};

const ENOSPC: i32 = 28;

/// Opens files until there is no descriptor left.
fn fill_up() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(24), "EMFILE");
                return files;
            }
        }
    }
}

/// A client waits in the queue while there is no descriptor for it. Others are served meanwhile; one of them gives a
/// descriptor back, and nothing but the descriptor tells the listener.
#[test]
fn no_descriptor_left() {
    const PAUSES: usize = 4;
    alone("no_descriptor_left", || {
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
        let (mut warned, _guard) = warnings();
        run(async {
            let (mut here, mut there) = pair().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            let (accepting, polls) = counted(async move { listener.accept().await.unwrap() });
            let accepting = spawn(accepting);
            turns(3).await;
            assert_eq!(polls.get(), 1, "it waits for a first connection");
            let mut files = fill_up();
            client.connect(&addr.into()).unwrap();
            for pause in 0..PAUSES {
                let warning = warned.next().await.unwrap();
                for expected in ["Too many open files", &format!("pause={}ms", 1 << pause), "accepting pauses"] {
                    assert!(warning.contains(expected), "{expected:?} in {warning}");
                }
                // Connections that are there go on.
                let mut answer = [0; 4];
                here.write_all(b"ping").await.unwrap();
                there.read_exact(&mut answer).await.unwrap();
                there.write_all(&answer).await.unwrap();
                here.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"ping");
            }
            // One poll for the event and one for each pause, of which there are eleven in the first two seconds and
            // one in each after that.
            turns(1_000).await;
            assert!(polls.get() <= 2 + 11 + LIMIT.as_secs() as usize, "{} polls: it spins", polls.get());
            drop(files.pop());
            let (mut stream, peer) = accepting.await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap().as_socket().unwrap());
            stream.write_all(b"served").await.unwrap();
            let mut served = [0; 6];
            (&client).read_exact(&mut served).unwrap();
            assert_eq!(&served, b"served");
        });
    });
}

/// `accept4` fails once, as strace has it, with the error that the argument names.
fn accept_after(error: &str) {
    let (mut warned, _guard) = warnings();
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        arrived(&listener, Arrival::IN);
        let (accepting, polls) = counted(listener.accept());
        let (_, peer) = accepting.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let warning = warned.next().now_or_never().flatten();
        match error {
            "ENOBUFS" | "ENOMEM" | "ENFILE" => {
                assert!(polls.get() > 1, "it pauses");
                assert!(warning.expect("it says so").contains("pause=1ms"));
            }
            _ => {
                assert_eq!(polls.get(), 1, "it tries again at once");
                assert_eq!(warning, None);
            }
        }
    });
}

#[test]
fn accept_lacks_memory() {
    const NAME: &str = "accept_lacks_memory";
    match inside(NAME) {
        Some(error) => accept_after(&error),
        None => ["ENOBUFS", "ENOMEM", "ENFILE"]
            .into_iter()
            .for_each(|error| run_injected(&format!("accept4:error={error}:when=1"), NAME, error)),
    }
}

#[test]
fn accept_meets_a_broken_connection() {
    const NAME: &str = "accept_meets_a_broken_connection";
    match inside(NAME) {
        Some(error) => accept_after(&error),
        None => ["ECONNABORTED", "EPROTO", "ENETDOWN"]
            .into_iter()
            .for_each(|error| run_injected(&format!("accept4:error={error}:when=1"), NAME, error)),
    }
}

/// Each connection in the queue is broken, for ever. The listener tries again at once, and gives way all the same.
#[test]
fn a_flood_of_broken_connections_does_not_keep_the_thread() {
    const NAME: &str = "a_flood_of_broken_connections_does_not_keep_the_thread";
    if inside(NAME).is_none() {
        return run_injected("accept4:error=ECONNABORTED", NAME, "");
    }
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (accepting, polls) = counted(async move { listener.accept().await.map(drop) });
        let accepting = spawn(accepting);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut text = [0; 16];
        let mut receiving = pin!(socket.recv(&mut text));
        assert!(poll!(receiving.as_mut()).is_pending());
        turns(10).await;
        peer.send_to(b"heard", socket.local_addr().unwrap()).unwrap();
        assert_eq!(receiving.await.unwrap(), 5);
        sleep(Duration::from_millis(1)).await;
        assert!(!accepting.is_finished());
        assert!(polls.get() > 10, "{} polls: it has paused", polls.get());
    });
}

/// Once nothing can be registered, who has to wait gets the error, and its descriptor is closed.
#[test]
fn connect_and_accept_where_nothing_can_be_registered() {
    const NAME: &str = "connect_and_accept_where_nothing_can_be_registered";
    if inside(NAME).is_none() {
        return run_injected("epoll_ctl:error=ENOSPC:when=3+", NAME, "");
    }
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let full = listener.local_addr().unwrap().as_socket().unwrap();
    let _first = std::net::TcpStream::connect(full).unwrap();
    run(async {
        let before = descriptors();
        for _ in 0..10 {
            let error = TcpStream::connect(full).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(ENOSPC));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(ENOSPC));
            // What does not have to wait works.
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            arrived(&listener, Arrival::IN);
            assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
        }
        assert_eq!(descriptors(), before);
    });
}

/// The runtime registers two descriptors of its own; the one after them is refused.
#[test]
fn a_registration_that_fails() {
    const NAME: &str = "a_registration_that_fails";
    if inside(NAME).is_none() {
        return run_injected("epoll_ctl:error=ENOSPC:when=3", NAME, "");
    }
    run(async {
        let (stream, mut peer) = with_peer().await;
        let before = descriptors();
        let error = read(&stream, &mut [0; 16]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ENOSPC));
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let mut reading = Box::pin(async { read(&stream, &mut [0; 16]).await });
        assert!(poll!(reading.as_mut()).is_pending(), "there is room again");
        turns(2).await;
        peer.write_all(b"heard").unwrap();
        assert_eq!(reading.as_mut().await.unwrap(), 5);
        drop(reading);
        drop(stream);
        assert_eq!(descriptors(), before - 1);
    });
}

/// Every other wait is interrupted at once.
#[test]
fn a_wait_that_is_interrupted_goes_on() {
    const NAME: &str = "a_wait_that_is_interrupted_goes_on";
    if inside(NAME).is_none() {
        return run_injected("epoll_wait:error=EINTR:when=1+2", NAME, "");
    }
    run(async {
        for _ in 0..5 {
            let start = Instant::now();
            sleep(Duration::from_millis(5)).await;
            assert!(start.elapsed() >= Duration::from_millis(5), "it is early");
            let (stream, mut peer) = with_peer().await;
            let mut reading = pin!(async { read(&stream, &mut [0; 16]).await });
            assert!(poll!(reading.as_mut()).is_pending());
            peer.write_all(b"heard").unwrap();
            assert_eq!(reading.await.unwrap(), 5);
        }
    });
}

/// It is stopped and continued all the time, which interrupts the wait.
#[test]
#[expect(clippy::zombie_processes, reason = "waitpid reaps it, so that a stop can be told from an end")]
fn a_wait_that_is_interrupted_keeps_its_deadline() {
    const NAME: &str = "a_wait_that_is_interrupted_keeps_its_deadline";
    if inside(NAME).is_some() {
        return run(async {
            let start = Instant::now();
            println!("it sleeps");
            sleep(Duration::from_millis(100)).await;
            assert!(start.elapsed() >= Duration::from_millis(100), "it is early");
            println!("it woke");
        });
    }
    let _watchdog = Watchdog::start();
    let mut sleeper = child(&[], NAME, "").stdout(Stdio::piped()).spawn().unwrap();
    let id = Pid::from_child(&sleeper);
    let mut lines = BufReader::new(sleeper.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("it sleeps")));
    let start = Instant::now();
    let end = loop {
        kill_process(id, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(id), WaitOptions::UNTRACED).unwrap().unwrap();
        if !status.stopped() {
            break status;
        }
        kill_process(id, Signal::CONT).unwrap();
        if start.elapsed() > LIMIT {
            kill_process(id, Signal::KILL).unwrap();
            panic!("the sleep starts anew after each interruption");
        }
        // It needs some time to come to its wait again, and to sleep a little.
        thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(end.exit_status(), Some(0));
    assert!(lines.any(|line| line == "it woke"));
}

#[test]
fn a_burst_of_connections_leaves_no_descriptor_behind() {
    alone("a_burst_of_connections_leaves_no_descriptor_behind", || {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let server = spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    spawn(async move {
                        let mut bytes = Vec::new();
                        stream.read_to_end(&mut bytes).await.unwrap();
                        stream.write_all(&bytes).await.unwrap();
                    });
                }
            });
            turns(2).await;
            let before = descriptors();
            for burst in 0..20_u8 {
                let clients: Vec<_> = (0..100)
                    .map(|number| {
                        spawn(async move {
                            let mut stream = TcpStream::connect(addr).await.unwrap();
                            stream.write_all(&[burst, number]).await.unwrap();
                            stream.close().await.unwrap();
                            let mut answer = Vec::new();
                            stream.read_to_end(&mut answer).await.unwrap();
                            assert_eq!(answer, [burst, number]);
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
            }
            turns(2).await;
            assert_eq!(descriptors(), before);
            server.abort();
        });
    });
}
