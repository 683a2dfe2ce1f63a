//! Interleaved rounds: each measures every candidate once, in an order that turns, so that a noisy machine is noisy
//! for all of them. The median of the rounds is printed.

/// What measures one candidate once.
pub(crate) type Measure = Box<dyn FnMut() -> f64>;

const ROUNDS: usize = 15;

/// Whether this is only to see that everything works, as with `cargo test --benches`, and not to print figures:
/// `cargo bench` passes `--bench`, `cargo test` does not, and `--test` asks for it in any case.
pub(crate) fn is_smoke() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.iter().any(|argument| argument == "--test") || !arguments.iter().any(|argument| argument == "--bench")
}

/// Prints the line of names above the rows.
pub(crate) fn header(title: &str, names: &[&str]) {
    if is_smoke() {
        return;
    }
    println!("| {title:<62} | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(names.len()));
}

/// Measures and prints one row.
pub(crate) fn row(name: &str, measures: &mut [Measure]) {
    let mut samples = vec![Vec::new(); measures.len()];
    for round in 0..if is_smoke() { 1 } else { ROUNDS } {
        for place in 0..measures.len() {
            let candidate = (place + round) % measures.len();
            samples[candidate].push(measures[candidate]());
        }
    }
    let medians: Vec<_> = samples.iter_mut().map(|samples| format!("{:.1}", median(samples))).collect();
    match is_smoke() {
        true => println!("{name}: it runs"),
        false => println!("| {name:<62} | {} |", medians.join(" | ")),
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
