//! Two signals to a server among the examples: the first ends it in good order, the second at once.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use pollywog_tests::folder::Folder;
use pollywog_tests::limits::skip;
use pollywog_tests::program::{LIMIT, Program, Signal, path};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, kill_process};

/// Both are there before the loop can turn again: it is the handler that ends the process.
#[test]
fn a_second_signal_kills() {
    let echo = Program::start("echo", &[]);
    let mut stream = echo.connect();
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    for signal in [Signal::STOP, Signal::INT, Signal::TERM] {
        kill_process(Pid::from_raw(echo.id() as i32).unwrap(), signal).unwrap();
    }
    let ended = echo.end(Signal::CONT);
    let killed_by = ended.status.signal();
    assert!([Signal::INT, Signal::TERM].map(|signal| Some(signal.as_raw())).contains(&killed_by), "{ended:?}");
    assert_eq!(ended.said, "", "and does not end in good order");
}

/// Whoever reads the line may send a signal at once. Here it comes while the line is being written: it does not fit.
#[test]
fn a_signal_at_the_first_line_ends_every_server_in_good_order() {
    if fs::read_to_string("/proc/self/syscall").is_err() {
        return skip("a_signal_at_the_first_line_ends_every_server_in_good_order", "it needs /proc/PID/syscall");
    }
    let folder = Folder::new();
    let socket = folder.file("socket").into_os_string().into_string().unwrap();
    let addr = ["--addr", "127.0.0.1:0"];
    for (example, arguments) in [
        ("axum", &addr[..]),
        ("chat", &addr),
        ("echo", &addr),
        ("http", &addr),
        ("kv", &addr),
        ("multicore", &addr),
        ("proxy", &["--addr", "127.0.0.1:0", "--to", "127.0.0.1:1"]),
        ("tls", &addr),
        ("udp_echo", &addr),
        ("unix_echo", &["--path", &socket]),
        ("websocket", &addr),
    ] {
        let (reader, writer) = pipe().unwrap();
        fill(&writer);
        let mut command = Command::new(path(example));
        command.args(arguments).stdin(Stdio::null()).stdout(writer);
        let mut server = Running(command.spawn().unwrap());
        // It holds the writing end.
        drop(command);
        server.waits_in_a_write();
        server.signal(Signal::TERM);
        let said = rest_of(reader);
        let status = server.0.wait().unwrap();
        assert!(status.success(), "{example}: {status}: {said:?}");
        assert!(said.starts_with("listening on "), "{example} says something else first: {said:?}");
    }
}

/// Writes zero bytes until there is no room.
fn fill(mut writer: &PipeWriter) {
    let flags = fcntl_getfl(writer).unwrap();
    fcntl_setfl(writer, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(error) = writer.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    fcntl_setfl(writer, flags).unwrap();
}

/// What stands in the pipe after the zero bytes, to its end; fails when that does not come.
fn rest_of(mut reader: PipeReader) -> String {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        sender.send(said)
    });
    receiver.recv_timeout(LIMIT).expect("it ends").trim_start_matches('\0').to_owned()
}

/// Killed when it is dropped.
struct Running(Child);

impl Running {
    /// Waits until its first thread is kept by a write to its standard output.
    fn waits_in_a_write(&mut self) {
        let write = if cfg!(target_arch = "x86_64") { "1" } else { "64" };
        let begun = Instant::now();
        loop {
            let call = fs::read_to_string(format!("/proc/{}/syscall", self.0.id())).unwrap_or_default();
            let mut words = call.split(' ');
            if (words.next(), words.next()) == (Some(write), Some("0x1")) {
                return;
            }
            assert_eq!(self.0.try_wait().unwrap(), None, "it ends before it says that it listens");
            assert!(begun.elapsed() < LIMIT, "it says nothing: {call}");
            thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.0.id() as i32).unwrap(), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a process that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
