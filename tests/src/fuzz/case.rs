//! One case: a connection, the tasks at its two ends, and the threads that they run on.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use pollywog_net::time::sleep;
use pollywog_net::{Handle, Runtime};

use super::connection::Connection;
use super::plan::{Tasks, connect};
use super::stats::{Counters, Happening, Stats};
use crate::net::Random;

/// Far more than any case takes.
const LIMIT: Duration = Duration::from_secs(20);

/// How many of the last steps of each lane a failure tells.
const TAIL: usize = 12;

/// A thread with a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of the two that live as long as the case.
    Home(usize),
    /// A thread that lives as long as what runs there.
    New,
}

/// What all lanes of a case share.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) connection: Arc<Connection>,
    pub(super) counters: Counters,
    homes: [Handle; 2],
    threads: Mutex<Vec<JoinHandle<()>>>,
    ports: [u16; 2],
    tails: Mutex<Vec<(String, VecDeque<String>)>>,
}

impl Case {
    /// Runs `future` on another thread.
    pub(super) fn run_at(&self, place: Place, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        match place {
            Place::Home(home) => drop(self.homes[home].spawn(future)),
            Place::New => {
                let thread = thread::spawn(move || pollywog_net::run(future).expect("there are descriptors"));
                self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            }
        }
    }

    /// The number of a new lane.
    pub(super) fn add_lane(&self, name: String) -> usize {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.push((name, VecDeque::new()));
        tails.len() - 1
    }

    /// Remembers what a lane did.
    pub(super) fn note(&self, lane: usize, what: String) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = &mut tails[lane].1;
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(what);
    }

    fn story(&self) -> String {
        let mut story = format!("{:#?}\n", self.connection);
        for (name, tail) in &*self.tails.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(story, "{name}:");
            for line in tail {
                let _ = writeln!(story, "    {line}");
            }
        }
        for end in 0..2 {
            let _ = writeln!(story, "the kernel on end {end}: {:?}", self.socket(end));
        }
        story
    }

    /// What the kernel has of an end: its state, how many bytes are not acknowledged, and how many can be read. `None`
    /// where it is closed.
    fn socket(&self, end: usize) -> Option<(u8, u64, u64)> {
        let sockets = fs::read_to_string("/proc/net/tcp").ok()?;
        let [local, remote] = [self.ports[end], self.ports[1 - end]].map(|port| format!(":{port:04X}"));
        sockets.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, from, to, state, queues, ..] = *fields else { return None };
            let is_ours = from.ends_with(&local) && to.ends_with(&remote);
            let (to_send, to_read) = queues.split_once(':').filter(|_| is_ours)?;
            let [to_send, to_read] = [to_send, to_read].map(|count| u64::from_str_radix(count, 16).ok());
            Some((u8::from_str_radix(state, 16).ok()?, to_send?, to_read?))
        })
    }

    /// Waits until the peer is gone and the kernel has not heard of it, nor of anything else: a reset that comes while
    /// the window is full can be taken for a forged one, and then `end` has nothing to wait for.
    pub(super) async fn vanished(&self, end: usize) {
        // Established, or waiting for the peer's end of it.
        const HALF_OPEN: [u8; 3] = [1, 4, 5];
        self.connection.reset_by_peer(end).await;
        loop {
            sleep(Duration::from_millis(200)).await;
            if self.socket(end).is_some_and(|(state, _, to_read)| HALF_OPEN.contains(&state) && to_read == 0) {
                self.counters.happened(Happening::Vanished);
                return;
            }
        }
    }
}

/// A thread that lives as long as the case.
struct Home {
    stop: oneshot::Sender<()>,
    /// Gives how often the budget of a poll was used up.
    thread: JoinHandle<u64>,
}

fn home(random: &mut Random) -> (Home, Handle) {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    let mut builder = Runtime::builder();
    if random.below(2) == 0 {
        builder = builder.seed(random.below(usize::MAX) as u64);
    }
    if random.below(4) == 0 {
        builder = builder.event_interval(1 + random.below(3) as u32);
    }
    let thread = thread::spawn(move || {
        let runtime = builder.build().expect("there are descriptors");
        ready.send(runtime.handle()).expect("somebody waits");
        // An error is the end as well.
        let _ = runtime.block_on(stopped);
        runtime.metrics().forced_yields
    });
    (Home { stop, thread }, is_ready.recv().expect("the thread starts"))
}

/// Runs what `seed` says. The order of events on several threads it does not say: the same seed can take another turn.
///
/// # Errors
///
/// What was wrong, and what each task did last.
pub fn case(seed: u64) -> Result<Stats, String> {
    let began = Instant::now();
    let mut random = Random::new(seed);
    let ends = connect(&mut random);
    let ports = ends.each_ref().map(|end| end.local_addr().expect("it is connected").port());
    let connection = Arc::new(Connection::new(&mut random));
    let ((first, first_handle), (second, second_handle)) = (home(&mut random), home(&mut random));
    let case = Arc::new(Case {
        connection: connection.clone(),
        counters: Counters::default(),
        homes: [first_handle, second_handle],
        threads: Mutex::default(),
        ports,
        tails: Mutex::default(),
    });
    let (sender, results) = mpsc::channel();
    let mut tasks = Tasks { case: &case, random: &mut random, sender, launches: Vec::new() };
    for (end, stream) in ends.into_iter().enumerate() {
        tasks.plan(end, stream);
    }
    let launches = std::mem::take(&mut tasks.launches);
    let count = launches.len();
    launches.into_iter().for_each(|launch| launch());
    drop(tasks);
    for _ in 0..count {
        let result = match results.recv_timeout(LIMIT.saturating_sub(began.elapsed())) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(format!("it hangs for {LIMIT:?}")),
            Err(RecvTimeoutError::Disconnected) => Err("a task is lost".to_owned()),
        };
        // The threads are left as they are.
        result.map_err(|error| format!("{error}\n{}", case.story()))?;
    }
    for home in [first, second] {
        // It waits for this and for nothing else.
        let _ = home.stop.send(());
        let forced_yields = home.thread.join().map_err(|_| "a runtime panicked".to_owned())?;
        case.counters.happened_often(Happening::UsedTheBudgetUp, forced_yields);
    }
    // A thread may start others.
    let another = || case.threads.lock().unwrap_or_else(PoisonError::into_inner).pop();
    while let Some(thread) = another() {
        thread.join().map_err(|_| "a runtime panicked".to_owned())?;
    }
    Ok(case.counters.stats(began.elapsed()))
}
