//! The example `http`, talked to by clients that people have.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::{has, in_child, limit_descriptors};
use pollywog_tests::model::{attach, sleeps};
use pollywog_tests::program::{Program, Signal, path, run};
use pollywog_tests::queues::until;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// The bytes of a file: no part of them is like another.
fn content(size: u32) -> Vec<u8> {
    (0..size / 4).flat_map(u32::to_le_bytes).collect()
}

/// The server, with the files of `folder`.
fn start(folder: &Path, arguments: &[&str]) -> Program {
    Program::start("http", &[&["--root", folder.to_str().unwrap()], arguments].concat())
}

/// What curl says when it is asked with `arguments`, and then for `paths`.
fn curl(server: &Program, arguments: &[&str], paths: &[&str]) -> Vec<u8> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60"]).args(arguments);
    curl.args(paths.iter().map(|path| format!("http://{}{path}", server.addr())));
    let output = curl.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{curl:?} ended with {}: {complaints}", output.status);
    output.stdout
}

/// The head and the body of an answer.
fn parts(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), &answer[end + 4..])
}

/// Writes `request`, and reads until the end.
fn ask(mut stream: TcpStream, request: &str) -> Vec<u8> {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn status(server: &Program, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = ask(server.connect(), &request);
    String::from_utf8(answer["HTTP/1.1 ".len()..][..3].to_vec()).unwrap()
}

#[test]
fn curl_gets_a_file_and_parts_of_it() {
    if !has("curl_gets_a_file_and_parts_of_it", "curl") {
        return;
    }
    let (folder, bytes) = (Folder::new(), content(1_000_000));
    fs::create_dir(folder.file("of")).unwrap();
    fs::write(folder.file("of/my file.json"), &bytes).unwrap();
    let server = start(folder.path(), &[]);
    let path = "/files/of/my%20file.json";

    let whole = curl(&server, &["--include"], &[path]);
    let (head, body) = parts(&whole);
    assert!(body == bytes, "something else came");
    for line in ["http/1.1 200 ok", "content-length: 1000000", "content-type: application/json", "accept-ranges: bytes"]
    {
        assert!(head.lines().any(|said| said == line), "no '{line}' in: {head}");
    }
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();

    let head_alone = curl(&server, &["--head"], &[path]);
    let (head, body) = parts(&head_alone);
    assert!(head.contains("content-length: 1000000") && body.is_empty(), "{head}");

    let if_this = format!("if-range: {tag}");
    for (range, more, part) in [
        ("0-0", None, 0..1),
        ("999990-", None, 999_990..1_000_000),
        ("-7", None, 999_993..1_000_000),
        ("65530-200000", Some(&*if_this), 65_530..200_001),
    ] {
        let header = more.map(|header| ["--header", header]);
        let header = header.as_ref().map_or(&[][..], |header| &header[..]);
        let arguments = [&["--include", "--range", range], header];
        let answer = curl(&server, &arguments.concat(), &[path]);
        let (head, body) = parts(&answer);
        assert!(head.starts_with("http/1.1 206 partial content"), "{head}");
        let said = format!("content-range: bytes {}-{}/1000000", part.start, part.end - 1);
        assert!(head.contains(&said), "no '{said}' in: {head}");
        assert!(body == &bytes[part], "{range} is something else");
    }
    let answer = curl(&server, &["--include", "--range", "1000000-"], &[path]);
    let (head, body) = parts(&answer);
    assert!(head.starts_with("http/1.1 416") && head.contains("content-range: bytes */1000000") && body.is_empty());
    for known in [tag, "*", &format!("W/{tag}"), &format!("\"another\", {tag}")] {
        let answer = curl(&server, &["--include", "--header", &format!("if-none-match: {known}")], &[path]);
        assert!(parts(&answer).0.starts_with("http/1.1 304") && parts(&answer).1.is_empty(), "{known}");
    }
    let two_lines =
        ["--include", "--header", "if-none-match: \"another\"", "--header", &format!("if-none-match: {tag}")];
    assert!(parts(&curl(&server, &two_lines, &[path])).0.starts_with("http/1.1 304"));
    for (wanted, status) in [(tag, 200), ("*", 200), ("\"another\"", 412), (&format!("W/{tag}"), 412)] {
        let answer = curl(&server, &["--include", "--header", &format!("if-match: {wanted}")], &[path]);
        let (head, body) = parts(&answer);
        assert!(
            head.starts_with(&format!("http/1.1 {status}")) && body.is_empty() == (status == 412),
            "{wanted}: {head}"
        );
    }
    for asked in ["\"another\"", "\"\u{e9}\""] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nrange: bytes=0-9\r\n");
        let answer = ask(server.connect(), &format!("{request}if-range: {asked}\r\n\r\n"));
        assert!(parts(&answer).0.starts_with("http/1.1 200 ok") && parts(&answer).1 == bytes, "{asked}");
    }
}

#[test]
fn curl_speaks_http2_and_keeps_connections() {
    if !has("curl_speaks_http2_and_keeps_connections", "curl") {
        return;
    }
    let (folder, bytes) = (Folder::new(), content(1_000_000));
    fs::write(folder.file("one.bin"), &bytes).unwrap();
    let server = start(folder.path(), &[]);
    let write_out = "%{http_version} %{http_code} %{num_connects}\n";
    for (version, paths, report) in [
        ("--http1.1", ["/", "/files/one.bin", "/nowhere"].as_slice(), "1.1 200 1\n1.1 200 0\n1.1 404 0\n"),
        // Some versions of curl cannot ask twice over such a connection.
        ("--http2-prior-knowledge", &["/files/one.bin"], "2 200 1\n"),
    ] {
        // Each address needs an output of its own.
        let outputs = ["--output", "/dev/null"].repeat(paths.len());
        let said = curl(&server, &[&[version, "--write-out", write_out], &outputs[..]].concat(), paths);
        assert_eq!(String::from_utf8(said).unwrap(), report);
        assert!(curl(&server, &[version], &["/files/one.bin"]) == bytes, "something else came");
        assert_eq!(curl(&server, &[version, "--data", "hello"], &["/echo"]), b"hello");
    }
}

#[test]
fn what_is_sent_back_has_a_limit() {
    if !has("what_is_sent_back_has_a_limit", "curl") {
        return;
    }
    let folder = Folder::new();
    let (most, more) = (content(1 << 20), content((1 << 20) + 4));
    fs::write(folder.file("most"), &most).unwrap();
    fs::write(folder.file("more"), &more).unwrap();
    let server = start(folder.path(), &[]);
    for headers in [[].as_slice(), &["--header", "transfer-encoding: chunked"]] {
        for (name, status) in [("most", "200"), ("more", "413")] {
            let data = format!("@{}", folder.file(name).display());
            let output = folder.file("answer");
            let arguments =
                ["--data-binary", &data, "--write-out", "%{http_code}", "--output", output.to_str().unwrap()];
            let code = curl(&server, &[&arguments[..], headers].concat(), &["/echo"]);
            assert_eq!(String::from_utf8(code).unwrap(), status, "{name} {headers:?}");
            let answer = fs::read(output).unwrap();
            assert!(if name == "most" { answer == most } else { answer == b"1048576 bytes are the most\n" });
        }
    }
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let (outside, folder) = (Folder::new(), Folder::new());
    fs::write(outside.file("secret"), "secret").unwrap();
    fs::create_dir(folder.file("inside")).unwrap();
    fs::write(folder.file("inside/file"), "file").unwrap();
    symlink(outside.file("secret"), folder.file("link")).unwrap();
    symlink(outside.path(), folder.file("linked")).unwrap();
    symlink("inside/file", folder.file("good")).unwrap();
    symlink("../inside/file", folder.file("inside/good")).unwrap();
    symlink(folder.file("inside/file"), folder.file("absolute")).unwrap();
    symlink("round", folder.file("round")).unwrap();
    let _socket = UnixListener::bind(folder.file("socket")).unwrap();
    mknodat(CWD, folder.file("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let server = start(folder.path(), &[]);
    for name in ["inside/file", "good", "inside/good", "inside/./file", "inside%2Ffile"] {
        assert_eq!(status(&server, &format!("/files/{name}")), "200", "{name}");
    }
    let secret = outside.file("secret");
    let up = format!("../{}", secret.parent().unwrap().file_name().unwrap().to_str().unwrap());
    let absolute = secret.to_str().unwrap();
    for name in [
        &*format!("{up}/secret"),
        &format!("inside/../{up}/secret"),
        &format!("{}/secret", up.replace('.', "%2e")),
        &format!("{}/secret", up.replace('/', "%2F")),
        absolute,
        &absolute.replace('/', "%2f"),
        "link",
        "linked/secret",
        "absolute",
        "round",
        "socket",
        "inside/../inside/file",
        "..",
        "",
        "inside",
        "inside/file/",
        "inside/file%00",
        "%",
        "%zz",
        "pipe",
        &"a".repeat(300),
    ] {
        let status = status(&server, &format!("/files/{name}"));
        assert_eq!(status, "404", "{name}");
    }
}

#[test]
fn methods_that_are_not_there_are_named() {
    let server = Program::start("http", &[]);
    for (request, allowed) in [("DELETE /", "GET, HEAD"), ("GET /echo", "POST")] {
        let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = ask(server.connect(), &request);
        let (head, _) = parts(&answer);
        assert!(
            head.starts_with("http/1.1 405") && head.contains(&format!("allow: {}", allowed.to_lowercase())),
            "{head}"
        );
    }
    assert_eq!(status(&server, "/files/Cargo.toml"), "404", "no folder was given");
}

/// Reads one answer from a connection that stays.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[test]
fn sigterm_ends_it_when_everybody_has_got_what_he_asked_for() {
    let (folder, bytes) = (Folder::new(), content(32 << 20));
    fs::write(folder.file("large"), &bytes).unwrap();
    let server = start(folder.path(), &[]);
    let (mut download, mut health) = (server.connect(), server.connect());
    download.write_all(b"GET /files/large HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = vec![0; 1_000];
    download.read_exact(&mut answer).unwrap();
    let mut ready = || {
        health.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        read_answer(&mut health)
    };
    assert!(ready().starts_with("HTTP/1.1 200"));
    let addr = server.addr();
    let ending = thread::spawn(move || server.end(Signal::TERM));
    let last = loop {
        let answer = ready();
        if answer.contains("connection: close") {
            break answer;
        }
    };
    assert!(last.starts_with("HTTP/1.1 503"), "{last}");
    TcpStream::connect(addr).expect_err("nobody listens");

    let (head, body) = parts(&answer);
    let rest = head.len() + 4 + bytes.len() - answer.len();
    let mut received = body.to_vec();
    Read::by_ref(&mut download).take(rest as u64).read_to_end(&mut received).unwrap();
    assert!(received == bytes, "the download is not whole");
    // Its answer did not say that it was the last, so there may be one more.
    download.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let health = read_answer(&mut download);
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("connection: close"), "{health}");
    assert_eq!(download.read(&mut [0]).unwrap(), 0);
    drop(download);
    let ended = ending.join().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((&*ended.said, &*ended.complained), ("served 2 connections\n", ""));
}

/// The most memory that a process had, in KiB.
fn peak(server: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_file_is_not_read_faster_than_it_is_taken() {
    let folder = Folder::new();
    // A hole: it takes no room on the disk.
    fs::File::create(folder.file("large")).unwrap().set_len(1 << 30).unwrap();
    let server = start(folder.path(), &[]);
    assert_eq!(status(&server, "/"), "200");
    let before = peak(&server);
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"GET /files/large HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        client.read_exact(&mut [0; 1 << 20]).unwrap();
    }
    assert_eq!(status(&server, "/files/large/no"), "404", "and it goes on");
    let more = peak(&server) - before;
    assert!(more < 8 * 2_000, "{more} KiB for eight clients");
}

/// A file is open for as long as somebody takes to read it: most of what may be open is kept for connections.
#[test]
fn who_asks_for_too_many_files_is_refused_and_the_others_are_served() {
    in_child("who_asks_for_too_many_files_is_refused_and_the_others_are_served", || {
        path("http"); // cargo may need more
        limit_descriptors(100);
        let folder = Folder::new();
        fs::File::create(folder.file("large")).unwrap().set_len(1 << 30).unwrap();
        fs::write(folder.file("small"), "small").unwrap();
        let server = start(folder.path(), &[]);
        let mut readers: Vec<_> = (0..25).map(|_| server.connect()).collect();
        for reader in &mut readers {
            reader.write_all(b"GET /files/large HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            reader.read_exact(&mut [0; 1_000]).unwrap();
        }
        let request = "GET /files/small HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = ask(server.connect(), request);
        let (head, body) = parts(&answer);
        assert!(head.starts_with("http/1.1 503") && head.contains("\r\nretry-after: 1\r\n"), "{head}");
        assert_eq!(body, b"too many files are on their way\n");
        assert_eq!(status(&server, "/health"), "200");
        // One that is gone makes room, as soon as the server has heard of it.
        drop(readers.pop());
        until("there is room", || (status(&server, "/files/small") == "200").then_some(()));
        assert_eq!(status(&server, "/files/nowhere"), "404", "what is answered leaves its place");
        assert_eq!(status(&server, "/files/small"), "200");
        let complained = server.end(Signal::KILL).complained;
        assert!(complained.lines().count() == 1 && complained.contains("100 descriptors"), "{complained}");
    });
}

#[test]
fn what_is_sent_back_is_counted_over_all_connections() {
    let server = Program::start("http", &[]);
    let mut askers: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for asker in &mut askers {
        asker
            .write_all(b"POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
            .unwrap();
        let mut go_on = [0; 25];
        asker.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "it is being read");
    }
    let request = "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmore";
    let refused = ask(server.connect(), request);
    assert!(parts(&refused).0.starts_with("http/1.1 503"), "{refused:?}");
    for asker in &mut askers {
        asker.write_all(b"back").unwrap();
        assert!(read_answer(asker).ends_with("\r\n\r\nback"));
    }
    assert_eq!(parts(&ask(server.connect(), request)).1, b"more");
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// Of DATA: the last of its stream.
const END_STREAM: u8 = 1;
/// Of HEADERS.
const END_HEADERS: u8 = 4;

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A frame of HTTP/2: its type, its flags and what it holds.
fn read_frame(stream: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).unwrap();
    (head[3], head[4], payload)
}

/// A client of HTTP/2 with these settings.
fn http2(server: &Program, settings: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).unwrap();
    stream
}

/// A client that asks so often at once, and takes one byte of each answer for now.
fn takes_a_byte(server: &Program, count: u32, method: u8, path: &str, body: &[u8]) -> TcpStream {
    /// So many bytes of an answer may come at first: one.
    const INITIAL_WINDOW_SIZE: &[u8] = &[0, 4, 0, 0, 0, 1];
    // `:scheme: http` and `:authority: a`; the method is a number as well.
    let head = [&[method, 0x86, 0x04, path.len() as u8], path.as_bytes(), b"\x01\x01a"].concat();
    let mut client = http2(server, INITIAL_WINDOW_SIZE);
    // Its settings have come, so it has ours.
    while read_frame(&mut client).0 != SETTINGS {}
    for stream in (1..2 * count).step_by(2) {
        client.write_all(&frame(HEADERS, END_HEADERS, stream, &head)).unwrap();
        client.write_all(&frame(DATA, END_STREAM, stream, body)).unwrap();
    }
    let mut begun = 0;
    while begun < count {
        begun += u32::from(read_frame(&mut client).0 == DATA);
    }
    client
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// A file has its place until the last byte is taken, also one that was read in one piece.
#[test]
fn a_small_file_that_waits_to_be_taken_is_counted_too() {
    in_child("a_small_file_that_waits_to_be_taken_is_counted_too", || {
        path("http"); // cargo may need more
        limit_descriptors(100);
        let folder = Folder::new();
        fs::write(folder.file("small"), "small").unwrap();
        let server = start(folder.path(), &[]);
        let client = takes_a_byte(&server, 25, GET, "/files/small", b"");
        assert_eq!(status(&server, "/files/small"), "503");
        drop(client);
        until("there is room", || (status(&server, "/files/small") == "200").then_some(()));
    });
}

/// What is to come back stays where it is until the client has room for it, and keeps its place.
#[test]
fn what_waits_to_be_taken_is_counted_too() {
    let server = Program::start("http", &[]);
    let mut clients = [(); 2].map(|()| takes_a_byte(&server, 32, POST, "/echo", b"comes back"));
    let request = "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmore";
    let refused = ask(server.connect(), request);
    assert!(parts(&refused).0.starts_with("http/1.1 503"), "{refused:?}");
    let [client, _] = &mut clients;
    client.write_all(&frame(WINDOW_UPDATE, 0, 1, &1_000_u32.to_be_bytes())).unwrap();
    let rest = loop {
        if let (DATA, END_STREAM, rest) = read_frame(client) {
            break rest;
        }
    };
    assert_eq!(rest, b"omes back");
    until("there is room", || (parts(&ask(server.connect(), request)).1 == b"more").then_some(()));
}

#[test]
fn one_connection_of_http2_asks_for_32_things_at_once() {
    const MAX_CONCURRENT_STREAMS: &[u8] = &[0, 3];
    let server = Program::start("http", &[]);
    let mut stream = http2(&server, b"");
    let (kind, flags, settings) = read_frame(&mut stream);
    assert_eq!((kind, flags), (SETTINGS, 0));
    let streams = settings.chunks(6).find(|setting| setting.starts_with(MAX_CONCURRENT_STREAMS)).unwrap();
    assert_eq!(streams[2..], [0, 0, 0, 32]);
}

#[test]
fn a_connection_that_is_never_idle_has_an_end_too() {
    let server = Program::start("http", &["--connection-timeout", "1", "--idle-timeout", "1000"]);
    let mut stream = server.connect();
    let mut answers = 0;
    loop {
        let asked = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let mut answer = [0; 1_000];
        match asked.and_then(|()| stream.read(&mut answer)) {
            Ok(0) | Err(_) => break,
            Ok(_) => answers += 1,
        }
    }
    assert!(answers > 0);
    assert_eq!(status(&server, "/health"), "200");
}

#[test]
fn a_request_has_one_host() {
    let server = Program::start("http", &[]);
    for (version, hosts, status) in [
        ("1.1", "", "400"),
        ("1.1", "host: a\r\nhost: a\r\n", "400"),
        ("1.1", "host: a b\r\n", "400"),
        ("1.1", "host:\r\n", "200"),
        ("1.1", "host: [::1]:8080\r\n", "200"),
        ("1.0", "", "200"),
        ("1.0", "host: a\r\nhost: a\r\n", "400"),
    ] {
        let answer = ask(server.connect(), &format!("GET / HTTP/{version}\r\n{hosts}connection: close\r\n\r\n"));
        assert_eq!(&answer[9..12], status.as_bytes(), "HTTP/{version} {hosts:?}");
    }
}

#[test]
fn who_says_nothing_or_too_little_is_closed() {
    let server = Program::start("http", &["--header-timeout", "0.1", "--idle-timeout", "0.2"]);
    assert_eq!(ask(server.connect(), ""), b"");
    assert_eq!(ask(server.connect(), "GET / HTTP/1.1\r\nhost: loc"), b"");
    assert_eq!(ask(server.connect(), "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf"), b"");
    let mut state = server.connect();
    state.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let answer = read_answer(&mut state);
    let counted =
        r#"{"accepted":4,"active":1,"rejected":0,"timed_out":1,"panicked":0,"errors":{"TimedOut":2},"draining":false}"#;
    assert!(answer.ends_with(counted), "{answer}");
}

/// While requests come in time, no deadline comes nearer, and the kernel is told of none.
#[test]
fn requests_that_come_in_time_leave_the_timer_alone() {
    const NAME: &str = "requests_that_come_in_time_leave_the_timer_alone";
    const REQUESTS: usize = 50;
    let folder = Folder::new();
    let trace = folder.file("trace");
    let server = Program::start("http", &["--header-timeout", "100", "--idle-timeout", "100"]);
    let mut stream = server.connect();
    let mut ask = || {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).starts_with("HTTP/1.1 200"));
    };
    ask();
    sleeps(&server);
    let options = ["-e", "trace=epoll_wait,epoll_pwait,timerfd_settime", "-o", trace.to_str().unwrap()];
    let Some(mut strace) = attach(NAME, &server, &options) else { return };
    for _ in 0..REQUESTS {
        ask();
        sleeps(&server);
    }
    drop(server);
    strace.wait().unwrap();
    let trace = fs::read_to_string(&trace).unwrap();
    assert!(trace.matches(", -1) = 1").count() >= REQUESTS, "{trace}");
    assert!(!trace.contains("timerfd_settime"), "{trace}");
}

#[test]
fn what_is_to_be_sent_back_has_to_come_in_time() {
    let server = Program::start("http", &["--body-timeout", "0.3", "--idle-timeout", "60"]);
    let mut slow = server.connect();
    slow.write_all(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n").unwrap();
    let mut writer = slow.try_clone().unwrap();
    let trickling = thread::spawn(move || {
        while writer.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let answer = read_answer(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.ends_with("that took too long\n"), "{answer}");
    trickling.join().unwrap();
}

#[test]
fn wrk_sees_no_error() {
    if !has("wrk_sees_no_error", "wrk") {
        return;
    }
    let folder = Folder::new();
    fs::write(folder.file("page.html"), content(20_000)).unwrap();
    let server = start(folder.path(), &[]);
    for path in ["/", "/files/page.html"] {
        let output = Command::new("wrk")
            .args(["--duration", "2s", "--connections", "50", "--threads", "1", "--timeout", "30s"])
            .arg(format!("http://{}{path}", server.addr()))
            .output()
            .unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains("Requests/sec") && !report.contains(" 0 requests in"), "{report}");
        assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    }
    let ended = server.end(Signal::TERM);
    assert!(ended.status.success() && ended.complained.is_empty(), "{ended:?}");
}

#[test]
fn h2load_gets_every_answer() {
    if !has("h2load_gets_every_answer", "h2load") {
        return;
    }
    let folder = Folder::new();
    fs::write(folder.file("page.html"), content(20_000)).unwrap();
    let server = start(folder.path(), &[]);
    for protocol in [["--h1"].as_slice(), &["--max-concurrent-streams=20"]] {
        for path in ["/", "/files/page.html"] {
            let output = Command::new("h2load")
                .args(["--requests", "2000", "--clients", "10"])
                .args(protocol)
                .arg(format!("http://{}{path}", server.addr()))
                .output()
                .unwrap();
            let report = String::from_utf8(output.stdout).unwrap();
            let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
            assert!(report.contains(all), "{protocol:?} {path}: {report}");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    run("http", &["--root", "/nowhere/at/all"]).failed_with(1, "cannot serve /nowhere/at/all: No such file");
    run("http", &["--idle-timeout", "soon"]).failed_with(2, "seconds are a number");
    run("http", &["--max-connections", "0"]).failed_with(2, "a number from 1 on is needed");
}
