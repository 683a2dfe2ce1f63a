//! The two loops that a task can run on.

use std::future::Future;

use pollywog_executor::Executor;
use pollywog_executor::driver::ThreadDriver;
use pollywog_net::{Runtime, TcpListener};

pub(crate) trait Loop {
    fn new() -> Self;
    fn block_on<F: Future>(&mut self, future: F) -> F::Output;
}

/// An executor on a bare thread.
pub(crate) struct Thread {
    executor: Executor,
    driver: ThreadDriver,
}

impl Loop for Thread {
    fn new() -> Self {
        Self { executor: Executor::new().expect("an executor"), driver: ThreadDriver::new() }
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.executor.block_on(&mut self.driver, future)
    }
}

/// An executor on the reactor, with one source registered: a look at the driver is a system call.
pub(crate) struct Reactor {
    runtime: Runtime,
}

impl Loop for Reactor {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            pollywog_net::spawn(async move { listener.accept().await });
            // The task polls it, nobody is there, and that registers it.
            pollywog_net::task::yield_now().await;
        });
        Self { runtime }
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
