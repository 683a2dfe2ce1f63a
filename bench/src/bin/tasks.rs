//! What a task costs, on each executor with the same code: nanoseconds for each operation, and bytes alive for each
//! task. Rounds are interleaved, and the median is printed.
//!
//! `cargo run --release -p pollywog-bench --bin tasks`

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Counts the bytes that are alive.
struct Counting;

static ALIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on to `System` unchanged, which keeps `GlobalAlloc`'s contract; the count beside it
// touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: `pointer` came from `alloc` above with this `layout`, so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 11;

/// What differs between the executors.
trait Peer {
    const NAME: &'static str;
    type Handle: Future<Output = ()> + 'static;
    fn block_on(future: impl Future<Output = ()> + 'static);
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle;
    fn yield_now() -> impl Future<Output = ()>;
}

struct Pollywog;

impl Peer for Pollywog {
    const NAME: &'static str = "pollywog";
    type Handle = Joined<pollywog_net::JoinHandle<()>>;
    fn block_on(future: impl Future<Output = ()> + 'static) {
        pollywog_net::run(future).expect("a runtime");
    }
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        Joined(pollywog_net::spawn(future))
    }
    fn yield_now() -> impl Future<Output = ()> {
        pollywog_net::task::yield_now()
    }
}

struct Tokio;

impl Peer for Tokio {
    const NAME: &'static str = "tokio current_thread, LocalSet";
    type Handle = Joined<tokio::task::JoinHandle<()>>;
    fn block_on(future: impl Future<Output = ()> + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, future);
    }
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        Joined(tokio::task::spawn_local(future))
    }
    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}

struct Smol;

thread_local! {
    static LOCAL: &'static smol::LocalExecutor<'static> = Box::leak(Box::new(smol::LocalExecutor::new()));
}

impl Peer for Smol {
    const NAME: &'static str = "smol LocalExecutor";
    type Handle = smol::Task<()>;
    fn block_on(future: impl Future<Output = ()> + 'static) {
        smol::block_on(LOCAL.with(|local| local.run(future)));
    }
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        LOCAL.with(|local| local.spawn(future))
    }
    fn yield_now() -> impl Future<Output = ()> {
        smol::future::yield_now()
    }
}

struct Monoio;

impl Peer for Monoio {
    const NAME: &'static str = "monoio, epoll";
    type Handle = monoio::task::JoinHandle<()>;
    fn block_on(future: impl Future<Output = ()> + 'static) {
        monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build().expect("a runtime").block_on(future);
    }
    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        monoio::spawn(future)
    }
    fn yield_now() -> impl Future<Output = ()> {
        Yield(false)
    }
}

/// A handle whose result is unwrapped.
struct Joined<H>(H);

impl<H: Future<Output = Result<(), E>> + Unpin, E: std::fmt::Debug> Future for Joined<H> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("the task neither panics nor is cancelled"))
    }
}

/// A yield that wakes itself.
struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Two tasks hand a token to each other.
#[derive(Default)]
struct Table {
    turn: Cell<usize>,
    wakers: RefCell<[Option<Waker>; 2]>,
}

async fn player(table: Rc<Table>, me: usize, strokes: usize) {
    for _ in 0..strokes {
        std::future::poll_fn(|cx| {
            if table.turn.get() == me {
                table.turn.set(1 - me);
                if let Some(waker) = table.wakers.borrow_mut()[1 - me].take() {
                    waker.wake();
                }
                return Poll::Ready(());
            }
            table.wakers.borrow_mut()[me] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn chain<P: Peer>(left: usize) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        if left > 0 {
            P::spawn(chain::<P>(left - 1)).await;
        }
    })
}

/// Nanoseconds for each operation of one row.
fn row<P: Peer>(row: usize) -> f64 {
    let result = Rc::new(Cell::new(0.0));
    let out = result.clone();
    P::block_on(async move {
        let start = Instant::now();
        let operations = match row {
            0 => {
                for _ in 0..200 {
                    let handles: Vec<_> = (0..1_000)
                        .map(|n| {
                            P::spawn(async move {
                                black_box(n);
                            })
                        })
                        .collect();
                    for handle in handles {
                        handle.await;
                    }
                }
                200_000
            }
            1 => {
                let tasks = (0..1_000).map(|_| {
                    P::spawn(async {
                        for _ in 0..200 {
                            P::yield_now().await;
                        }
                    })
                });
                for task in tasks.collect::<Vec<_>>() {
                    task.await;
                }
                200_000
            }
            2 => {
                let table = Rc::new(Table::default());
                let tasks = [0, 1].map(|me| P::spawn(player(table.clone(), me, 100_000)));
                for task in tasks {
                    task.await;
                }
                200_000
            }
            3 => {
                for _ in 0..100 {
                    P::spawn(chain::<P>(1_000)).await;
                }
                100_000
            }
            _ => {
                let before = ALIVE.load(Relaxed);
                let tasks: Vec<_> = (0..100_000).map(|_| P::spawn(std::future::pending())).collect();
                P::yield_now().await;
                let handles = size_of::<P::Handle>() * tasks.capacity();
                out.set((ALIVE.load(Relaxed) - before - handles as isize) as f64 / 100_000.0);
                return;
            }
        };
        out.set(start.elapsed().as_nanos() as f64 / f64::from(operations));
    });
    result.get()
}

/// A peer's name, and what measures a row of it.
type Row = (&'static str, fn(usize) -> f64);

const ROWS: [&str; 5] = [
    "spawn + join, 1,000 alive (ns)",
    "yield, 1,000 tasks in turn (ns)",
    "ping-pong of two tasks, a stroke (ns)",
    "chained spawn + join (ns)",
    "bytes alive per trivial task",
];

fn main() {
    // One row of one peer, for a profiler: `tasks ROW PEER`.
    let arguments: Vec<usize> = std::env::args().skip(1).map_while(|argument| argument.parse().ok()).collect();
    let peers: [Row; 4] = [
        (Pollywog::NAME, row::<Pollywog>),
        (Tokio::NAME, row::<Tokio>),
        (Smol::NAME, row::<Smol>),
        (Monoio::NAME, row::<Monoio>),
    ];
    if let [number, peer] = arguments[..] {
        println!("{} {}: {:.0}", peers[peer].0, ROWS[number], peers[peer].1(number));
        return;
    }
    println!("| {:<38} | {} |", "", peers.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "---:|".repeat(peers.len()));
    for (number, name) in ROWS.iter().enumerate() {
        let mut samples = vec![Vec::new(); peers.len()];
        for round in 0..ROUNDS {
            for place in 0..peers.len() {
                let peer = (place + round) % peers.len();
                samples[peer].push(peers[peer].1(number));
            }
        }
        let medians: Vec<_> = samples
            .iter_mut()
            .map(|samples| {
                samples.sort_by(f64::total_cmp);
                format!("{:.0}", samples[ROUNDS / 2])
            })
            .collect();
        println!("| {name:<38} | {} |", medians.join(" | "));
    }
}
