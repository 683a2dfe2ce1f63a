//! The tables: what was measured, in figures.

use super::results::{Entry, Latency, Neighbour, Problem, Results};
use super::table::Table;
use super::words::{kibibytes, number, thousands, time, wrapped};
use super::{CONNECTIONS, IDLE, TRACED};

/// What there is no figure for.
const NOTHING: &str = "—";

/// For people at a terminal.
pub fn terminal(results: &Results) -> String {
    let mut text = format!("{}\n\n", wrapped(&conditions(results)));
    text += &tables(results).iter().map(Table::terminal).collect::<Vec<_>>().join("\n");
    with_problems(text, results)
}

/// For a page.
pub fn markdown(results: &Results) -> String {
    let mut text = format!("{}\n\n", conditions(results));
    text += &tables(results).iter().map(Table::markdown).collect::<Vec<_>>().join("\n");
    with_problems(text, results)
}

/// On what it was measured, and how.
fn conditions(results: &Results) -> String {
    let (machine, settings) = (&results.machine, &results.settings);
    let cores = if settings.two_cores {
        "one for the server and one for those who ask"
    } else {
        "the same one for the server and for those who ask: the figures are worth little"
    };
    let python = machine.python.as_ref().map_or(String::new(), |python| format!(", {python}"));
    let (rounds, seconds) = (settings.rounds, settings.seconds);
    let rounds = if rounds == 1 { "One round".to_owned() } else { format!("Medians of {rounds} rounds") };
    let slow = if settings.optimized { "" } else { " Not optimized: the figures are worth little." };
    format!(
        "{processor}, {count} cores, {cores}; {kernel}, {rust}{python}. {rounds} of {seconds} s for each figure, lines of \
         {bytes} bytes.{slow}",
        processor = machine.processor,
        count = machine.cores,
        kernel = machine.kernel,
        rust = machine.rust.split(" (").next().unwrap_or_default(),
        bytes = settings.line_bytes,
    )
}

fn tables(results: &Results) -> [Table; 4] {
    let measured: Vec<_> = results.models.iter().filter(|entry| entry.problem.is_none()).collect();
    [throughput(&measured), latency(&measured), costs(&measured), calls(&measured)]
}

fn throughput(entries: &[&Entry]) -> Table {
    let over = |count: &usize| format!("over {}", thousands(*count as u64));
    let row = |entry: &Entry| {
        let figures = &entry.medians.requests_per_second;
        CONNECTIONS
            .map(|count| fewer(count, entry.over(figures, count), |value| thousands(value.round() as u64)))
            .to_vec()
    };
    Table {
        title: "Requests per second, by the number of connections that ask at once.".to_owned(),
        words: 1,
        head: head(CONNECTIONS.iter().map(over)),
        rows: rows(entries, row),
    }
}

fn latency(entries: &[&Entry]) -> Table {
    let row = |entry: &Entry| Neighbour::ALL.map(|who| answers(entry.medians.latency.get(&who))).to_vec();
    Table {
        title: "Time to an answer for one client, alone and beside slow ones: half of the answers came within the \
                first figure, 99 of 100 within the second."
            .to_owned(),
        words: 1,
        head: head(Neighbour::ALL.iter().map(|who| who.title().to_owned())),
        rows: rows(entries, row),
    }
}

fn costs(entries: &[&Entry]) -> Table {
    let [few, many] = IDLE;
    let [one, some] = TRACED;
    let middle = CONNECTIONS[1];
    let row = |entry: &Entry| {
        let medians = &entry.medians;
        let memory = |count| medians.bytes.get(&count).map_or(NOTHING.to_owned(), |bytes| kibibytes(*bytes));
        let calls = |count| fewer(count, entry.over(&entry.calls(), count), number);
        vec![
            memory(few),
            memory(many),
            fewer(middle, entry.over(&medians.cpu_us, middle), number),
            fewer(middle, entry.over(&medians.switches, middle), number),
            calls(one),
            calls(some),
        ]
    };
    let names = [
        format!("KiB each over {few}"),
        format!("KiB each over {}", thousands(many as u64)),
        format!("CPU µs over {middle}"),
        format!("switches over {middle}"),
        format!("calls over {one}"),
        format!("calls over {some}"),
    ];
    Table {
        title:
            "What it costs: memory for an idle connection, and processor time, context switches and system calls for \
                a request, by the number of connections."
                .to_owned(),
        words: 1,
        head: head(names),
        rows: rows(entries, row),
    }
}

fn calls(entries: &[&Entry]) -> Table {
    let [one, _] = TRACED;
    let row = |entry: &Entry| {
        let calls = entry.calls.get(&one).map(|calls| &calls.by_name);
        let named = calls.into_iter().flatten().map(|(name, count)| format!("{name} {}", number(*count)));
        let all = named.collect::<Vec<_>>().join(", ");
        vec![if all.is_empty() { NOTHING.to_owned() } else { all }]
    };
    Table {
        title: "The system calls of a request over one connection, by their names.".to_owned(),
        words: 2,
        head: head(["calls".to_owned()]),
        rows: rows(entries, row),
    }
}

fn head(columns: impl IntoIterator<Item = String>) -> Vec<String> {
    ["model".to_owned()].into_iter().chain(columns).collect()
}

fn rows(entries: &[&Entry], row: impl Fn(&Entry) -> Vec<String>) -> Vec<Vec<String>> {
    entries.iter().map(|entry| [entry.name.clone()].into_iter().chain(row(entry)).collect()).collect()
}

/// A figure, and over how many connections it is where those are fewer than the column says.
fn fewer(count: usize, figure: Option<(usize, f64)>, write: impl Fn(f64) -> String) -> String {
    match figure {
        Some((over, value)) if over == count => write(value),
        Some((over, value)) => format!("{} ({over})", write(value)),
        None => NOTHING.to_owned(),
    }
}

fn answers(latency: Option<&Latency>) -> String {
    match latency {
        None => NOTHING.to_owned(),
        Some(none) if none.answered == 0 => "never".to_owned(),
        Some(some) if some.unanswered > 0 => format!("{}, then never", time(some.p50_us)),
        Some(all) => format!("{}, {}", time(all.p50_us), time(all.p99_us)),
    }
}

fn with_problems(mut text: String, results: &Results) -> String {
    let patience = results.settings.patience;
    let never = results.models.iter().any(|entry| entry.medians.latency.values().any(|one| one.unanswered > 0));
    if never {
        text += &format!("\n'never' is not within {patience} s.\n");
    }
    if let Some(reason) = &results.settings.no_calls {
        text += &format!("\nSystem calls were not counted: {reason}.\n");
    }
    for entry in &results.models {
        match &entry.problem {
            Some(Problem::Skipped(reason)) => text += &format!("\nSkipped: {}: {reason}.\n", entry.name),
            Some(Problem::Failed(reason)) => text += &format!("\nFailed: {}: {reason}.\n", entry.name),
            None => {}
        }
    }
    text
}
