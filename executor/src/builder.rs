//! The settings of an executor.

use std::fmt;
use std::sync::Arc;

use crate::executor::Executor;
use crate::registry::TooManyExecutors;

/// How many tasks run at most between two looks at the driver.
const EVENT_INTERVAL: u32 = 128;

/// What happens when a task panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnhandledPanic {
    /// Its handle gives a [`JoinError`](crate::JoinError), and everything else runs on. A panic that nobody looks at is
    /// reported through `tracing`.
    #[default]
    Ignore,
    /// Whether or not its handle is awaited (or it was a child of a [`scope`](crate::scope())), the executor shuts down at once: it drops every task, and `block_on` panics
    /// and says why. Later calls of it panic too.
    ShutdownRuntime,
}

/// Something to call from the loop.
pub(crate) type Hook = Option<Arc<dyn Fn() + Send + Sync>>;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) event_interval: u32,
    pub(crate) seed: Option<u64>,
    pub(crate) unhandled_panic: UnhandledPanic,
    pub(crate) on_park: Hook,
    pub(crate) on_unpark: Hook,
}

/// Makes an [`Executor`] with other settings.
///
/// # Examples
///
/// ```
/// use pollywog_executor::Executor;
///
/// let executor = Executor::builder().event_interval(32).build()?;
/// # Ok::<(), pollywog_executor::TooManyExecutors>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The default settings.
    pub fn new() -> Self {
        let settings = Settings {
            event_interval: EVENT_INTERVAL,
            seed: None,
            unhandled_panic: UnhandledPanic::Ignore,
            on_park: None,
            on_unpark: None,
        };
        Self { settings }
    }

    /// How many tasks run at most between two looks at the driver (128): fewer bound the wait of an event, more save
    /// system calls.
    ///
    /// # Panics
    ///
    /// When `tasks` is zero.
    pub fn event_interval(mut self, tasks: u32) -> Self {
        assert!(tasks > 0, "an event interval of zero tasks would run none");
        self.settings.event_interval = tasks;
        self
    }

    /// Has `seed` choose which of the ready tasks runs next, one between two looks at the driver: for tests that look
    /// for an order that fails, and then want it again. See [`SimDriver`](crate::sim::SimDriver).
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// What happens when a task panics ([`UnhandledPanic::Ignore`]).
    pub fn unhandled_panic(mut self, behavior: UnhandledPanic) -> Self {
        self.settings.unhandled_panic = behavior;
        self
    }

    /// Has `hook` called before the executor sleeps, or moves a paused clock. It may spawn and wake, and then the executor does not sleep.
    pub fn on_park(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.on_park = Some(Arc::new(hook));
        self
    }

    /// Has `hook` called after the executor slept.
    pub fn on_unpark(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.on_unpark = Some(Arc::new(hook));
        self
    }

    /// Makes the executor.
    ///
    /// # Errors
    ///
    /// When 1,024 executors are alive in this process.
    pub fn build(self) -> Result<Executor, TooManyExecutors> {
        Executor::with(self.settings)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { event_interval, seed, unhandled_panic, .. } = &self.settings;
        f.debug_struct("Builder")
            .field("event_interval", event_interval)
            .field("seed", seed)
            .field("unhandled_panic", unhandled_panic)
            .finish_non_exhaustive()
    }
}
