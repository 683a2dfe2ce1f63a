//! The example `axum`: an application as people write them, on this runtime.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;

use pollywog_tests::limits::has;
use pollywog_tests::program::{Program, Signal};

/// The status and the body of what curl gets.
fn curl(server: &Program, arguments: &[&str], path: &str) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]).args(arguments);
    let output = curl.arg(format!("http://{}{path}", server.addr())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn extractors_get_what_they_ask_for() {
    if !has("extractors_get_what_they_ask_for", "curl") {
        return;
    }
    let server = Program::start("axum", &[]);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let get = |path| curl(&server, &[version], path);
        assert_eq!(get("/"), (200, "hello\n".to_owned()));
        assert_eq!(get("/greet/you"), (200, "hello, you\n".to_owned()));
        assert_eq!(get("/greet/you?times=2"), (200, "hello, you\nhello, you\n".to_owned()));
        assert_eq!(get("/greet/you?times=many").0, 400);
        assert_eq!(get("/slow/1"), (200, "/slow/{milliseconds} is done\n".to_owned()));
        assert_eq!(get("/slow/100000").0, 504);
        assert_eq!(get("/nowhere").0, 404);
    }
}

#[test]
fn state_is_the_same_for_all() {
    if !has("state_is_the_same_for_all", "curl") {
        return;
    }
    let server = Program::start("axum", &[]);
    let json = ["--header", "content-type: application/json", "--data"];
    let add = |text: &str| curl(&server, &[&json[..], &[text]].concat(), "/notes");
    assert_eq!(add(r#"{"text": "one"}"#), (201, "0".to_owned()));
    assert_eq!(add(r#"{"text": "two"}"#), (201, "1".to_owned()));
    assert_eq!(add(r#"{"text": 3}"#).0, 422);
    assert_eq!(add(&format!(r#"{{"text": "{}"}}"#, "a".repeat(4_096))).0, 413);
    assert_eq!(curl(&server, &["--data", "{}"], "/notes").0, 415);
    assert_eq!(curl(&server, &[], "/notes"), (200, r#"[{"text":"one"},{"text":"two"}]"#.to_owned()));
    assert_eq!(curl(&server, &["--http2-prior-knowledge"], "/notes/1"), (200, r#"{"text":"two"}"#.to_owned()));
    assert_eq!(curl(&server, &[], "/notes/2").0, 404);
}

#[test]
fn nothing_of_tokios_runtime_is_there() {
    let server = Program::start("axum", &[]);
    let threads = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let names: Vec<_> =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap()).collect();
    assert_eq!(names, ["axum\n"], "it has one thread");

    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["tree", "--manifest-path", manifest, "--package", "pollywog-examples", "--edges", "normal,features"])
        .args(["--invert", "tokio", "--prefix", "none"])
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.starts_with("tokio v"), "h2 has its traits: {}", String::from_utf8_lossy(&output.stderr));
    for feature in ["rt", "net", "time", "fs", "process", "signal"] {
        let line = format!("tokio feature \"{feature}\"");
        assert!(!tree.lines().any(|said| said == line), "{line} in:\n{tree}");
    }
}

#[test]
fn wrk_and_h2load_get_every_answer() {
    let test = "wrk_and_h2load_get_every_answer";
    if !has(test, "wrk") || !has(test, "h2load") {
        return;
    }
    let server = Program::start("axum", &[]);
    let url = format!("http://{}/greet/you", server.addr());
    let wrk = ["--duration", "2s", "--connections", "50", "--threads", "1", "--timeout", "30s", &url];
    let output = Command::new("wrk").args(wrk).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("Requests/sec") && !report.contains(" 0 requests in"), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    for protocol in ["--h1", "--max-concurrent-streams=20"] {
        let load = ["--requests", "2000", "--clients", "10", protocol, &url];
        let output = Command::new("h2load").args(load).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(report.contains(all), "{report}");
    }
}

#[test]
fn sigterm_lets_a_request_under_way_end() {
    if !has("sigterm_lets_a_request_under_way_end", "curl") {
        return;
    }
    let server = Program::start("axum", &[]);
    // A request that is answered tells that the one before has been read.
    let mut slow = server.connect();
    let request = "GET /slow/500 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    std::io::Write::write_all(&mut slow, request.as_bytes()).unwrap();
    assert_eq!(curl(&server, &[], "/").0, 200);
    let ending = thread::spawn(move || server.end(Signal::TERM));
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut slow, &mut answer).unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("/slow/{milliseconds} is done\n"), "{answer}");
    drop(slow);
    let ended = ending.join().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((&*ended.said, &*ended.complained), ("served 2 connections\n", ""));
}
