//! Does so many operations of our executor, for a tool that counts instructions (`tests/budget`).
//!
//! `cargo run --release -p pollywog-bench --bin operations -- spawn_join 100000`

use std::process::ExitCode;

use pollywog_bench::tasks::{Pollywog, run, timers, work};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (operation, count) = match &arguments[..] {
        [operation, count] => (operation.as_str(), count.parse().unwrap_or(0)),
        _ => ("", 0),
    };
    match operation {
        "spawn_join" => run::<Pollywog>(work::spawn_join::<Pollywog>(100, count / 100)),
        "yield" => run::<Pollywog>(work::yields::<Pollywog>(100, count / 100)),
        "ping_pong" => run::<Pollywog>(work::ping_pong::<Pollywog>(count)),
        "wake" => run::<Pollywog>(work::wakes::<Pollywog>(100, count / 100)),
        "timer" => run::<Pollywog>(timers::set_and_drop::<Pollywog>(100, count)),
        _ => {
            eprintln!("usage: operations spawn_join|yield|ping_pong|wake|timer COUNT");
            return ExitCode::FAILURE;
        }
    };
    ExitCode::SUCCESS
}
