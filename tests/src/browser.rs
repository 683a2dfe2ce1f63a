//! Chromium without a window, driven over a pipe by its DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::limits::skip;
use crate::program::LIMIT;

/// A browser with one page. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    session: Value,
    complaints: Vec<String>,
    /// Its profile.
    _folder: Folder,
}

impl Browser {
    /// Starts it, if it is installed: otherwise the test is skipped, and fails under CI.
    pub fn start(test: &str) -> Option<Self> {
        let Some(program) = installed() else {
            skip(test, "it needs Chromium (`apt-get install chromium`)");
            return None;
        };
        let folder = Folder::new();
        let mut command = Command::new("sh");
        // It speaks the protocol on the descriptors 3 and 4.
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, program, "--remote-debugging-pipe"]);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", folder.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            // Each message ends with a zero byte.
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let _ = sender.send(serde_json::from_slice(&message).expect("Chromium speaks JSON"));
            }
        });
        let (calls, session, complaints) = (0, Value::Null, Vec::new());
        let mut browser = Self { child, input, messages, calls, session, complaints, _folder: folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].take();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].clone();
        for domain in ["Page.enable", "Log.enable", "Runtime.enable"] {
            browser.call(domain, json!({}));
        }
        Some(browser)
    }

    /// Opens a page, and waits until its scripts have run.
    pub fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({ "url": url }));
        assert_eq!(answer["errorText"], Value::Null, "{url}: {answer}");
        while self.message()["method"] != "Page.loadEventFired" {}
    }

    /// The value of a JavaScript expression in the page; that of a promise is waited for.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true, which is looked at each time that something in the page changes.
    #[track_caller]
    pub fn wait_until(&mut self, expression: &str) {
        let limit = LIMIT.as_millis() / 2;
        let promise = format!(
            "new Promise((resolve) => {{
               const look = () => {{ if ({expression}) {{ observer.disconnect(); resolve(true); }} }};
               const observer = new MutationObserver(look);
               observer.observe(document, {{ attributes: true, characterData: true, childList: true, subtree: true }});
               setTimeout(() => resolve(false), {limit});
               look();
             }})"
        );
        let is_so = self.evaluate(&promise);
        assert_eq!(is_so, true, "not so: {expression}, but: {}", self.evaluate("document.body.innerText"));
    }

    /// Whether the reader's system asks for dark colours.
    pub fn set_dark(&mut self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// What the page's console was told so far: errors of scripts, what the page's policy forbade, what was not found.
    pub fn complaints(&mut self) -> Vec<String> {
        // What was told before has arrived with the answer.
        self.evaluate("0");
        std::mem::take(&mut self.complaints)
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).expect("Chromium runs");
        loop {
            let mut answer = self.message();
            if answer["id"] == id {
                assert_eq!(answer["error"], Value::Null, "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    #[track_caller]
    fn message(&mut self) -> Value {
        let message = self.messages.recv_timeout(LIMIT).expect("Chromium answers");
        if ["Log.entryAdded", "Runtime.exceptionThrown"].iter().any(|method| message["method"] == *method) {
            self.complaints.push(message["params"].to_string());
        }
        message
    }
}

fn installed() -> Option<&'static str> {
    let is_there = |program: &&str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its own processes.
        let _ = self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let closed = (0..500).any(|_| {
            thread::sleep(Duration::from_millis(20));
            self.child.try_wait().is_ok_and(|status| status.is_some())
        });
        if !closed {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
