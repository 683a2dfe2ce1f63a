//! Exercises of chapter 3, processes, threads and pools.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_exercises::bounded;

const LIMIT: Duration = Duration::from_secs(20);

/// 3.1: At `addr` is a pool of `threads` threads, each of which serves one client after the other. Hold up everybody
/// else for as long as the connections that you give back are open, with as few of them as can be, and without a byte.
#[cfg(not(feature = "solutions"))]
fn starve(addr: SocketAddr, threads: usize) -> Vec<TcpStream> {
    todo!("3.1: hold up all the threads, {threads} of them, at {addr}")
}

#[cfg(feature = "solutions")]
fn starve(addr: SocketAddr, threads: usize) -> Vec<TcpStream> {
    (0..threads).map(|_| TcpStream::connect(addr).unwrap()).collect()
}

/// The example `pooled`, with a count of the threads that have a client, and of the bytes that came.
fn pool(threads: usize) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let addr = listener.local_addr().unwrap();
    let (busy, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..threads {
        let (listener, busy, bytes) = (Arc::clone(&listener), Arc::clone(&busy), Arc::clone(&bytes));
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                busy.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    bytes.fetch_add(count, Ordering::SeqCst);
                    if stream.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                busy.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
    (addr, busy, bytes)
}

#[test]
fn as_many_silent_clients_as_threads_are_enough() {
    for threads in [1, 4] {
        let (addr, busy, bytes) = pool(threads);
        let held = bounded(LIMIT, "3.1: connecting should be enough", move || starve(addr, threads));
        assert_eq!(held.len(), threads, "3.1: a thread serves one client at a time, so how many clients does it take?");
        let start = Instant::now();
        while busy.load(Ordering::SeqCst) < threads {
            assert!(start.elapsed() < LIMIT, "3.1: a thread has nobody; are all the connections open?");
            thread::yield_now();
        }
        assert_eq!(bytes.load(Ordering::SeqCst), 0, "3.1: not a byte is needed");
        let mut other = TcpStream::connect(addr).unwrap();
        other.write_all(b"anybody?").unwrap();
        other.set_nonblocking(true).unwrap();
        let mut answer = [0; 8];
        assert_eq!(other.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
        other.set_nonblocking(false).unwrap();
        other.set_read_timeout(Some(LIMIT)).unwrap();
        drop(held);
        other.read_exact(&mut answer).expect("3.1: when your connections are closed, it goes on");
        assert_eq!(&answer, b"anybody?");
    }
}

/// 3.2: A limit without a pool: a thread for each client, and no more than so many. Before a server starts a thread,
/// it takes one of these places, and waits if there is none; at the end of the thread the place is free again, however
/// the thread ended.
#[derive(Debug)]
struct Places {
    free: Mutex<usize>,
    /// Somebody has left.
    left: Condvar,
}

/// One of the places, until it is dropped.
#[derive(Debug)]
struct Place(Arc<Places>);

impl Places {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(count), left: Condvar::new() })
    }
}

#[cfg(not(feature = "solutions"))]
fn take(places: &Arc<Places>) -> Place {
    let Places { free, left } = &**places;
    todo!("3.2: wait for {left:?} until there is a place in {free:?}, and take it")
}

#[cfg(feature = "solutions")]
fn take(places: &Arc<Places>) -> Place {
    let free = places.free.lock().unwrap();
    // In a loop, inside of `wait_while`: another may have been quicker.
    let mut free = places.left.wait_while(free, |free| *free == 0).unwrap();
    *free -= 1;
    Place(Arc::clone(places))
}

#[cfg(not(feature = "solutions"))]
impl Drop for Place {
    fn drop(&mut self) {
        // The `if` is for the sake of `todo!`: a panic during a panic would end the program, and with it the other
        // tests. Yours needs none.
        if !thread::panicking() {
            todo!("3.2: give the place back to {:?}, and tell one who waits", self.0)
        }
    }
}

#[cfg(feature = "solutions")]
impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap() += 1;
        self.0.left.notify_one();
    }
}

#[test]
fn no_more_threads_than_places() {
    bounded(LIMIT, "3.2: a thread waits for a place that was given back", || {
        let places = Places::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..100 {
                let place = take(&places);
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                });
            }
        });
        let most = most.into_inner();
        assert!(most <= 3, "3.2: {most} threads at once, and there are three places");
        assert_eq!(*places.free.lock().unwrap(), 3, "3.2: at the end all places are free");
    });
}

#[test]
fn a_place_has_one_owner_when_several_wait() {
    bounded(LIMIT, "3.2: one who waits was not told", || {
        let (places, now) = (Places::new(1), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let place = take(&places);
                        assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0, "3.2: another was quicker; look again");
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                });
            }
        });
    });
}

#[test]
fn a_thread_that_panics_gives_its_place_back() {
    bounded(LIMIT, "3.2: the only place cannot be taken, or is not free after a panic", || {
        let places = Places::new(1);
        let place = take(&places);
        let thread = thread::spawn(move || {
            let _place = place;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        drop(take(&places));
    });
}
