//! The probes, one round after the other.
//!
//! Each probe has a server of its own, so that none meets what another left. Each round measures every model once, in
//! an order that turns: a machine whose speed drifts favours nobody.

use std::io;
use std::time::Duration;

use indicatif::ProgressBar;
use pollywog_net::run;

use super::calls::{calls, has_strace};
use super::contenders::Contender;
use super::counters::{Counters, memory};
use super::machine::{Cores, Machine, stay_on};
use super::neighbour::{CROWD, PATIENCE, ask_beside};
use super::results::{Calls, Entry, Medians, Neighbour, Problem, Results, Round, Settings, Throughput};
use super::server::Server;
use super::{CONNECTIONS, IDLE, LINE, TRACED, load};
use crate::models::ANY;

/// What is asked before it counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// How it is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often everything is measured.
    pub rounds: usize,
    /// How long each measurement takes.
    pub duration: Duration,
    /// Who runs where.
    pub cores: Cores,
}

impl Plan {
    /// How many steps [`Plan::run`] takes with so many contenders.
    pub fn steps(&self, contenders: usize) -> u64 {
        let probes = 1 + CONNECTIONS.len() + Neighbour::ALL.len();
        (contenders * (self.rounds * probes + TRACED.len())) as u64
    }

    /// Measures all of them, and calls `report` with each problem when it is met. From here on this thread stays on
    /// the core of the load.
    ///
    /// # Errors
    ///
    /// When this thread cannot: whatever is wrong with a server is found in the results.
    pub fn run(
        &self,
        contenders: &[Contender],
        progress: &ProgressBar,
        mut report: impl FnMut(&str, &Problem),
    ) -> io::Result<Results> {
        let machine = Machine::this();
        stay_on(self.cores.load)?;
        let mut entries: Vec<_> = contenders.iter().map(entry).collect();
        let skipped = entries.iter().filter_map(|entry| Some((&entry.name, entry.problem.as_ref()?)));
        skipped.for_each(|(name, problem)| report(name, problem));
        let mut probe = |entry: &mut Entry, contender: &Contender, step: Step| {
            progress.set_message(format!("{}, {}", entry.name, step.name()));
            if entry.problem.is_none()
                && let Err(error) = self.step(entry, contender, step)
            {
                let problem = Problem::Failed(format!("{}: {error}", step.name()));
                report(&entry.name, &problem);
                entry.problem = Some(problem);
            }
            progress.inc(1);
        };
        for round in 0..self.rounds {
            for turn in 0..contenders.len() {
                let index = (round + turn) % contenders.len();
                entries[index].rounds.push(Round::default());
                for step in Step::of_a_round() {
                    probe(&mut entries[index], &contenders[index], step);
                }
            }
        }
        let can_count = has_strace();
        for (entry, contender) in entries.iter_mut().zip(contenders) {
            for connections in TRACED {
                if can_count {
                    probe(entry, contender, Step::Calls(connections));
                }
            }
        }
        for entry in entries.iter_mut().filter(|entry| entry.problem.is_none()) {
            entry.medians = Medians::of(&entry.rounds);
        }
        let no_calls = (!can_count).then(|| "there is no strace: install the package `strace`".to_owned());
        Ok(Results { machine, settings: self.settings(no_calls), models: entries })
    }

    fn settings(&self, no_calls: Option<String>) -> Settings {
        Settings {
            rounds: self.rounds,
            seconds: self.duration.as_secs_f64(),
            line_bytes: LINE,
            crowd: CROWD,
            patience: PATIENCE.as_secs_f64(),
            optimized: !cfg!(debug_assertions),
            two_cores: self.cores.are_two(),
            no_calls,
        }
    }

    /// One measurement, where the model can; the round that it belongs to is the last.
    fn step(&self, entry: &mut Entry, contender: &Contender, step: Step) -> io::Result<()> {
        let Ok(words) = &contender.command else { return Ok(()) };
        if let Step::Calls(count) = step {
            if let Some(count) = within_reach(count, contender.clients) {
                entry.calls.insert(count, calls(words, self.cores.server, count)?);
            }
            return Ok(());
        }
        let Some(round) = entry.rounds.last_mut() else { return Ok(()) };
        let mut server = Server::start(words, self.cores.server)?;
        let measured = match step {
            Step::Throughput(count) => within_reach(count, contender.clients)
                .map_or(Ok(()), |count| throughput(&server, count, self.duration, round)),
            Step::Latency(who) => latency(&server, who, self.duration, round),
            Step::Memory => idle(&server, contender.clients, round),
            Step::Calls(_) => Ok(()),
        };
        measured.map_err(|error| server.explain(error))
    }
}

/// How many connections a model that serves `most` is asked over where others are over `count`: fewer if need be, but
/// only where that is not what it was asked over before.
fn within_reach(count: usize, most: usize) -> Option<usize> {
    let smaller = CONNECTIONS.into_iter().filter(|other| *other < count).max().unwrap_or(0);
    Some(count.min(most)).filter(|count| *count > smaller)
}

fn entry(contender: &Contender) -> Entry {
    Entry {
        name: contender.name.clone(),
        language: contender.language,
        clients: (contender.clients != ANY).then_some(contender.clients),
        problem: contender.command.as_ref().err().map(|reason| Problem::Skipped(reason.clone())),
        medians: Medians::default(),
        calls: std::collections::BTreeMap::<usize, Calls>::new(),
        rounds: Vec::new(),
    }
}

/// One measurement of one model.
#[derive(Clone, Copy, Debug)]
enum Step {
    Memory,
    Throughput(usize),
    Latency(Neighbour),
    Calls(usize),
}

impl Step {
    fn of_a_round() -> impl Iterator<Item = Self> {
        let throughput = CONNECTIONS.into_iter().map(Self::Throughput);
        [Self::Memory].into_iter().chain(throughput).chain(Neighbour::ALL.into_iter().map(Self::Latency))
    }

    fn name(self) -> String {
        match self {
            Self::Memory => "idle connections".to_owned(),
            Self::Throughput(1) => "1 connection".to_owned(),
            Self::Throughput(count) => format!("{count} connections"),
            Self::Latency(who) => format!("a client {}", who.words()),
            Self::Calls(1) => "1 connection under strace".to_owned(),
            Self::Calls(count) => format!("{count} connections under strace"),
        }
    }
}

fn throughput(server: &Server, count: usize, duration: Duration, round: &mut Round) -> io::Result<()> {
    run(async {
        let mut clients = Vec::new();
        load::connect(server.addr(), &mut clients, count).await?;
        load::ask(&mut clients, WARM_UP.min(duration)).await?;
        let before = Counters::of(server.group())?;
        let (requests, took) = load::ask(&mut clients, duration).await?;
        let used = Counters::of(server.group())?.since(&before);
        let throughput = Throughput {
            requests,
            seconds: took.as_secs_f64(),
            cpu_seconds: used.nanoseconds as f64 / 1e9,
            voluntary: used.voluntary,
            involuntary: used.involuntary,
        };
        round.throughput.insert(count, throughput);
        Ok(())
    })?
}

fn latency(server: &Server, who: Neighbour, duration: Duration, round: &mut Round) -> io::Result<()> {
    round.latency.insert(who, ask_beside(server.addr(), who, duration)?);
    Ok(())
}

/// Memory without a connection and with idle ones, each of which was answered once.
fn idle(server: &Server, most: usize, round: &mut Round) -> io::Result<()> {
    run(async {
        let mut clients = Vec::new();
        // What is done for the first connection and never again is none of the connections'.
        load::connect(server.addr(), &mut clients, 1).await?;
        clients.clear();
        load::connect(server.addr(), &mut clients, 1).await?;
        clients.clear();
        round.memory.insert(0, memory(server.group())?);
        for count in IDLE.into_iter().filter(|count| *count <= most) {
            let more = count - clients.len();
            load::connect(server.addr(), &mut clients, more).await?;
            round.memory.insert(count, memory(server.group())?);
        }
        Ok(())
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_asked_over_as_many_connections_as_it_can() {
        let over = |most| CONNECTIONS.map(|count| within_reach(count, most));
        assert_eq!(over(ANY), [Some(1), Some(50), Some(1_000)]);
        assert_eq!(over(1), [Some(1), None, None]);
        assert_eq!(over(8), [Some(1), Some(8), None]);
        assert_eq!(over(500), [Some(1), Some(50), Some(500)]);
    }
}
