//! A single-threaded async executor, written to be read.
//!
//! A handle that user code holds (a [`Waker`](std::task::Waker), a [`JoinHandle`], an [`AbortHandle`]) is a number
//! that names a slot in a table owned by one thread. So wakers need no reference counts, handles are `Send` though
//! tasks are not, a stale handle finds nothing instead of something freed, and there is one `unsafe` block.
//!
//! ```
//! use std::{rc::Rc, time::Duration};
//! use pollywog_executor::{Executor, driver::ThreadDriver, spawn, time::sleep};
//!
//! let executor = Executor::new()?;
//! let greeting = executor.block_on(&mut ThreadDriver::new(), async {
//!     let name = Rc::new("tadpole"); // tasks need not be `Send`
//!     let task = spawn(async move {
//!         sleep(Duration::from_millis(1)).await;
//!         format!("hello, {name}")
//!     });
//!     task.await.expect("it does not panic")
//! });
//! assert_eq!(greeting, "hello, tadpole");
//! # Ok::<(), pollywog_executor::TooManyExecutors>(())
//! ```
//!
//! # The map
//!
//! Read in this order, and the executor is in your head:
//!
//! | file | what it holds |
//! |---|---|
//! | `key.rs`, `slots.rs` | ids, and the tables they index |
//! | `waker.rs` | an id as a waker; here or there |
//! | `stage.rs`, `task.rs` | a future, then its result, in one allocation |
//! | `tasks.rs` | the states of a task, and the ready queue |
//! | `executor.rs` | **the loop**, on one screen; a turn of it; `tick` |
//! | `core.rs`, `policy.rs` | what the loop works on; what it decides by the settings of `builder.rs` |
//! | `mailbox.rs` | what other threads may touch |
//! | `driver.rs`, `sim.rs` | the plug to whatever it sleeps on; a driver for simulations |
//! | `join.rs` | handles and errors |
//! | `deliver.rs` | tasks that hand their results over: to a set (`join_set.rs`), to another thread (`handle.rs`) |
//! | `scope.rs`, `cancel.rs` | children that cannot outlive their block; tokens that tell work to stop |
//! | `time/` | the timer table and the clock; `sleep`, `timeout`, `interval` |
//! | `budget.rs`, `yield_now.rs` | fairness |
//! | `blocking.rs`, `metrics.rs` | work on other threads; what was done so far |
//! | `context.rs`, `registry.rs` | which executor runs here; where the others are |
//! | `contain.rs`, `trace.rs`, `sync.rs` | panics; `tracing`; std or loom |
//!
//! The invariants 1 to 12 are stated in the modules that keep them, and cited by number elsewhere.
//!
//! # What to know
//!
//! - Tasks that still run when the future of `block_on` returns stay for the next `block_on`; dropping the executor
//!   drops them. A task that owns its own executor leaks both.
//! - [`Executor::block_on`] inside a task panics, since it would stop the thread's other tasks, and so does another
//!   crate's blocking call without a word. Await, [`spawn`], [`spawn_blocking`], or use a thread.
//! - Another executor inside a task (`futures::executor::block_on`) stops the thread for good where it waits for
//!   something of this one: a task, a timer, a [budget].
//! - What is joined with `join!` or `select!` is one task to the executor: it has one turn, and one [budget], between all
//!   its parts.
//! - A future is moved once, into its task's allocation; a debug build may copy a very large one through the stack.
//! - The memory of freed slots is kept for the next burst: 48 bytes for each task that was ever alive at once, and 44
//!   for each timer.
//! - `fork` without `exec` is not supported.

#![deny(unsafe_code)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("Pollywog's ids need 64-bit pointers");

#[cfg(feature = "blocking")]
mod blocking;
pub mod budget;
mod builder;
pub mod cancel;
mod contain;
mod context;
mod core;
mod deliver;
pub mod driver;
mod executor;
mod handle;
mod join;
mod join_set;
mod key;
mod mailbox;
mod metrics;
mod policy;
mod registry;
mod scope;
pub mod sim;
mod slots;
mod stage;
mod sync;
pub mod task;
mod tasks;
pub mod time;
mod trace;
#[allow(unsafe_code)]
mod waker;
mod yield_now;

#[cfg(feature = "blocking")]
pub use self::blocking::spawn_blocking;
pub use self::builder::{Builder, UnhandledPanic};
pub use self::executor::Executor;
pub use self::handle::{Handle, RemoteJoinHandle, TryCurrentError};
pub use self::join::{AbortHandle, JoinError, JoinHandle};
pub use self::join_set::JoinSet;
pub use self::metrics::Metrics;
pub use self::registry::TooManyExecutors;
pub use self::scope::{Scope, ScopedJoinHandle, scope, try_scope};
pub use self::task::spawn;
