//! The example `resolve`: what it prints when, and what it says of names that are not there.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use pollywog_tests::dns::{NameServer, with_names};
use pollywog_tests::limits::has;
use pollywog_tests::program::{path, run};

const ZONE: &[(&str, &[&str])] = &[("fast.test", &["127.0.0.1"]), ("slow.test", &["::2", "127.0.0.2"])];

/// Runs `body` where `ZONE` is all there is, with the program, which is built before.
fn with_zone(test: &str, body: impl FnOnce(NameServer, &str)) {
    const PROGRAM: &str = "POLLYWOG_RESOLVE";
    let program = env::var(PROGRAM).unwrap_or_else(|_| path("resolve").to_str().unwrap().to_owned());
    with_names(test, &[&format!("{PROGRAM}={program}")], ZONE, |server| body(server, &program));
}

fn start(program: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_literal_is_its_own_address() {
    let ended = run("resolve", &["127.0.0.1"]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.as_str(), ended.complained.as_str()), ("127.0.0.1: 127.0.0.1\n", ""));
    let ended = run("resolve", &["::1"]);
    assert_eq!(ended.said, "::1: ::1\n");
}

#[test]
fn localhost_has_an_address_of_this_machine() {
    let ended = run("resolve", &["localhost", "127.0.0.3"]);
    assert!(ended.status.success(), "{ended:?}");
    let mut lines: Vec<_> = ended.said.lines().collect();
    lines.sort();
    assert_eq!(lines[0], "127.0.0.3: 127.0.0.3");
    let addresses = lines[1].strip_prefix("localhost: ").unwrap().split(", ");
    assert!(addresses.map(|addr| addr.parse().unwrap()).all(|addr: std::net::IpAddr| addr.is_loopback()), "{ended:?}");
    assert_eq!((lines.len(), ended.complained.as_str()), (2, ""));
}

#[test]
fn a_wrong_name_is_one_line() {
    with_zone("a_wrong_name_is_one_line", |_server, program| {
        let why = "failed to lookup address information: Name or service not known";
        let output = start(program, &["nobody.test"]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("resolve: the name 'nobody.test' has no address: {why}\n");
        assert_eq!((output.stdout, String::from_utf8(output.stderr).unwrap()), (vec![], expected));

        let output = start(program, &["nobody.test", "fast.test", "nobody.test"]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "fast.test: 127.0.0.1\n", "others are found");
        let one = format!("the name 'nobody.test' has no address: {why}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("resolve: {one}; {one}\n"));
    });
}

#[test]
fn an_address_is_printed_when_it_comes() {
    with_zone("an_address_is_printed_when_it_comes", |server, program| {
        server.hold("slow.test");
        let mut resolve = start(program, &["--limit", "60", "slow.test", "fast.test"]);
        let mut lines = BufReader::new(resolve.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "fast.test: 127.0.0.1");
        server.release("slow.test");
        let slow = lines.next().unwrap();
        assert!(["slow.test: ::2, 127.0.0.2", "slow.test: 127.0.0.2, ::2"].contains(&slow.as_str()), "{slow}");
        assert_eq!(lines.next(), None);
        assert!(resolve.wait().unwrap().success());
    });
}

#[test]
fn a_name_that_takes_too_long_is_given_up() {
    with_zone("a_name_that_takes_too_long_is_given_up", |server, program| {
        server.hold("slow.test");
        let output = start(program, &["--limit", "1", "slow.test", "fast.test"]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "fast.test: 127.0.0.1\n");
        let expected = "resolve: no answer for 'slow.test' within 1s\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    });
}

/// Under `script`, which gives it a terminal.
#[test]
fn a_terminal_shows_the_progress() {
    const NAME: &str = "a_terminal_shows_the_progress";
    if !has(NAME, "script") {
        return;
    }
    with_zone(NAME, |server, program| {
        server.hold("slow.test");
        let command = format!("{program} --limit 60 slow.test fast.test");
        let mut script = start("script", &["--quiet", "--return", "--command", &command, "/dev/null"]);
        let mut screen = script.stdout.take().unwrap();
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !String::from_utf8_lossy(&seen).contains("1 of 2 names") {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "it ended: {}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        assert!(String::from_utf8_lossy(&seen).contains("\x1b[Kfast.test: 127.0.0.1\r\n"));
        server.release("slow.test");
        let mut rest = String::new();
        screen.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("\r\x1b[Kslow.test: "), "the line makes way: {rest:?}");
        assert!(rest.ends_with("\r\x1b[K"), "and is gone: {rest:?}");
        assert!(script.wait().unwrap().success());
    });
}

#[test]
fn a_wrong_command_line_is_one_line() {
    run("resolve", &[]).failed_with(2, "resolve: the following required arguments were not provided: <NAME>...");
    run("resolve", &["--limit", "0", "localhost"]).failed_with(2, "resolve: invalid value '0' for '--limit <S>'");
    run("resolve", &["--colour", "localhost"]).failed_with(2, "resolve: unexpected argument '--colour' found");
}

#[test]
fn help_explains_it() {
    let help = run("resolve", &["--help"]);
    assert!(help.status.success() && help.complained.is_empty(), "{help:?}");
    for text in ["<NAME>...", "--limit", "[default: 5]"] {
        assert!(help.said.contains(text), "no {text} in:\n{}", help.said);
    }
}
