//! Starting the threads.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use futures::channel::oneshot;
use pollywog_executor::Handle;
use pollywog_executor::driver::MAX_EXECUTORS;

use super::{Core, PerCore};
use crate::runtime::{self, Runtime};

/// Makes a [`PerCore`] with other settings.
///
/// # Examples
///
/// ```
/// use pollywog_net::{Runtime, per_core::PerCore};
///
/// let cores = PerCore::builder().cores(2).runtime(Runtime::builder().event_interval(32)).build()?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    cores: Option<usize>,
    runtime: runtime::Builder,
    /// Pins the thread that calls it, by the number of its core.
    pin: Option<fn(usize) -> io::Result<()>>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { cores: None, runtime: Runtime::builder(), pin: None }
    }

    /// How many threads (one for each processor that this process may use).
    ///
    /// # Examples
    ///
    /// See [`Builder`].
    pub fn cores(mut self, count: usize) -> Self {
        self.cores = Some(count);
        self
    }

    /// The settings of each runtime.
    ///
    /// # Examples
    ///
    /// See [`Builder`].
    pub fn runtime(mut self, settings: runtime::Builder) -> Self {
        self.runtime = settings;
        self
    }

    /// Whether each thread stays on one processor (it does not): the first thread on the first of those that the thread
    /// which calls [`build`](Self::build) may use, and so on, from the first again where there are more threads. It needs
    /// the feature `rustix`; `build` fails with [`Unsupported`](io::ErrorKind::Unsupported) but on Linux, Android, FreeBSD
    /// and DragonFly.
    ///
    /// It keeps caches warm where the machine is the server's alone. Where it shares the processors, a pinned thread
    /// waits for its own though another is idle.
    ///
    /// A thread that a pinned one starts is pinned like it, and so are threads of the blocking pool that
    /// [`spawn_blocking`](crate::spawn_blocking) or the look-up of a name starts there.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollywog_net::per_core::PerCore;
    ///
    /// let cores = PerCore::builder().cores(2).pin(true).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(feature = "rustix")]
    pub fn pin(mut self, pin: bool) -> Self {
        self.pin = pin.then_some(super::pin::to_processor);
        self
    }

    /// Starts the threads, named `pollywog-0` and so on, and waits until each has its runtime.
    ///
    /// # Errors
    ///
    /// When there are to be no cores, or more than 1,024; when the system refuses a thread, a descriptor (a runtime takes
    /// three) or the processor to pin a thread to. No thread is left then.
    ///
    /// # Examples
    ///
    /// See [`Builder`].
    pub fn build(self) -> io::Result<PerCore> {
        let count = match self.cores {
            Some(count) => count,
            None => thread::available_parallelism()?.get(),
        };
        let wrong = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if count == 0 {
            return wrong("0 cores run nothing: ask for one at least".to_owned());
        }
        if count > MAX_EXECUTORS {
            return wrong(format!("{count} cores are too many: a process can have {MAX_EXECUTORS} runtimes"));
        }
        let mut cores = Vec::with_capacity(count);
        match self.start_all(count, &mut cores) {
            Ok(handles) => Ok(PerCore { cores, handles }),
            Err(error) => {
                // All are told before one is waited for. A panic of one has been the error already.
                let threads: Vec<_> = cores.into_iter().map(|core| core.thread).collect();
                threads.into_iter().for_each(|thread| drop(thread.join()));
                Err(error)
            }
        }
    }

    fn start_all(self, count: usize, cores: &mut Vec<Core>) -> io::Result<Vec<Handle>> {
        let explain = |index, error: io::Error| io::Error::new(error.kind(), format!("core {index}: {error}"));
        let mut starts = Vec::with_capacity(count);
        for index in 0..count {
            let (core, start) = self.start(index).map_err(|error| explain(index, error))?;
            cores.push(core);
            starts.push(start);
        }
        let started =
            |start: Receiver<_>| start.recv().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
        starts
            .into_iter()
            .map(started)
            .enumerate()
            .map(|(index, result)| result.map_err(|error| explain(index, error)))
            .collect()
    }

    /// Starts one thread, and gives what will tell how that went.
    fn start(&self, index: usize) -> io::Result<(Core, Receiver<io::Result<Handle>>)> {
        let settings = self.clone();
        let ((started, start), (stop, stopped), (ending, ended)) = (channel(), oneshot::channel(), oneshot::channel());
        let thread = thread::Builder::new().name(format!("pollywog-{index}"));
        let thread = thread.spawn(move || settings.run(index, started, stopped, ending))?;
        Ok((Core { accepted: Arc::default(), stop, ended, thread }, start))
    }

    /// What a thread does.
    fn run(
        self,
        index: usize,
        started: Sender<io::Result<Handle>>,
        stopped: oneshot::Receiver<()>,
        ending: oneshot::Sender<()>,
    ) {
        // Dropped after the runtime, also where that unwinds.
        let _ending = ending;
        let pinned = self.pin.map_or(Ok(()), |pin| pin(index));
        match pinned.and_then(|()| self.runtime.build()) {
            Err(error) => drop(started.send(Err(error))),
            Ok(runtime) => {
                let _ = started.send(Ok(runtime.handle()));
                // It ends with an error: `PerCore` has dropped its side.
                let _ = runtime.block_on(stopped);
            }
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, runtime, pin } = self;
        f.debug_struct("Builder").field("cores", cores).field("runtime", runtime).field("pin", &pin.is_some()).finish()
    }
}
