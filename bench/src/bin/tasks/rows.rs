//! What is measured: the rows of the table, and how the cost of some grows.

use std::time::Duration;

use pollywog_bench::tasks::{Peer, Pollywog, alive, remote, run, timers, work};

use crate::peers::{Compio, Futures, Glommio, Monoio, Smol, Tokio};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Work {
    SpawnJoin,
    Yield,
    PingPong,
    Chain,
    Wake,
    RemoteLatency,
    RemoteBatch,
    Timer,
    Fire,
    Alive,
    AliveSleeping,
}

/// One row of the table.
pub(crate) struct Row {
    /// What the command line calls it.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) work: Work,
    /// How many tasks or timers.
    pub(crate) size: usize,
}

const fn row(
    key: &'static str,
    name: &'static str,
    group: &'static str,
    unit: &'static str,
    work: Work,
    size: usize,
) -> Row {
    Row { key, name, group, unit, work, size }
}

pub(crate) const ROWS: &[Row] = &[
    row("spawn-join", "spawn + join, 1,000 alive", "tasks", "ns", Work::SpawnJoin, 1_000),
    row("spawn-join-million", "spawn + join, 1,000,000 alive", "tasks", "ns", Work::SpawnJoin, 1_000_000),
    row("chain", "spawn + join, each by the one before, 1,000 deep", "tasks", "ns", Work::Chain, 1_000),
    row("yield", "yield, 1,000 tasks in turn", "tasks", "ns", Work::Yield, 1_000),
    row("ping-pong", "ping-pong of two tasks, a stroke", "wakes", "ns", Work::PingPong, 2),
    row("wake", "wake + poll, 1,000 tasks that wait", "wakes", "ns", Work::Wake, 1_000),
    row("remote-wake", "wake + poll from another thread, 1,000 tasks", "wakes", "ns", Work::RemoteBatch, 1_000),
    row(
        "remote-latency",
        "wake from another thread until a sleeping executor runs the task",
        "wakes",
        "ns",
        Work::RemoteLatency,
        500,
    ),
    row("timer", "timer set + dropped, alone", "timers", "ns", Work::Timer, 0),
    row("timer-among", "timer set + dropped, among 100,000", "timers", "ns", Work::Timer, 100_000),
    row(
        "fire",
        "100,000 tasks sleep, ending over a second: processor time of each",
        "timers",
        "ns",
        Work::Fire,
        100_000,
    ),
    row("alive", "alive for each trivial task", "memory", "bytes", Work::Alive, 100_000),
    row("alive-sleeping", "alive for each task that sleeps", "memory", "bytes", Work::AliveSleeping, 100_000),
];

/// How the cost of an operation grows with what is alive: measured for 1, 10, … 1,000,000.
pub(crate) const GROWTH: &[Row] = &[
    row("spawn-join", "spawn + join, that many alive", "tasks", "ns", Work::SpawnJoin, 0),
    row("wake", "wake + poll, that many tasks that wait", "tasks", "ns", Work::Wake, 0),
    row("timer", "timer set + dropped, among that many", "timers", "ns", Work::Timer, 0),
];

/// An executor: its name, what it can, what its handles take, and what measures it.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) holds: &'static str,
    pub(crate) handle: usize,
    timers: bool,
    remote: bool,
    yields: bool,
    pub(crate) measure: fn(Work, usize) -> f64,
}

impl Column {
    const fn of<P: Peer>() -> Column {
        Column {
            name: P::NAME,
            holds: P::HOLDS,
            handle: size_of::<P::Handle>(),
            timers: P::TIMERS,
            remote: P::REMOTE,
            yields: P::YIELDS,
            measure: measure::<P>,
        }
    }

    /// Whether there is something to measure.
    pub(crate) fn can(&self, work: Work) -> bool {
        match work {
            Work::Timer | Work::Fire | Work::AliveSleeping => self.timers,
            Work::RemoteLatency | Work::RemoteBatch => self.remote,
            Work::Yield => self.yields,
            _ => true,
        }
    }
}

pub(crate) const COLUMNS: &[Column] = &[
    Column::of::<Pollywog>(),
    Column::of::<Tokio>(),
    Column::of::<Smol>(),
    Column::of::<Monoio>(),
    Column::of::<Glommio>(),
    Column::of::<Compio<false>>(),
    Column::of::<Compio<true>>(),
    Column::of::<Futures>(),
];

/// How many operations a cell is made of, where their number does not decide about it, and how many nanoseconds it takes
/// at most, more or less: some executors are a hundred times slower than others in some row.
const OPERATIONS: usize = 200_000;
const LONGEST: f64 = 300e6;

/// Runs some work twice: first for a while, to warm up and to see how long it takes.
fn twice(size: usize, work: impl Fn(usize) -> f64) -> f64 {
    let most = OPERATIONS / size;
    if most < 2 {
        return work(1);
    }
    let each = work(most.div_ceil(100));
    work(((LONGEST / (each * size as f64)) as usize).clamp(1, most))
}

fn measure<P: Peer>(work: Work, size: usize) -> f64 {
    match work {
        Work::SpawnJoin => twice(size, |times| run::<P>(work::spawn_join::<P>(size, times))),
        Work::Yield => twice(size, |times| run::<P>(work::yields::<P>(size, times))),
        Work::PingPong => twice(size, |times| run::<P>(work::ping_pong::<P>(times * 2))),
        Work::Chain => twice(size, |times| run::<P>(work::chains::<P>(size, times))),
        Work::Wake => twice(size, |times| run::<P>(work::wakes::<P>(size, times))),
        Work::RemoteLatency => run::<P>(remote::latency(size)),
        Work::RemoteBatch => twice(size, |times| run::<P>(remote::batch::<P>(size, times))),
        Work::Timer => run::<P>(timers::set_and_drop::<P>(size, OPERATIONS)),
        Work::Fire => run::<P>(timers::fire::<P>(size as u32, Duration::from_secs(1))),
        Work::Alive => run::<P>(alive::trivial::<P>(size)),
        Work::AliveSleeping => run::<P>(alive::sleeping::<P>(size)),
    }
}
