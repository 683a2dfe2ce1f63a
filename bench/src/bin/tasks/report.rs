//! What was measured, as tables for people and as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::rows::{COLUMNS, Row};

/// The samples of each executor.
type Samples = Vec<Vec<f64>>;
/// The samples for each size.
pub(crate) type Growth = Vec<(usize, Samples)>;

pub(crate) struct Report {
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<(&'static Row, Samples)>,
    pub(crate) growth: Vec<(&'static Row, Growth)>,
}

/// What the columns of memory count.
const ALIVE: &str = "bytes asked of the allocator and not given back once every task has been polled: the task, its \
    place in the executor's tables with what these hold in reserve, and for a sleeping task its timer; neither what \
    the allocator adds nor the handle's own bytes";

/// Why some cells are empty.
const ABSENT: &str = "No figure (–): futures' LocalPool has no timers. monoio puts a task that wakes itself at the front \
    of its queue, so a yield lets nobody run; without its feature `sync`, which is off by default, other threads must \
    not wake its tasks.";

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn head(first: &str) -> String {
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    format!("| {first} | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(COLUMNS.len()))
}

fn line(first: &str, samples: &Samples) -> String {
    let cells: Vec<_> = samples.iter().map(|one| median(one).map_or("–".to_owned(), thousands)).collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

impl Report {
    /// Tables in Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = head("");
        for (row, samples) in &self.rows {
            text += &line(&format!("{} ({})", row.name, row.unit), samples);
        }
        for (row, steps) in &self.growth {
            text += &format!("\n{} ({})\n\n{}", row.name, row.unit, head("how many"));
            for (size, samples) in steps {
                text += &line(&thousands(*size as f64), samples);
            }
        }
        let _ = write!(text, "\n{ABSENT}\n");
        let _ = write!(text, "\nAlive: {ALIVE}. The future of a trivial task is empty (0 bytes).\n");
        for column in COLUMNS {
            let _ = write!(text, "\n- {}: {}. A handle has {} bytes.", column.name, column.holds, column.handle);
        }
        text
    }

    /// Every sample of the rows, and the medians of the growth.
    pub(crate) fn json(&self) -> String {
        let rows = self.rows.iter().map(|(row, samples)| {
            let peers = peers(|column| (!samples[column].is_empty()).then(|| json!(samples[column])));
            json!({"row": row.name, "key": row.key, "group": row.group, "unit": row.unit, "peers": peers})
        });
        let growth = self.growth.iter().map(|(row, steps)| {
            let peers = peers(|column| {
                let medians = steps.iter().map(|(size, samples)| Some(json!([size, median(&samples[column])?])));
                medians.collect::<Option<Vec<_>>>().map(Value::from)
            });
            json!({"row": row.name, "key": row.key, "group": row.group, "unit": row.unit, "peers": peers})
        });
        let facts = COLUMNS.iter().map(|column| {
            json!({
                "peer": column.name,
                "future_bytes": 0,
                "handles": format!("{}; a handle has {} bytes", column.holds, column.handle),
                "alive": ALIVE,
            })
        });
        let facts: Vec<_> = facts.collect();
        let (rows, growth): (Vec<_>, Vec<_>) = (rows.collect(), growth.collect());
        json!({"rounds": self.rounds, "rows": rows, "facts": facts, "growth": growth, "absent": ABSENT}).to_string()
    }
}

/// By name what there is for each executor.
fn peers(of: impl Fn(usize) -> Option<Value>) -> Map<String, Value> {
    let named = COLUMNS.iter().enumerate().filter_map(|(number, column)| Some((column.name.to_owned(), of(number)?)));
    named.collect()
}
