//! What was measured: as it was counted, and the medians that are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CONNECTIONS;
use super::contenders::Language;
use super::machine::Machine;

/// Everything that one run of `compare` found out.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// What it ran on.
    pub machine: Machine,
    /// How it was measured.
    pub settings: Settings,
    /// The models, in the order of the book.
    pub models: Vec<Entry>,
}

/// How it was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Settings {
    /// How often everything was measured.
    pub rounds: usize,
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Bytes of a line, with its end.
    pub line_bytes: usize,
    /// How many silent clients the crowd is.
    pub crowd: usize,
    /// Seconds after which an answer is none.
    pub patience: f64,
    /// Whether the servers were built to be fast.
    pub optimized: bool,
    /// Whether server and load had a core each.
    pub two_cores: bool,
    /// Why system calls were not counted, where they were not.
    pub no_calls: Option<String>,
}

/// One model.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// What it is called.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// How many clients it serves at once; none is as many as come.
    pub clients: Option<usize>,
    /// Why there are no figures, where there are none.
    pub problem: Option<Problem>,
    /// What the figures are, over all rounds.
    pub medians: Medians,
    /// The system calls of a request, by the number of connections.
    pub calls: BTreeMap<usize, Calls>,
    /// What was counted.
    pub rounds: Vec<Round>,
}

/// Why a model has no figures.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It cannot be run here, for this reason.
    Skipped(String),
    /// It was run, and this went wrong.
    Failed(String),
}

/// What was counted in one round.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Round {
    /// Bytes of memory, by the number of idle connections; 0 is before the first.
    pub memory: BTreeMap<usize, u64>,
    /// By the number of connections.
    pub throughput: BTreeMap<usize, Throughput>,
    /// By who is there besides.
    pub latency: BTreeMap<Neighbour, Latency>,
}

/// Connections that ask as fast as they are answered.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Throughput {
    /// Answers, each of them right.
    pub requests: u64,
    /// How long it took.
    pub seconds: f64,
    /// The processor time of the server.
    pub cpu_seconds: f64,
    /// How often it gave up the processor.
    pub voluntary: u64,
    /// How often the processor was taken from it.
    pub involuntary: u64,
}

/// Who is there besides the client that asks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbour {
    /// Nobody.
    Nobody,
    /// One that has sent half a line.
    Silent,
    /// More such than a pool has workers.
    Crowd,
    /// One that sends and never reads.
    Deaf,
}

impl Neighbour {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nobody, Self::Silent, Self::Crowd, Self::Deaf];
}

/// How long one client waited for its answers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Latency {
    /// How many it got in time.
    pub answered: u64,
    /// How many it did not: it gave up with the first.
    pub unanswered: u64,
    /// Microseconds within which half of them came,
    pub p50_us: f64,
    /// nine of ten,
    pub p90_us: f64,
    /// 99 of 100,
    pub p99_us: f64,
    /// and all.
    pub max_us: f64,
    /// Bytes that the server took of what a client has sent that never reads.
    pub taken_bytes: Option<usize>,
}

/// The system calls of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Calls {
    /// All of them.
    pub per_request: f64,
    /// Each of them.
    pub by_name: BTreeMap<String, f64>,
}

/// The figures of a model: medians over the rounds. By the number of connections, but for the latency.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Medians {
    /// Requests in a second.
    pub requests_per_second: BTreeMap<usize, f64>,
    /// Microseconds of the server's processor for a request.
    pub cpu_us: BTreeMap<usize, f64>,
    /// Context switches of the server for a request.
    pub switches: BTreeMap<usize, f64>,
    /// Bytes for an idle connection.
    pub bytes: BTreeMap<usize, f64>,
    /// By who is there besides. Unanswered is the sum of all rounds.
    pub latency: BTreeMap<Neighbour, Latency>,
}

impl Entry {
    /// The figure over `count` connections, or over fewer where the model serves no more, and over how many.
    pub(super) fn over(&self, figures: &BTreeMap<usize, f64>, count: usize) -> Option<(usize, f64)> {
        let over = count.min(self.clients.unwrap_or(count));
        let before = CONNECTIONS.into_iter().filter(|other| *other < count).max().unwrap_or(0);
        // Over one connection it stands in the column of one.
        (over > before).then_some(())?;
        figures.get(&over).map(|figure| (over, *figure))
    }

    /// System calls for a request, as the other figures are.
    pub(super) fn calls(&self) -> BTreeMap<usize, f64> {
        self.calls.iter().map(|(count, calls)| (*count, calls.per_request)).collect()
    }
}

impl Medians {
    /// Those of `rounds`.
    pub fn of(rounds: &[Round]) -> Self {
        let throughput = |figure: fn(&Throughput) -> f64| {
            by_key(rounds, |round| round.throughput.iter().map(|(count, one)| (*count, figure(one))).collect())
        };
        let bytes = |round: &Round| {
            let empty = round.memory.get(&0).copied().unwrap_or(0);
            let each = |(count, all): (&usize, &u64)| (*count, all.saturating_sub(empty) as f64 / *count as f64);
            round.memory.iter().filter(|(count, _)| **count > 0).map(each).collect()
        };
        Self {
            requests_per_second: throughput(|one| one.requests as f64 / one.seconds),
            cpu_us: throughput(|one| one.cpu_seconds * 1e6 / one.requests as f64),
            switches: throughput(|one| (one.voluntary + one.involuntary) as f64 / one.requests as f64),
            bytes: by_key(rounds, bytes),
            latency: Neighbour::ALL.iter().filter_map(|who| Some((*who, latency(rounds, *who)?))).collect(),
        }
    }
}

fn by_key(rounds: &[Round], of: impl Fn(&Round) -> Vec<(usize, f64)>) -> BTreeMap<usize, f64> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, value) in rounds.iter().flat_map(of) {
        all.entry(key).or_default().push(value);
    }
    all.into_iter().map(|(key, values)| (key, median(values))).collect()
}

/// Over the rounds in which there were answers, as for the percentiles.
fn latency(rounds: &[Round], who: Neighbour) -> Option<Latency> {
    let all: Vec<_> = rounds.iter().filter_map(|round| round.latency.get(&who).copied()).collect();
    let first = *all.first()?;
    let answered: Vec<_> = all.iter().filter(|one| one.answered > 0).collect();
    let of = |figure: fn(&Latency) -> f64| median(answered.iter().map(|one| figure(one)).collect());
    Some(Latency {
        answered: all.iter().map(|one| one.answered).sum(),
        unanswered: all.iter().map(|one| one.unanswered).sum(),
        p50_us: of(|one| one.p50_us),
        p90_us: of(|one| one.p90_us),
        p99_us: of(|one| one.p99_us),
        max_us: of(|one| one.max_us),
        taken_bytes: first.taken_bytes.map(|_| of_bytes(&all)),
    })
}

fn of_bytes(all: &[Latency]) -> usize {
    median(all.iter().filter_map(|one| one.taken_bytes).map(|bytes| bytes as f64).collect()) as usize
}

/// The one in the middle, or what is halfway between the two there. 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn medians_are_of_the_figures_and_not_of_the_counts() {
        let round = |requests, seconds, full| Round {
            memory: BTreeMap::from([(0, 1_000), (50, full)]),
            throughput: BTreeMap::from([(
                50,
                Throughput { requests, seconds, cpu_seconds: 0.5, voluntary: 3 * requests, involuntary: requests },
            )]),
            latency: BTreeMap::new(),
        };
        let medians = Medians::of(&[round(100, 1.0, 6_000), round(100, 2.0, 1_500), round(1_000, 1.0, 2_000)]);
        assert_eq!(medians.requests_per_second[&50], 100.0);
        assert_eq!(medians.cpu_us[&50], 5_000.0);
        assert_eq!(medians.switches[&50], 4.0);
        assert_eq!(medians.bytes[&50], 20.0);
    }
}
