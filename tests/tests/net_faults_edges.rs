//! Edges of registration and waiting: many slices, what is left over, waits that move, errors of accept.

use std::future::Future;
use std::hint;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, poll};
use pollywog_net::time::timeout;
use pollywog_net::{Runtime, TcpListener, TcpStream, spawn};
use pollywog_tests::net::with_peer;
use pollywog_tests::net::{
    LIMIT, Watchdog, alone, arrived_bytes, counted, fill, inside, read, run, run_injected, turns,
};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Registered in both directions, as after any wait.
async fn registered() -> (TcpStream, std::net::TcpStream) {
    let (stream, peer) = with_peer().await;
    assert!(poll!(pin!(stream.readable())).is_pending());
    turns(3).await;
    stream.writable().await.unwrap();
    (stream, peer)
}

/// std offers the kernel 1,024 slices at most: a full transfer of those is not a short one.
#[test]
fn a_write_of_more_slices_than_the_kernel_takes_is_not_short() {
    run(async {
        let (stream, _peer) = registered().await;
        let slices = [IoSlice::new(b"x"); 1_500];
        let first = (&stream).write_vectored(&slices).await.unwrap();
        assert_eq!((&stream).write_vectored(&slices[first..]).await.unwrap(), 1_500 - first);
    });
}

#[test]
fn a_read_into_more_slices_than_the_kernel_takes_is_not_short() {
    run(async {
        let (stream, mut peer) = registered().await;
        peer.write_all(&[7; 1_500]).unwrap();
        arrived_bytes(&stream, 1_500);
        turns(2).await;
        let mut room = [[0; 1]; 1_500];
        let mut slices: Vec<_> = room.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
        let first = (&stream).read_vectored(&mut slices).await.unwrap();
        assert_eq!(read(&stream, &mut [0; 2_048]).await.unwrap(), 1_500 - first);
    });
}

#[test]
fn a_peek_sees_what_came_after_what_is_left_over() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"ab").unwrap();
        stream.read_with(|_| (0, ())).await.unwrap();
        peer.write_all(b"cd").unwrap();
        arrived_bytes(&stream, 2);
        let mut buffer = [0; 4];
        assert_eq!(stream.peek(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer, b"abcd");
    });
}

#[test]
fn peeking_at_what_is_left_over_costs_budget() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        peer.write_all(b"ab").unwrap();
        stream.read_with(|_| (0, ())).await.unwrap();
        let other = spawn(async {});
        for _ in 0..200 {
            stream.peek(&mut [0; 4]).await.unwrap();
        }
        assert!(other.is_finished(), "it had its turn");
    });
}

/// One event wakes both; `read_with` runs first and leaves a byte.
async fn beside_read_with<F: Future<Output = bool>>(wait: impl FnOnce(Rc<TcpStream>) -> F) {
    let (stream, mut peer) = with_peer().await;
    let stream = Rc::new(stream);
    let reader = stream.clone();
    let first = spawn(async move { reader.read_with(|bytes| (1, bytes.len())).await });
    turns(2).await;
    let mut waiting = pin!(wait(stream.clone()));
    assert!(poll!(&mut waiting).is_pending());
    peer.write_all(b"ab").unwrap();
    assert_eq!(first.await.unwrap().unwrap(), Some(2));
    assert!(waiting.await);
}

#[test]
fn readable_hears_of_what_another_task_left_over() {
    run(beside_read_with(|stream| async move { stream.readable().await.is_ok() }));
}

#[test]
fn peek_hears_of_what_another_task_left_over() {
    run(beside_read_with(|stream| async move { stream.peek(&mut [0; 1]).await.unwrap() == 1 }));
}

#[test]
fn a_short_read_does_not_keep_the_next_from_trying_where_no_runtime_is() {
    let (stream, mut peer) = run(with_peer());
    for _ in 0..2 {
        peer.write_all(b"there").unwrap();
        arrived_bytes(&stream, 5);
        assert_eq!(block_on(read(&stream, &mut [0; 16])).unwrap(), 5);
    }
}

#[test]
fn the_waker_of_a_future_that_is_dropped_elsewhere_leaves_the_table() {
    let runtime = Runtime::new().unwrap();
    let (stream, _peer) = runtime.block_on(with_peer());
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let before = Arc::strong_count(&count);
    let mut waits: Vec<_> = (0..10).map(|_| Box::pin(stream.readable())).collect();
    runtime.block_on(async {
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    });
    let half = waits.split_off(5);
    drop(waits);
    thread::scope(|threads| {
        threads.spawn(|| drop(half));
    });
    runtime.block_on(turns(3));
    assert_eq!(Arc::strong_count(&count), before);
}

#[test]
fn a_waiter_stands_in_one_place() {
    run(async {
        let (stream, _peer) = with_peer().await;
        let [a, b, c] = [(); 3].map(|()| Arc::new(Count::default()));
        let mut first = Box::pin(stream.readable());
        let mut second = Box::pin(stream.readable());
        assert!(first.as_mut().poll(&mut Context::from_waker(&a.clone().into())).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&b.clone().into())).is_pending());
        drop(first);
        assert!(second.as_mut().poll(&mut Context::from_waker(&c.clone().into())).is_pending());
        assert_eq!(Arc::strong_count(&b), 1, "displaced by the next waker");
        drop(second);
        assert_eq!([&a, &b, &c].map(Arc::strong_count), [1, 1, 1]);
    });
}

#[test]
fn a_foreign_waker_whose_drop_panics_does_not_come_out_of_the_drop_of_the_runtime() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected: drop of a waker");
        }
    }
    let runtime = Runtime::new().unwrap();
    let (mut stream, _peer) = runtime.block_on(with_peer());
    runtime.block_on(async {
        let waker = Waker::from(Arc::new(Bomb));
        let mut buffer = [0; 1];
        let reading = &mut stream.read(&mut buffer);
        assert!(Pin::new(reading).poll(&mut Context::from_waker(&waker)).is_pending());
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(runtime))).is_ok());
}

#[test]
fn two_waits_move_to_the_next_runtime_of_their_thread() {
    let first = Runtime::new().unwrap();
    let (stream, _peer) = first.block_on(with_peer());
    let mut waits = [Box::pin(stream.readable()), Box::pin(stream.readable())];
    let still_wait = async |waits: &mut [Pin<Box<_>>; 2]| {
        for wait in waits {
            assert!(poll!(wait).is_pending());
        }
    };
    first.block_on(still_wait(&mut waits));
    drop(first);
    Runtime::new().unwrap().block_on(still_wait(&mut waits));
}

/// The key of a runtime that is gone must not keep its namesake from forgetting the descriptor.
#[test]
fn a_direction_that_moved_on_can_come_back_to_the_namesake_of_a_dead_runtime() {
    alone("a_direction_that_moved_on_can_come_back_to_the_namesake_of_a_dead_runtime", || {
        let first = Runtime::new().unwrap();
        let (stream, mut peer) = first.block_on(with_peer());
        first.block_on(async { assert!(poll!(pin!(stream.peek(&mut [0; 1]))).is_pending()) });
        drop(first);
        let second = Runtime::new().unwrap();
        second.block_on(async {
            fill(&stream);
            assert!(poll!(pin!(stream.writable())).is_pending());
        });
        thread::scope(|threads| {
            threads.spawn(|| run(async { assert!(poll!(pin!(stream.writable())).is_pending()) }));
        });
        second.block_on(async {
            turns(3).await;
            assert!(poll!(pin!(stream.peek(&mut [0; 1]))).is_pending());
            peer.write_all(b"x").unwrap();
            assert_eq!(read(&stream, &mut [0; 8]).await.unwrap(), 1);
        });
    });
}

/// Reading goes to another thread at the moment at which writing is registered here, at ever other distances.
#[test]
fn reading_is_taken_over_while_writing_is_registered() {
    let _watchdog = Watchdog::start();
    let barrier = Arc::new(Barrier::new(2));
    let (send, receive) = mpsc::channel::<Arc<TcpStream>>();
    let (answer, answers) = mpsc::channel::<Option<ErrorKind>>();
    let other = thread::spawn({
        let barrier = barrier.clone();
        move || {
            let runtime = Runtime::new().unwrap();
            while let Ok(stream) = receive.recv() {
                runtime.block_on(async {
                    barrier.wait();
                    let result = stream.readable().now_or_never();
                    answer.send(result.and_then(Result::err).map(|error| error.kind())).unwrap();
                });
            }
        }
    });
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut room = vec![0; 1 << 17];
        for round in 0..5_000 {
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let stream = Arc::new(listener.accept().await.unwrap().0);
            socket2::SockRef::from(&*stream).set_send_buffer_size(4096).unwrap();
            assert!(poll!(pin!(stream.peek(&mut [0; 1]))).is_pending());
            // Full, but nobody has waited for room: writing is not registered.
            while stream.try_write(&[0; 1 << 16]).is_ok() {}
            send.send(stream.clone()).unwrap();
            barrier.wait();
            // The other thread has to wake up first.
            for _ in 0..round % 100 * 100 {
                hint::spin_loop();
            }
            let mut writer = &*stream;
            let mut writing = pin!(writer.write(&[1]));
            let written = poll!(writing.as_mut());
            assert!(!matches!(written, Poll::Ready(Err(_))), "{written:?}");
            assert_eq!(answers.recv().unwrap(), None);
            if written.is_pending() {
                // Now there is room, and the writer hears of it.
                peer.set_nonblocking(true).unwrap();
                while peer.read(&mut room).is_ok() {}
                let written = timeout(LIMIT, writing).await;
                assert_eq!(written.expect("it hears of the room").unwrap(), 1, "round {round}");
            }
        }
    });
    drop(send);
    other.join().unwrap();
}

#[test]
fn an_accept_without_a_runtime_and_without_descriptors_is_an_error() {
    alone("an_accept_without_a_runtime_and_without_descriptors_is_an_error", || {
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        let accepted = listener.accept().now_or_never();
        drop(files);
        assert_eq!(accepted.unwrap().unwrap_err().raw_os_error(), Some(24), "EMFILE");
    });
}

/// Runs `accept` under strace, which makes the call fail with `error`: the first one, or each.
fn accept_meets(test: &str, error: &str, serves: bool) {
    if inside(test).is_some() {
        let (result, polls) = pollywog_net::run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepting, polls) = counted(async { listener.accept().await.map(|_| ()) });
            (timeout(Duration::from_secs(5), accepting).await.expect("it answers"), polls.get())
        })
        .unwrap();
        assert_eq!(result.is_ok(), serves, "{error}: {result:?}");
        assert!(polls < 10, "it does not ask again and again: {polls} polls");
        return;
    }
    let when = if serves { ":when=1" } else { "" };
    run_injected(&format!("accept4:error={error}{when}"), test, "x");
}

#[test]
fn accept_meets_a_host_that_is_down() {
    accept_meets("accept_meets_a_host_that_is_down", "EHOSTDOWN", true);
}

#[test]
fn accept_meets_a_protocol_that_is_not_there() {
    accept_meets("accept_meets_a_protocol_that_is_not_there", "ENOPROTOOPT", true);
}

#[test]
fn accept_that_the_system_does_not_have_is_an_error() {
    accept_meets("accept_that_the_system_does_not_have_is_an_error", "ENOSYS", false);
}
