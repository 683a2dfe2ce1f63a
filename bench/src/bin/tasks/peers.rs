//! The peers, each as its documentation says.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use compio::driver::{DriverType, ProactorBuilder};
use compio::runtime::RuntimeBuilder;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt;
use pollywog_bench::tasks::{Peer, Unwrapped};

pub(crate) struct Tokio;

impl Peer for Tokio {
    const NAME: &'static str = "tokio current_thread";
    const HOLDS: &'static str = "a task is one allocation; the list of its `LocalSet`, its handle and its wakers share it by an \
        atomic count";
    type Handle = Unwrapped<tokio::task::JoinHandle<()>>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        Unwrapped(tokio::task::spawn_local(future))
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep(duration)
    }

    /// A task whose budget is used up sets no timer, and is told that it waits.
    fn sleep_among_many(duration: Duration) -> impl Future<Output = ()> + 'static {
        tokio::task::unconstrained(tokio::time::sleep(duration))
    }
}

pub(crate) struct Smol;

thread_local! {
    static LOCAL: &'static smol::LocalExecutor<'static> = Box::leak(Box::new(smol::LocalExecutor::new()));
}

impl Peer for Smol {
    const NAME: &'static str = "smol";
    const HOLDS: &'static str = "a task is one allocation; its handle and its wakers share it by an atomic count, and the executor \
        keeps a waker of each in a slab";
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

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        let timer = smol::Timer::after(duration);
        async {
            timer.await;
        }
    }
}

pub(crate) struct Monoio;

impl Peer for Monoio {
    const NAME: &'static str = "monoio, epoll";
    const HOLDS: &'static str =
        "a task is one allocation; its handle and its wakers share it by a count that is not atomic";
    /// Its feature `sync` allows it, and is not among the default ones.
    const REMOTE: bool = false;
    /// A task that wakes itself is put at the front of the queue.
    const YIELDS: bool = false;
    type Handle = monoio::task::JoinHandle<()>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let builder = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer();
        builder.build().expect("a runtime").block_on(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        monoio::spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> {
        Yield(false)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        monoio::time::sleep(duration)
    }
}

pub(crate) struct Glommio;

impl Peer for Glommio {
    const NAME: &'static str = "glommio";
    const HOLDS: &'static str = "a task is one allocation; its handle and its wakers share it by a count";
    type Handle = glommio::Task<()>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        glommio::LocalExecutorBuilder::default().make().expect("a runtime").run(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        glommio::spawn_local(future)
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        glommio::timer::sleep(duration)
    }
}

/// compio on one of its drivers.
pub(crate) struct Compio<const IO_URING: bool>;

impl<const IO_URING: bool> Peer for Compio<IO_URING> {
    const NAME: &'static str = if IO_URING { "compio, io_uring" } else { "compio, epoll" };
    const HOLDS: &'static str = "a task is one allocation and an entry of the executor's slot map; its handle and its wakers share \
        the allocation by an atomic count";
    type Handle = Unwrapped<compio::runtime::JoinHandle<()>>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let mut proactor = ProactorBuilder::new();
        proactor.driver_type(if IO_URING { DriverType::IoUring } else { DriverType::Poll });
        RuntimeBuilder::new().with_proactor(proactor).build().expect("a runtime").block_on(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        Unwrapped(compio::runtime::spawn(future))
    }

    fn yield_now() -> impl Future<Output = ()> {
        Yield(false)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        compio::time::sleep(duration)
    }
}

/// What the futures crate brings: no reactor and no timers.
pub(crate) struct Futures;

thread_local! {
    static POOL: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

impl Peer for Futures {
    const NAME: &'static str = "futures LocalPool";
    const HOLDS: &'static str = "a task is a node of a `FuturesUnordered` and a boxed future; its wakers share the node, and the \
        handle is the receiver of a channel for one value";
    const TIMERS: bool = false;
    type Handle = RemoteHandle<()>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let mut pool = LocalPool::new();
        POOL.set(Some(pool.spawner()));
        pool.run_until(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) -> Self::Handle {
        let handle = POOL.with_borrow(|spawner| spawner.as_ref().expect("a pool runs").spawn_local_with_handle(future));
        handle.expect("the pool is alive")
    }

    fn yield_now() -> impl Future<Output = ()> {
        Yield(false)
    }

    fn sleep(_: Duration) -> impl Future<Output = ()> + 'static {
        std::future::pending()
    }
}

/// A yield where the executor has none: it wakes itself.
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
