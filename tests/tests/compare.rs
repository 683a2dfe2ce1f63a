//! `compare`: it measures what it says, survives what it measures, and leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pollywog_tests::folder::Folder;
use pollywog_tests::program::{LIMIT, Signal, path};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// One short round.
const SHORT: [&str; 4] = ["--rounds", "1", "--seconds", "0.05"];
/// In the environment of `compare` and of all that it starts.
const MARK: &str = "POLLYWOG_COMPARED_BY";

/// A run of `compare`, whose processes are told from all others.
fn compare(mark: &str, arguments: &[&str]) -> Command {
    // Built before, so that the run itself is short.
    path("iterative");
    path("echo");
    let mut command = Command::new(path("compare"));
    command.args(arguments).env(MARK, mark).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Fails unless all that a run has started is gone, or goes now.
#[track_caller]
fn nothing_is_left(mark: &str) {
    let start = Instant::now();
    loop {
        let left = left(mark);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < LIMIT, "still there: {left:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn left(mark: &str) -> Vec<String> {
    let marked = format!("{MARK}={mark}");
    let is_marked = |process: &PathBuf| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == marked.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(is_marked);
    processes.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The tags of an XML text without comments and declarations, each with its attributes. Fails where it is not well-formed.
#[track_caller]
fn tags(xml: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for (number, piece) in xml.split('<').enumerate() {
        let Some((tag, words)) = piece.split_once('>') else {
            assert_eq!((number, piece), (0, ""), "a tag without an end");
            continue;
        };
        for entity in words.split('&').skip(1).chain(tag.split('&').skip(1)) {
            let known = ["amp;", "lt;", "gt;", "quot;", "apos;"];
            assert!(known.iter().any(|known| entity.starts_with(known)), "&{entity} is no entity");
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split(' ').next().unwrap().trim_end_matches('/');
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "</{name}>"),
            None if tag.ends_with('/') => all.push(tag.to_owned()),
            None => {
                open.push(name);
                all.push(tag.to_owned());
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "never closed");
    all
}

/// How many of `tags` are such shapes in a colour of the series.
fn colored(tags: &[String], shape: &str) -> usize {
    let is_such = |tag: &&String| tag.starts_with(shape) && tag.contains("fill=\"var(--c");
    tags.iter().filter(is_such).count()
}

#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(number > 0.0 && number.is_finite(), "{number}");
    number
}

#[test]
fn every_figure_of_two_models_is_there_and_fits_the_others() {
    let out = Folder::new();
    let arguments = [&["--only", "echo,iterative", "--out", out.path().to_str().unwrap()][..], &SHORT].concat();
    let run = compare("figures", &arguments).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    nothing_is_left("figures");

    let json = fs::read_to_string(out.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&json).unwrap();
    for field in ["processor", "kernel", "rust"] {
        assert_ne!(results["machine"][field].as_str().unwrap(), "", "{field}");
    }
    assert_eq!(results["settings"]["rounds"], 1);
    let models = results["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["iterative", "echo"]);
    for (model, connections) in models.iter().zip([&["1"][..], &["1", "50", "1000"]]) {
        let (round, medians) = (&model["rounds"][0], &model["medians"]);
        let measured: Vec<_> = round["throughput"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(measured), connections.iter().copied().collect());
        for count in connections {
            let counted = &round["throughput"][count];
            let (requests, seconds) = (positive(&counted["requests"]), positive(&counted["seconds"]));
            assert!((0.05..30.0).contains(&seconds), "{seconds}");
            let rate = medians["requests_per_second"][count].as_f64().unwrap();
            assert!((rate / (requests / seconds) - 1.0).abs() < 1e-9, "{rate}");
            let cpu = positive(&medians["cpu_us"][count]);
            assert!((cpu / (positive(&counted["cpu_seconds"]) * 1e6 / requests) - 1.0).abs() < 1e-9, "{cpu}");
            // The server has one core.
            assert!(positive(&counted["cpu_seconds"]) < 1.5 * seconds + 0.5, "{counted}");
            let switches = counted["voluntary"].as_f64().unwrap() + counted["involuntary"].as_f64().unwrap();
            let for_each = medians["switches"][count].as_f64().unwrap();
            assert!((for_each - switches / requests).abs() < 1e-9, "{for_each}");
        }
        let alone = &medians["latency"]["nobody"];
        let [half, most, all] = ["p50_us", "p99_us", "max_us"].map(|figure| positive(&alone[figure]));
        assert!(half <= most && most <= all, "{alone}");
        assert_eq!(alone["unanswered"], 0);
    }
    let [iterative, echo] = &models[..] else { panic!() };
    assert_eq!(iterative["clients"], 1);
    for neighbour in ["silent", "crowd", "deaf"] {
        assert_eq!(iterative["medians"]["latency"][neighbour]["answered"], 0, "{neighbour}");
        assert_eq!(iterative["medians"]["latency"][neighbour]["unanswered"], 1, "{neighbour}");
        assert_eq!(echo["medians"]["latency"][neighbour]["unanswered"], 0, "{neighbour}");
    }
    positive(&echo["medians"]["latency"]["deaf"]["taken_bytes"]);
    let memory = &echo["rounds"][0]["memory"];
    assert!(positive(&memory["1000"]) > positive(&memory["0"]), "{memory}");
    // A buffer of 4 KiB, and little more.
    assert!((4_096.0..16_384.0).contains(&positive(&echo["medians"]["bytes"]["1000"])), "{memory}");
    if results["settings"]["no_calls"].is_null() {
        let one = &echo["calls"]["1"];
        for call in ["epoll_wait", "recvfrom", "sendto"] {
            assert!((0.95..1.05).contains(&positive(&one["by_name"][call])), "{one}");
        }
        assert!((1.9..2.2).contains(&positive(&iterative["calls"]["1"]["per_request"])), "{iterative}");
    } else {
        println!("skipped: system calls, {}", results["settings"]["no_calls"]);
    }

    let markdown = fs::read_to_string(out.path().join("results.md")).unwrap();
    let rows: Vec<_> =
        markdown.lines().filter(|line| line.starts_with("| iterative") || line.starts_with("| echo")).collect();
    assert_eq!(rows.len(), 8, "{markdown}");
    let said = text(&run.stdout);
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        // The terminal shows the same cells.
        let is_row =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).eq(cells.iter().copied());
        assert!(said.lines().any(is_row), "no {cells:?} in {said}");
    }

    // Each bar, range or dot of the two, and the legend, which names two colours.
    let marks = [("throughput.svg", "rect", 1 + 3), ("latency.svg", "circle", 1 + 4), ("memory.svg", "circle", 2)];
    for (chart, shape, count) in marks {
        let svg = fs::read_to_string(out.path().join(chart)).unwrap();
        let tags = tags(&svg);
        let legend = if shape == "rect" { 2 } else { 0 };
        assert_eq!(colored(&tags, shape), count + legend, "{chart}: {svg}");
        for name in ["title", "desc"] {
            assert!(tags.iter().any(|tag| tag == name), "{chart}");
        }
        assert!(svg.contains(">iterative</text>") && svg.contains(">echo</text>"), "{svg}");
        assert!(!svg.contains('#') || svg.matches('#').count() == svg.matches("var(--").count(), "{chart}: {svg}");
    }
    tags(&fs::read_to_string(out.path().join("costs.svg")).unwrap());

    // The same, of the file.
    let (again, file) = (Folder::new(), out.path().join("results.json"));
    let arguments = ["--show", file.to_str().unwrap(), "--out", again.path().to_str().unwrap()];
    let shown = compare("figures", &arguments).output().unwrap();
    assert_eq!(text(&shown.stdout), said);
    for file in ["results.json", "results.md", "throughput.svg", "latency.svg", "memory.svg", "costs.svg"] {
        assert_eq!(fs::read(again.path().join(file)).unwrap(), fs::read(out.path().join(file)).unwrap(), "{file}");
    }
}

#[test]
fn the_books_tables_and_charts_are_those_of_its_results() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book");
    let (kept, again) = (book.join("src/compare"), Folder::new());
    let arguments =
        ["--show", &kept.join("results.json").display().to_string(), "--out", &again.path().display().to_string()];
    let shown = compare("book", &arguments).output().unwrap();
    assert!(shown.status.success(), "{shown:?}");
    let remedy = "cargo run --example compare -- --show book/src/compare/results.json --book";
    let mut count = 0;
    for file in fs::read_dir(kept).unwrap().flatten() {
        let is_same = fs::read(again.path().join(file.file_name())).unwrap() == fs::read(file.path()).unwrap();
        assert!(is_same, "{}: {remedy}", file.path().display());
        count += 1;
    }
    assert_eq!(count, 5);
    assert_eq!(text(&shown.stdout), fs::read_to_string(book.join("recorded/compare.txt")).unwrap(), "{remedy}");
}

/// A program that says that it listens at `addr`, where this test does, and goes on with `then`.
fn script(folder: &Path, name: &str, addr: SocketAddr, then: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\necho listening on {addr}\n{then}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{name}={}", file.display())
}

/// Does `with` each connection, until the test is over.
fn serve(with: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(with));
    addr
}

#[test]
fn a_server_that_fails_is_named_and_the_others_are_measured() {
    let out = Folder::new();
    let wrong = serve(|mut stream| {
        let mut line = [0; 64];
        let _ = stream.read_exact(&mut line).and_then(|()| stream.write_all(&line.map(|byte| byte ^ 1)));
    });
    let ended = serve(drop);
    let liar = script(out.path(), "liar", wrong, "exec sleep 600");
    let weak = script(out.path(), "weak", ended, "echo 'no more luck' >&2\nexit 3");
    let mute = script(out.path(), "mute", ended, "").replace("mute=", "other=/bin/echo ");
    let servers = ["--server", "broken=false", "--server", &liar, "--server", &weak, "--server", &mute];
    let arguments = [&["--only", "iterative", "--out", out.path().to_str().unwrap()][..], &servers, &SHORT].concat();
    let run = compare("failures", &arguments).output().unwrap();
    nothing_is_left("failures");

    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let complained = text(&run.stderr);
    let lines: Vec<_> = complained.lines().filter(|line| !line.contains("the figures are worth little")).collect();
    assert_eq!(lines.len(), 5, "{complained}");
    for (line, words) in lines.iter().zip([
        "compare: broken: idle connections: it ended with exit status: 1",
        "compare: liar: idle connections: an answer was not what was sent",
        "compare: weak: idle connections: it ended with exit status: 3: no more luck",
        "compare: other: idle connections: it said '",
        "compare: 4 models failed",
    ]) {
        assert!(line.starts_with(words), "no '{words}' in: {line}");
    }
    let results: Value = serde_json::from_slice(&fs::read(out.path().join("results.json")).unwrap()).unwrap();
    let [iterative, failed @ ..] = &results["models"].as_array().unwrap()[..] else { panic!() };
    positive(&iterative["medians"]["requests_per_second"]["1"]);
    assert_eq!(failed.len(), 4);
    for model in failed {
        assert!(model["problem"]["failed"].as_str().unwrap().starts_with("idle connections: "), "{model}");
        assert!(text(&run.stdout).contains(&format!("Failed: {}: ", model["name"].as_str().unwrap())));
    }
}

/// Starts a run, and waits until it has connected to its server, which does `then`.
fn under_way(mark: &str, then: &str) -> (Child, Folder) {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = script(folder.path(), "patient", listener.local_addr().unwrap(), then);
    let mut command = compare(mark, &["--only", "iterative", "--server", &server]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Its turn comes after that of `iterative`.
    drop(listener.accept().unwrap());
    // Whoever connects again waits in the queue until the test is over.
    std::mem::forget(listener);
    (child, folder)
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_ends_the_servers_and_their_children_too() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut child, _folder) = under_way("signals", "sleep 600 &\nexec sleep 600");
        assert!(!left("signals").is_empty());
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(status));
        nothing_is_left("signals");
    }
}

#[test]
fn a_server_does_not_outlive_a_program_that_is_killed() {
    let (mut child, _folder) = under_way("killed", "exec sleep 600");
    send(&child, Signal::KILL);
    child.wait().unwrap();
    nothing_is_left("killed");
}

#[test]
fn models_are_named_and_unknown_ones_refused() {
    let output = |arguments: &[&str]| -> Output { compare("names", arguments).output().unwrap() };
    let names = text(&output(&["--list"]).stdout);
    for name in ["iterative", "echo"] {
        assert!(names.lines().any(|line| line.split(' ').next() == Some(name)), "{names}");
    }
    let unknown = output(&["--only", "echo,nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "compare: there is no model `nobody` (--list names all)\n");
    let nameless = output(&["--server", "echo"]);
    assert_eq!(nameless.status.code(), Some(2));
    assert!(text(&nameless.stderr).contains("a server is NAME=COMMAND"), "{nameless:?}");
}
