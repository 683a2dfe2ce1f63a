//! The charts: what was measured, at a glance.

use plotters::style::RGBColor;

use super::contenders::Language;
use super::panels::{Chart, Mark, Panel, Scale};
use super::results::{Entry, Latency, Neighbour, Results};
use super::svg::{FIRST, FOURTH, SECOND, THIRD};
use super::words::{kibibytes, number, thousands, time};
use super::{CONNECTIONS, IDLE, TRACED};

/// The server of this workspace among the models.
const OURS: &str = "echo";

/// The drawings, each with the name of its file.
///
/// # Errors
///
/// When they cannot be drawn.
pub fn charts(results: &Results) -> Result<Vec<(&'static str, String)>, Box<dyn std::error::Error>> {
    let entries: Vec<_> = results.models.iter().filter(|entry| entry.problem.is_none()).collect();
    let mut drawn = Vec::new();
    let all = [
        ("throughput.svg", throughput(&entries)),
        ("latency.svg", latency(&entries, results.settings.patience)),
        ("memory.svg", memory(&entries)),
        ("costs.svg", costs(&entries)),
    ];
    for (name, chart) in all {
        drawn.push((name, chart.svg()?));
    }
    Ok(drawn)
}

fn throughput(entries: &[&Entry]) -> Chart {
    let panels = CONNECTIONS.map(|count| {
        let value = |entry: &Entry| entry.over(&entry.medians.requests_per_second, count);
        let most = entries.iter().filter_map(|entry| value(entry)).map(|(_, value)| value).fold(1.0, f64::max);
        let mark = |entry: &&Entry| match value(entry) {
            Some((over, value)) => Mark::Bar(value, fewer(count, over, thousands(value.round() as u64))),
            None => Mark::Nothing(serves(entry)),
        };
        let step = round_step(most);
        let ticks = (0..=2).map(|index| step * f64::from(index)).filter(|tick| *tick <= most);
        Panel {
            title: connections(count),
            unit: "requests per second".to_owned(),
            scale: Scale::Linear(most),
            margin: 56,
            ticks: ticks.map(|tick| (tick, short(tick))).collect(),
            marks: entries.iter().map(mark).collect(),
        }
    });
    chart("Requests per second of every server model", entries, panels.into())
}

fn latency(entries: &[&Entry], patience: f64) -> Chart {
    let scale = Scale::Logarithmic(10.0, patience * 1e6);
    let panels = Neighbour::ALL.map(|who| Panel {
        title: who.title().to_owned(),
        unit: "half to 99 of 100".to_owned(),
        scale,
        margin: 6,
        ticks: [100.0, 10_000.0, 1e6].map(|tick| (tick, time_of(tick))).into(),
        marks: entries.iter().map(|entry| waited(entry.medians.latency.get(&who))).collect(),
    });
    chart("How long one client waits for an answer, beside slow ones", entries, panels.into())
}

fn waited(latency: Option<&Latency>) -> Mark {
    match latency {
        None => Mark::Nothing(String::new()),
        Some(some) if some.unanswered > 0 => Mark::Never("never answered".to_owned()),
        Some(all) => Mark::Range(all.p50_us, all.p99_us),
    }
}

fn memory(entries: &[&Entry]) -> Chart {
    let value = |entry: &Entry, count| entry.medians.bytes.get(&count).map(|bytes| bytes / 1_024.0);
    let all: Vec<_> = entries.iter().flat_map(|entry| IDLE.map(|count| value(entry, count))).flatten().collect();
    let (scale, ticks) = decades(&all);
    let panels = IDLE.map(|count| {
        let mark = |entry: &&Entry| match value(entry, count) {
            Some(value) => Mark::Dot(value, kibibytes(value * 1_024.0)),
            None => Mark::Nothing(serves(entry)),
        };
        Panel {
            title: connections(count),
            unit: "KiB for each of them, idle".to_owned(),
            scale,
            margin: 46,
            ticks: ticks.clone(),
            marks: entries.iter().map(mark).collect(),
        }
    });
    chart("Memory for an idle connection", entries, panels.into())
}

fn costs(entries: &[&Entry]) -> Chart {
    let panel = |title: String, unit: &str, count: usize, value: &dyn Fn(&Entry) -> Option<(usize, f64)>| {
        let all: Vec<_> = entries.iter().filter_map(|entry| value(entry)).map(|(_, value)| value).collect();
        let (scale, ticks) = decades(&all);
        let mark = |entry: &&Entry| match value(entry) {
            Some((over, value)) => Mark::Dot(value, fewer(count, over, number(value))),
            None => Mark::Nothing(String::new()),
        };
        Panel { title, unit: unit.to_owned(), scale, margin: 56, ticks, marks: entries.iter().map(mark).collect() }
    };
    let [one, fifty] = TRACED;
    let calls = |count: usize| move |entry: &Entry| entry.over(&entry.calls(), count);
    let switches = |entry: &Entry| entry.over(&entry.medians.switches, fifty);
    let panels = vec![
        panel("context switches".to_owned(), "a request, over 50", fifty, &switches),
        panel("system calls".to_owned(), "a request, over 1", one, &calls(one)),
        panel("system calls".to_owned(), "a request, over 50", fifty, &calls(fifty)),
    ];
    chart("Context switches and system calls for a request", entries, panels)
}

fn chart(title: &str, entries: &[&Entry], panels: Vec<Panel>) -> Chart {
    let legend = [("Rust", FIRST), ("Pollywog", SECOND), ("Python", THIRD), ("given", FOURTH)];
    let rows: Vec<_> = entries.iter().map(|entry| (entry.name.clone(), color(entry))).collect();
    let is_there = |(_, color): &(&str, RGBColor)| rows.iter().any(|(_, other)| other == color);
    Chart {
        title: title.to_owned(),
        description: describe(entries, &panels),
        legend: legend.into_iter().filter(is_there).collect(),
        rows,
        panels,
    }
}

fn color(entry: &Entry) -> RGBColor {
    match entry.language {
        Language::Rust if entry.name == OURS => SECOND,
        Language::Rust => FIRST,
        Language::Python => THIRD,
        Language::Other => FOURTH,
    }
}

/// All that the marks show, in words.
fn describe(entries: &[&Entry], panels: &[Panel]) -> String {
    let panel = |panel: &Panel| {
        let rows = entries.iter().zip(&panel.marks).filter_map(|(entry, mark)| {
            let words = match mark {
                Mark::Bar(_, label) | Mark::Dot(_, label) => label.clone(),
                Mark::Range(half, most) => format!("{} to {}", time(*half), time(*most)),
                Mark::Nothing(words) | Mark::Never(words) => words.clone(),
            };
            (!words.is_empty()).then(|| format!("{} {words}", entry.name))
        });
        format!("{}, {}: {}.", panel.title, panel.unit, rows.collect::<Vec<_>>().join("; "))
    };
    panels.iter().map(panel).collect::<Vec<_>>().join(" ")
}

fn connections(count: usize) -> String {
    match count {
        1 => "1 connection".to_owned(),
        more => format!("{} connections", thousands(more as u64)),
    }
}

/// Why a model is not measured over more connections.
fn serves(entry: &Entry) -> String {
    entry.clients.map_or(String::new(), |most| format!("serves {most}"))
}

fn fewer(count: usize, over: usize, label: String) -> String {
    if over == count { label } else { format!("{label} ({over})") }
}

/// A step of 1, 2 or 5 and zeros, of which about two fit below `most`.
fn round_step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 2.0).log10().floor());
    let times = [5.0, 2.0, 1.0].into_iter().find(|times| times * power * 2.0 <= most).unwrap_or(1.0);
    times * power
}

/// `50 k`.
fn short(value: f64) -> String {
    if value < 1_000.0 { number(value) } else { format!("{} k", value / 1_000.0) }
}

fn time_of(microseconds: f64) -> String {
    match microseconds {
        few if few < 1e3 => format!("{few} µs"),
        some if some < 1e6 => format!("{} ms", some / 1e3),
        many => format!("{} s", many / 1e6),
    }
}

/// From the power of ten below the least of `values` to that above the greatest, and at most four of those between.
fn decades(values: &[f64]) -> (Scale, Vec<(f64, String)>) {
    let positive = values.iter().copied().filter(|value| *value > 0.0);
    let (least, most) = positive.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    let (least, most) = if least > most { (1.0, 1.0) } else { (least.max(0.01), most) };
    let (from, to) = (least.log10().floor() as i32, (most.log10().ceil() as i32).max(least.log10().floor() as i32 + 1));
    let every = usize::try_from((to - from) / 4 + 1).unwrap_or(1);
    let ticks = (from..=to).step_by(every).map(|power| 10_f64.powi(power));
    let label = |tick: f64| if tick < 1.0 { tick.to_string() } else { thousands(tick as u64) };
    (Scale::Logarithmic(10_f64.powi(from), 10_f64.powi(to)), ticks.map(|tick| (tick, label(tick))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!([140_000.0, 33_000.0, 90.0].map(round_step), [50_000.0, 10_000.0, 20.0]);
        let (scale, ticks) = decades(&[0.0, 0.3, 250.0]);
        assert!(matches!(scale, Scale::Logarithmic(least, most) if (least, most) == (0.1, 1_000.0)));
        let labels: Vec<_> = ticks.into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.1", "10", "1,000"]);
    }
}
