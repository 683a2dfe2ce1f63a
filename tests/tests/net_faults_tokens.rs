//! Late news of a socket that is gone: its slot and its descriptor number have other owners by then.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use futures::{AsyncRead, FutureExt, poll};
use pollywog_net::{TcpListener, TcpStream, spawn};
use pollywog_tests::net::{Arrival, alone, arrived, arrived_bytes, counted, descriptors, read, run, turns, with_peer};

/// Two sockets are ready in one turn. Whoever is polled first drops the other's and puts a new one in its place, with
/// the same slot and number.
#[test]
fn stale_token() {
    alone("stale_token", || {
        run(async {
            let places: Vec<_> = (0..2).map(|_| Rc::new(RefCell::new(None))).collect();
            let mut peers = Vec::new();
            for place in &places {
                let (stream, peer) = with_peer().await;
                place.replace(Some(stream));
                peers.push(peer);
            }
            // One more connection stands in a queue, so that the next number is given to it.
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let replaced = Rc::new(Cell::new(None));
            let waiting: Vec<_> = [0, 1]
                .map(|number| {
                    let (mine, other) = (places[number].clone(), places[1 - number].clone());
                    let (replaced, listener) = (replaced.clone(), listener.clone());
                    let mut polls = 0;
                    spawn(poll_fn(move |cx| {
                        polls += 1;
                        if polls == 2 && replaced.get().is_none() {
                            let number_before = fd(&other);
                            drop(other.take());
                            let (stream, _) = listener.accept().now_or_never().unwrap().unwrap();
                            assert!(stream.readable().now_or_never().is_none(), "nothing has come for it");
                            other.replace(Some(stream));
                            assert_eq!(fd(&other), number_before, "the number is used again");
                            replaced.set(Some(1 - number));
                        }
                        let mut buffer = [0; 16];
                        let mut stream = mine.borrow_mut();
                        let reading = Pin::new(stream.as_mut().unwrap()).poll_read(cx, &mut buffer);
                        reading.map(|count| buffer[..count.unwrap()].to_vec())
                    }))
                })
                .into();
            turns(2).await;
            for (peer, text) in peers.iter_mut().zip([b"0", b"1"]) {
                peer.write_all(text).unwrap();
            }
            for place in &places {
                arrived_bytes(place.borrow().as_ref().unwrap(), 1);
            }
            turns(3).await;
            let number: usize = replaced.get().expect("one of them was polled");
            assert!(waiting[1 - number].is_finished(), "it has its data");
            assert!(!waiting[number].is_finished(), "the data before was not its socket's");
            peer.write_all(b"new").unwrap();
            for (place, task) in waiting.into_iter().enumerate() {
                let expected = if place == number { b"new".to_vec() } else { place.to_string().into_bytes() };
                assert_eq!(task.await.unwrap(), expected);
            }
        });
    });
}

fn fd(place: &RefCell<Option<TcpStream>>) -> i32 {
    place.borrow().as_ref().unwrap().as_fd().as_raw_fd()
}

/// A duplicate keeps the open file in the selector when the descriptor is closed, so events still bear the old token.
#[test]
fn a_ghost_event_of_a_closed_duplicate_is_ignored() {
    alone("a_ghost_event_of_a_closed_duplicate_is_ignored", || {
        run(async {
            let (first, mut ghost) = with_peer().await;
            let (second, mut peer) = with_peer().await;
            assert!(poll!(pin!(first.readable())).is_pending());
            turns(3).await;
            let duplicate = first.as_fd().try_clone_to_owned().unwrap();
            drop(first);
            let (waiting, polls) = counted(async move { read(&second, &mut [0; 16]).await.unwrap() });
            let task = spawn(waiting); // it takes the slot that became free
            turns(3).await;
            for _ in 0..10 {
                ghost.write_all(b"for nobody").unwrap();
                arrived(&duplicate, Arrival::IN);
                turns(2).await;
            }
            assert_eq!(polls.get(), 1, "an event of the old token woke the new owner of its slot");
            peer.write_all(b"data").unwrap();
            assert_eq!(task.await.unwrap(), 4);
            drop(duplicate);
        });
    });
}

/// The socket is dropped by another thread while its own is busy, and the number gets a new owner on the own thread
/// before that thread reads its mail.
#[test]
fn a_reused_descriptor_is_not_silenced() {
    alone("a_reused_descriptor_is_not_silenced", || {
        let before = descriptors();
        let (give, take) = mpsc::channel::<TcpStream>();
        let (dropped, was_dropped) = mpsc::channel::<i32>();
        let other = thread::spawn(move || {
            let stream = take.recv().unwrap();
            let number = stream.as_fd().as_raw_fd();
            drop(stream);
            dropped.send(number).unwrap();
        });
        run(async move {
            let (stream, _peer) = with_peer().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut next = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert!(poll!(pin!(stream.readable())).is_pending());
            turns(3).await;
            give.send(stream).unwrap();
            let number = was_dropped.recv().unwrap();
            // No turn in between: the mail about the old socket is not read yet.
            let (reused, _) = listener.accept().await.unwrap();
            assert_eq!(reused.as_fd().as_raw_fd(), number, "the number is used again");
            assert!(poll!(pin!(reused.readable())).is_pending());
            turns(3).await;
            next.write_all(b"heard").unwrap();
            reused.readable().await.unwrap();
            assert_eq!(reused.try_read(&mut [0; 16]).unwrap(), 5);
        });
        other.join().unwrap();
        assert_eq!(descriptors(), before);
    });
}

/// It drops its own socket in the poll that the event caused, and registers another.
#[test]
fn a_task_drops_its_socket_while_it_is_notified() {
    run(async {
        let (stream, mut peer) = with_peer().await;
        let (other, mut other_peer) = with_peer().await;
        let task = spawn(async move {
            stream.readable().await.unwrap();
            drop(stream);
            read(&other, &mut [0; 16]).await.unwrap()
        });
        turns(2).await;
        peer.write_all(b"x").unwrap();
        turns(2).await;
        other_peer.write_all(b"four").unwrap();
        assert_eq!(task.await.unwrap(), 4);
    });
}

/// A waker that drops what it was given, as any code of others can.
struct Drops(Mutex<Option<TcpStream>>);

impl Wake for Drops {
    fn wake(self: Arc<Self>) {
        let stream = self.0.lock().unwrap().take();
        drop(stream);
    }
}

/// Each is woken for one socket and drops the other, whose waker the drop wakes: no table is in use meanwhile.
#[test]
fn wakers_that_drop_sockets_while_they_are_woken() {
    alone("wakers_that_drop_sockets_while_they_are_woken", || {
        run(async {
            let before = descriptors();
            let (first, mut first_peer) = with_peer().await;
            let (second, mut second_peer) = with_peer().await;
            let [one, two] = [(); 2].map(|()| Arc::new(Drops(Mutex::new(None))));
            for (stream, drops) in [(&first, &one), (&second, &two)] {
                let waker = Waker::from(drops.clone());
                assert!(stream.poll_read_ready(&mut Context::from_waker(&waker)).is_pending());
            }
            turns(2).await;
            *one.0.lock().unwrap() = Some(second);
            *two.0.lock().unwrap() = Some(first);
            first_peer.write_all(b"x").unwrap();
            second_peer.write_all(b"x").unwrap();
            while [&one, &two].iter().any(|drops| drops.0.lock().unwrap().is_some()) {
                turns(1).await;
            }
            drop((first_peer, second_peer));
            assert_eq!(descriptors(), before);
        });
    });
}
