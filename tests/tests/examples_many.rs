//! Thousands of connections at once, on one thread.

use std::fs;
use std::io::{Read, Write};

use pollywog_tests::limits::{in_child, limit_descriptors, may_have_descriptors};
use pollywog_tests::program::{Program, Signal, run};

const CONNECTIONS: usize = 8_000;
const DESCRIPTORS: u64 = 20_000;

/// Runs `body` in a process of its own, which may have 20,000 descriptors, and so may the programs that it starts.
fn with_many_descriptors(test: &str, body: impl FnOnce()) {
    if may_have_descriptors(test, DESCRIPTORS) {
        in_child(test, || {
            limit_descriptors(DESCRIPTORS);
            body();
        });
    }
}

#[test]
fn eight_thousand_connections_are_answered_by_one_thread() {
    with_many_descriptors("eight_thousand_connections_are_answered_by_one_thread", || {
        let echo = Program::start("echo", &[]);
        let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| echo.connect()).collect();
        for round in 0..3 {
            for (number, stream) in streams.iter_mut().enumerate() {
                writeln!(stream, "{round} {number:5}").unwrap();
            }
            for (number, stream) in streams.iter_mut().enumerate() {
                let mut line = [0; 8];
                stream.read_exact(&mut line).unwrap();
                assert_eq!(line[..], *format!("{round} {number:5}\n").as_bytes());
            }
        }

        let process = format!("/proc/{}", echo.id());
        assert!(fs::read_dir(format!("{process}/fd")).unwrap().count() >= CONNECTIONS, "all are open at once");
        let threads = fs::read_dir(format!("{process}/task")).unwrap();
        let threads = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
        let threads: Vec<_> = threads.filter(|name| name.trim() != "signals").collect();
        assert_eq!(threads.len(), 1, "{threads:?}");

        drop(streams);
        let ended = echo.end(Signal::INT);
        assert_eq!(ended.said, format!("served {CONNECTIONS} connections\n"));
        assert_eq!(ended.complained, "");
    });
}

#[test]
fn our_client_has_eight_thousand_connections_too() {
    with_many_descriptors("our_client_has_eight_thousand_connections_too", || {
        for mode in [&[][..], &["--lent"]] {
            let echo = Program::start("echo", mode);
            let (addr, connections) = (echo.addr().to_string(), CONNECTIONS.to_string());
            let client = run("client", &["--addr", &addr, "--connections", &connections, "--seconds", "1"]);
            let ended = echo.end(Signal::INT);
            assert!(client.status.success(), "{client:?}, {ended:?}");
            assert_eq!(ended.said, format!("served {CONNECTIONS} connections\n"));
        }
    });
}
