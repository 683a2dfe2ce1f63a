//! The example `websocket`: what a member hears, what is too much, and the page in a real browser.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::thread;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::frame::CloseFrame;
use async_tungstenite::{WebSocketStream, client_async};
use futures::StreamExt;
use pollywog_net::TcpStream;
use pollywog_net::time::timeout;
use pollywog_tests::browser::Browser;
use pollywog_tests::net::Watchdog;
use pollywog_tests::program::{self, LIMIT, Program, Signal, bounded};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Runs `future` on a runtime of its own, for as long as a program may take.
fn run<T>(future: impl Future<Output = T>) -> T {
    pollywog_net::run(async { timeout(LIMIT, future).await.expect("it hangs") }).unwrap()
}

/// A member, or who may become one.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(chat: &Program) -> Self {
        Self::over(TcpStream::connect(chat.addr()).await.unwrap(), chat).await
    }

    async fn over(stream: TcpStream, chat: &Program) -> Self {
        let (socket, _) = client_async(format!("ws://{}/ws", chat.addr()), stream).await.unwrap();
        Self(socket)
    }

    /// Connects, and is in the room under `name`.
    async fn enter(chat: &Program, name: &str) -> Self {
        let mut client = Self::connect(chat).await;
        client.say(json!({ "type": "name", "name": name })).await;
        let welcome = client.hear().await;
        assert_eq!((&welcome["type"], &welcome["name"]), (&json!("welcome"), &json!(name)));
        client
    }

    async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message that is no ping.
    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("no text, but {other:?}"),
            }
        }
    }

    /// Says goodbye, and hears it.
    async fn leave(mut self) {
        self.0.close(None).await.unwrap();
        while !matches!(self.0.next().await.unwrap().unwrap(), Message::Close(_)) {}
        assert!(self.0.next().await.is_none());
    }

    /// Reads to the close frame, and to the end of the connection that follows it.
    async fn closed(mut self) -> (u16, String) {
        let frame: CloseFrame = loop {
            match self.0.next().await {
                Some(Ok(Message::Close(frame))) => break frame.expect("a close frame says why"),
                Some(Ok(_)) => {}
                other => panic!("no close frame, but {other:?}"),
            }
        };
        assert!(self.0.next().await.is_none());
        (frame.code.into(), frame.reason.to_string())
    }
}

fn start() -> Program {
    Program::start("websocket", &[])
}

/// Ends it, and checks what it says of its connections.
#[track_caller]
fn end(chat: Program, summary: &str) {
    let ended = chat.end(Signal::INT);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.said.trim_end(), &*ended.complained), (summary, ""));
}

#[test]
fn members_hear_each_other_and_themselves_in_one_order() {
    let chat = start();
    run(async {
        let mut ann = Client::connect(&chat).await;
        ann.say(json!({ "type": "name", "name": "ann" })).await;
        assert_eq!(ann.hear().await, json!({ "type": "welcome", "name": "ann", "members": ["ann"] }));
        let mut bob = Client::connect(&chat).await;
        bob.say(json!({ "type": "name", "name": "bob" })).await;
        assert_eq!(bob.hear().await, json!({ "type": "welcome", "name": "bob", "members": ["ann", "bob"] }));
        assert_eq!(ann.hear().await, json!({ "type": "came", "name": "bob" }));
        for (from, text) in [("ann", "hello, bob"), ("bob", "<b>hello</b>, \"ann\"\u{202e}")] {
            let speaker = if from == "ann" { &mut ann } else { &mut bob };
            speaker.say(json!({ "type": "say", "text": text })).await;
            for client in [&mut ann, &mut bob] {
                assert_eq!(client.hear().await, json!({ "type": "said", "from": from, "text": text }));
            }
        }
        bob.0.close(None).await.unwrap();
        assert_eq!(ann.hear().await, json!({ "type": "left", "name": "bob" }));
        drop(ann);
    });
}

#[test]
fn a_name_is_nobody_elses_and_can_be_changed() {
    let chat = start();
    run(async {
        let (mut ann, mut bob) = (Client::enter(&chat, "ann").await, Client::connect(&chat).await);
        let refused = |reason: &str| json!({ "type": "refused", "reason": reason });
        bob.say(json!({ "type": "say", "text": "hello" })).await;
        assert_eq!(bob.hear().await, refused("a name comes first"));
        bob.say(json!({ "type": "name", "name": "ann" })).await;
        assert_eq!(bob.hear().await, refused("that name is taken"));
        for name in ["", " ", "two words", "<b>", "a-name-that-is-very-much-too-long", "\u{202e}"] {
            bob.say(json!({ "type": "name", "name": name })).await;
            assert_eq!(bob.hear().await, refused("a name is letters and digits, 24 bytes at most"), "{name}");
        }
        for message in ["", "hello", "{}", r#"{"type":"dance"}"#, r#"{"type":"name"}"#, "[1"] {
            bob.send(Message::text(message)).await;
            assert_eq!(bob.hear().await, refused("that is no message of this chat"), "{message}");
        }
        bob.say(json!({ "type": "name", "name": " bob " })).await;
        assert_eq!(bob.hear().await, json!({ "type": "welcome", "name": "bob", "members": ["ann", "bob"] }));
        assert_eq!(ann.hear().await, json!({ "type": "came", "name": "bob" }));
        ann.say(json!({ "type": "name", "name": "anna" })).await;
        assert_eq!(ann.hear().await, json!({ "type": "welcome", "name": "anna", "members": ["anna", "bob"] }));
        assert_eq!(bob.hear().await, json!({ "type": "renamed", "from": "ann", "name": "anna" }));
        // The name is free again; nobody has left.
        Client::enter(&chat, "ann").await;
        assert_eq!(bob.hear().await, json!({ "type": "came", "name": "ann" }));
    });
}

#[test]
fn a_message_that_is_too_long_is_the_end_and_says_so() {
    let chat = start();
    run(async {
        let mut other = Client::enter(&chat, "other").await;
        let longest = json!({ "type": "say", "text": "x".repeat(4_096 - 24) });
        assert_eq!(longest.to_string().len(), 4_096);
        other.say(longest).await;
        assert_eq!(other.hear().await["text"].as_str().unwrap().len(), 4_096 - 24);

        let mut client = Client::connect(&chat).await;
        client.send(Message::text("x".repeat(4_097))).await;
        assert_eq!(client.closed().await, (1009, "a message has 4096 bytes at most".to_owned()));
        // In pieces it is not shorter.
        let mut client = Client::enter(&chat, "pieces").await;
        assert_eq!(other.hear().await["type"], "came");
        let pieces = (0..9).map(|index| frame(if index == 0 { 0x01 } else { 0x00 }, &[b'x'; 512]));
        client.0.get_mut().write_all_frames(pieces).await;
        assert_eq!(client.closed().await.0, 1009);
        assert_eq!(other.hear().await, json!({ "type": "left", "name": "pieces" }));
        other.leave().await;
    });
    end(chat, "connections: 3, failed: 2 (invalid data: 2)");
}

/// The server reads what it does not want: a socket that is closed with something unread resets the connection, and the
/// client would not hear why.
#[test]
fn who_sends_far_too_much_still_hears_why() {
    let chat = start();
    let mut stream = upgraded(&chat, bounded(std::net::TcpStream::connect(chat.addr()).unwrap()));
    let mut huge = vec![0x81, 0x80 | 127];
    huge.extend_from_slice(&(8_u64 << 20).to_be_bytes());
    huge.resize(14 + (8 << 20), 0);
    stream.write_all(&huge).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    // A close frame whose first two bytes are 1009, maybe behind a ping.
    let close = heard.strip_prefix(&[0x89, 0]).unwrap_or(&heard);
    assert!(close.starts_with(&[0x88, 34, 3, 241]), "{heard:?}");
}

#[test]
fn what_is_no_message_is_the_end_and_says_so() {
    let chat = start();
    run(async {
        let mut client = Client::connect(&chat).await;
        client.send(Message::binary(vec![1, 2, 3])).await;
        assert_eq!(client.closed().await, (1003, "text is all that there is".to_owned()));
        for (bytes, code) in [
            // Unmasked; a reserved opcode; no UTF-8; a piece of nothing.
            (vec![0x81, 2, b'h', b'i'], 1002),
            (frame(0x83, b"hi"), 1002),
            (frame(0x81, b"\xff\xfe"), 1007),
            (frame(0x80, b"hi"), 1002),
        ] {
            let mut client = Client::connect(&chat).await;
            client.0.get_mut().write_all_frames([bytes.clone()]).await;
            assert_eq!(client.closed().await.0, code, "{bytes:?}");
        }
        Client::enter(&chat, "still-there").await;
    });
}

/// Writes what tungstenite would not.
trait WriteFrames {
    async fn write_all_frames(&mut self, frames: impl IntoIterator<Item = Vec<u8>>);
}

impl WriteFrames for TcpStream {
    async fn write_all_frames(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) {
        for frame in frames {
            futures::AsyncWriteExt::write_all(self, &frame).await.unwrap();
        }
    }
}

/// A small frame of a client, masked with zeros. `first` is the opcode and the bit for the last piece.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        _ => frame.extend([0x80 | 126, (length >> 8) as u8, length as u8]),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[test]
fn who_answers_pings_stays_and_who_does_not_goes() {
    let chat = Program::start("websocket", &["--ping", "1000"]);
    // Reads, but answers nothing.
    let mut silent = upgraded(&chat, bounded(std::net::TcpStream::connect(chat.addr()).unwrap()));
    let silent = thread::spawn(move || {
        let mut heard = Vec::new();
        silent.read_to_end(&mut heard).unwrap();
        heard
    });
    run(async {
        let mut client = Client::enter(&chat, "ann").await;
        // It came later, and is there when the other is gone.
        while !silent.is_finished() {
            assert!(matches!(client.0.next().await, Some(Ok(Message::Ping(_)))));
        }
        client.say(json!({ "type": "say", "text": "still here" })).await;
        assert_eq!(client.hear().await["text"], "still here");
        client.leave().await;
    });
    let heard = silent.join().unwrap();
    assert!(heard.starts_with(&[0x89, 0, 0x89, 0]), "no pings: {heard:?}");
    assert!(heard.ends_with(b"\x88\x15\x03\xf0no answer to a ping"), "no close frame with 1008: {heard:?}");
    end(chat, "connections: 2, failed: 1 (timed out: 1)");
}

/// `stream`, after the handshake: a client without tungstenite, which would answer pings.
fn upgraded(chat: &Program, mut stream: std::net::TcpStream) -> std::net::TcpStream {
    stream.write_all(handshake(chat, "").as_bytes()).unwrap();
    let answer = head(&mut stream);
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    // The example of RFC 6455.
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    stream
}

/// The head of an answer, in small letters.
fn head(stream: &mut std::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

const CLOSE: &str = "connection: close\r\n";

fn handshake(chat: &Program, headers: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n{headers}\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        chat.addr()
    )
}

/// The answer to a request on a connection of its own, its head in small letters.
fn answer(chat: &Program, request: &str) -> String {
    let mut stream = chat.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = head(&mut stream);
    if !answer.starts_with("http/1.1 101 ") {
        stream.read_to_string(&mut answer).unwrap();
    }
    answer
}

#[test]
fn pages_of_other_sites_are_refused() {
    let chat = start();
    let addr = chat.addr();
    for origin in [
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        "",
        &format!("ftp://{addr}"),
        &format!("http://{addr}.evil.example"),
    ] {
        let answer = answer(&chat, &handshake(&chat, &format!("origin: {origin}\r\n{CLOSE}")));
        assert!(answer.starts_with("http/1.1 403 "), "{origin}: {answer}");
        assert!(answer.ends_with("pages of other sites may not open this WebSocket\n"), "{answer}");
    }
    for origin in [format!("http://{addr}"), format!("https://{addr}"), format!("HTTP://{addr}").to_lowercase()] {
        let answer = answer(&chat, &handshake(&chat, &format!("origin: {origin}\r\n")));
        assert!(answer.starts_with("http/1.1 101 "), "{origin}: {answer}");
    }
}

#[test]
fn what_asks_for_something_else_is_told_what_there_is() {
    let chat = start();
    let ask = |request: &str| answer(&chat, &format!("{request}host: here\r\n{CLOSE}\r\n"));
    let plain = ask("GET /ws HTTP/1.1\r\n");
    assert!(plain.starts_with("http/1.1 426 "), "{plain}");
    for header in ["\r\nupgrade: websocket\r\n", "\r\nsec-websocket-version: 13\r\n"] {
        assert!(plain.contains(header), "no {header} in {plain}");
    }
    let old = answer(&chat, &handshake(&chat, CLOSE).replace("version: 13", "version: 8"));
    assert!(old.starts_with("http/1.1 426 "), "{old}");
    let short = answer(&chat, &handshake(&chat, CLOSE).replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"));
    assert!(short.starts_with("http/1.1 400 "), "{short}");
    assert!(ask("GET /elsewhere HTTP/1.1\r\n").starts_with("http/1.1 404 "));
    let post = ask("POST / HTTP/1.1\r\n");
    assert!(post.starts_with("http/1.1 405 ") && post.contains("\r\nallow: get, head\r\n"), "{post}");
    for (path, kind) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let page = ask(&format!("GET {path} HTTP/1.1\r\n"));
        assert!(page.starts_with("http/1.1 200 "), "{page}");
        assert!(page.contains(&format!("\r\ncontent-type: {kind}; charset=utf-8\r\n")), "{page}");
        assert!(page.contains("\r\ncontent-security-policy: default-src 'none'; script-src 'self'; "), "{page}");
    }
}

/// A member whose system keeps little for it, and who reads nothing so far.
async fn slow(chat: &Program) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&chat.addr().into()).unwrap();
    let mut slow = Client::over(TcpStream::from_std(socket.into()).unwrap(), chat).await;
    slow.say(json!({ "type": "name", "name": "slow" })).await;
    slow
}

#[test]
fn who_never_reads_holds_nobody_up_and_is_told() {
    let chat = Program::start("websocket", &["--ping", "3600000"]);
    run(async {
        let mut ann = Client::enter(&chat, "ann").await;
        let mut slow = slow(&chat).await;
        assert_eq!(ann.hear().await["name"], "slow");
        // Far more than the buffers between the server and the member hold.
        let before = memory(&chat);
        for number in 0..4_000 {
            let text = format!("{number:05}{}", "x".repeat(3_000));
            ann.say(json!({ "type": "say", "text": text })).await;
            assert_eq!(ann.hear().await, json!({ "type": "said", "from": "ann", "text": text }));
        }
        grown_little(&chat, before);
        // Who begins to read after all is told what is missing.
        let count = loop {
            let heard = slow.hear().await;
            if heard["type"] == "missed" {
                assert_eq!(heard["members"], json!(["ann", "slow"]));
                break heard["count"].as_u64().unwrap();
            }
        };
        assert!((1..4_000).contains(&count), "{count}");
    });
}

#[test]
fn who_asks_for_pages_and_never_reads_is_let_go() {
    let chat = Program::start("websocket", &["--ping", "100", "--idle-timeout", "500"]);
    let mut client = chat.connect();
    let requests = "GET /page.js HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    // Soon there is no room any more, in the systems of both.
    let error = loop {
        if let Err(error) = client.write_all(requests.as_bytes()) {
            break error;
        }
    };
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
}

#[test]
fn who_pings_and_never_reads_costs_little() {
    let chat = Program::start("websocket", &["--ping", "3600000"]);
    let mut ann = run(Client::enter(&chat, "ann"));
    let mut flood = upgraded(&chat, bounded(std::net::TcpStream::connect(chat.addr()).unwrap()));
    let before = memory(&chat);
    let ping = frame(0x89, &[b'x'; 125]);
    let pings = ping.repeat(1_000);
    for _ in 0..200 {
        flood.write_all(&pings).unwrap();
    }
    let name = json!({ "type": "name", "name": "flood" }).to_string();
    flood.write_all(&frame(0x81, name.as_bytes())).unwrap();
    run(async { assert_eq!(ann.hear().await["name"], "flood") });
    grown_little(&chat, before);
}

/// Fails where the server has grown by what nobody reads.
#[track_caller]
fn grown_little(chat: &Program, before: usize) {
    let grown = memory(chat).saturating_sub(before);
    // A sanitizer keeps what was freed.
    if std::env::var_os("POLLYWOG_SANITIZER").is_none() {
        assert!(grown < 4 << 20, "the server keeps what nobody reads: {grown} bytes more");
    }
}

/// The memory of the server, in bytes.
fn memory(chat: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", chat.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn everybody_hears_that_the_server_goes() {
    let chat = start();
    let _watchdog = Watchdog::start();
    run(async {
        let (mut ann, mut bob) = (Client::enter(&chat, "ann").await, Client::enter(&chat, "bob").await);
        assert_eq!(ann.hear().await["type"], "came");
        ann.say(json!({ "type": "say", "text": "one more thing" })).await;
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.hear().await["text"], "one more thing");
        }
        let ending = thread::spawn(move || end(chat, "connections: 2, failed: 0"));
        for mut client in [ann, bob] {
            // Nothing of who else has left: that is not news any more.
            let close = client.0.next().await;
            let Some(Ok(Message::Close(Some(frame)))) = close else { panic!("{close:?}") };
            assert_eq!((u16::from(frame.code), &*frame.reason), (1001, "the server ends"));
            assert!(client.0.next().await.is_none());
        }
        ending.join().unwrap();
    });
}

#[test]
fn the_page_talks_with_a_member_and_comes_back_after_a_restart() {
    let Some(mut page) = Browser::start("the_page_talks_with_a_member_and_comes_back_after_a_restart") else { return };
    let chat = start();
    let addr = chat.addr();
    let mut ann = run(Client::enter(&chat, "ann"));
    page.open(&format!("http://{addr}/"));
    let enter = "document.getElementById('name').value = NAME; document.getElementById('enter').requestSubmit()";

    // A name that is taken can be given up for another.
    page.evaluate(&enter.replace("NAME", "'ann'"));
    page.wait_until("document.getElementById('refusal').textContent === 'that name is taken'");
    page.evaluate(&enter.replace("NAME", "'browser'"));
    page.wait_until("document.getElementById('state').textContent === 'connected as browser'");
    assert_eq!(
        page.evaluate("[...document.querySelectorAll('#members li')].map((item) => item.textContent)"),
        json!(["ann", "browser"])
    );

    page.evaluate("document.getElementById('text').value = 'hello from the page'; document.getElementById('speak').requestSubmit()");
    let markup = "<img src=x onerror=alert(1)> & <b>bold</b>";
    run(async {
        assert_eq!(ann.hear().await, json!({ "type": "came", "name": "browser" }));
        assert_eq!(ann.hear().await, json!({ "type": "said", "from": "browser", "text": "hello from the page" }));
        ann.say(json!({ "type": "say", "text": markup })).await;
    });
    // What looks like HTML is shown as it was written.
    page.wait_until("document.querySelectorAll('#log li span').length === 2");
    let said = page.evaluate(
        "[...document.querySelectorAll('#log li')].map((item) => [...item.children].map((part) => part.textContent))",
    );
    assert_eq!(said, json!([["browser", "hello from the page"], ["ann", markup]]));
    assert_eq!(page.evaluate("document.querySelectorAll('#log img, #log b b, #log span *').length"), 0);
    assert_eq!(page.complaints(), [""; 0]);

    drop(ann);
    page.wait_until("document.getElementById('log').lastChild.textContent === 'ann has left'");
    let colour = "getComputedStyle(document.body).backgroundColor";
    page.set_dark(false);
    let light = page.evaluate(colour);
    page.set_dark(true);
    assert_ne!(page.evaluate(colour), light);

    assert!(chat.end(Signal::TERM).status.success());
    page.wait_until("document.getElementById('state').textContent.startsWith('no connection: again in ')");
    page.wait_until(
        "[...document.querySelectorAll('#log .notice')].some((item) => item.textContent === 'the server has ended')",
    );
    // Somebody else has the port only if this fails.
    let chat = Program::start_on("websocket", &addr.to_string(), &[]);
    page.wait_until("document.getElementById('state').textContent === 'connected as browser'");
    let mut ann = run(Client::enter(&chat, "ann"));
    page.wait_until("document.getElementById('log').lastChild.textContent === 'ann is here'");
    page.evaluate(
        "document.getElementById('text').value = 'I am back'; document.getElementById('speak').requestSubmit()",
    );
    run(async { assert_eq!(ann.hear().await["text"], "I am back") });
}

#[test]
fn what_makes_no_sense_is_one_line() {
    program::run("websocket", &["--addr", "nonsense"])
        .failed_with(2, "websocket: invalid value 'nonsense' for '--addr");
    program::run("websocket", &["--ping", "0"]).failed_with(2, "--ping");
    let help = program::run("websocket", &["--help"]);
    for word in ["--addr", "127.0.0.1:7010", "--ping"] {
        assert!(help.said.contains(word), "{help:?}");
    }
}
