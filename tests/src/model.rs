//! The server models of the book, as programs, and clients for them.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use pollywog_examples::models::{MODELS, Model, Program as Made};
use rustix::process::Pid;
use rustix::thread::gettid;
use socket2::{Domain, Socket, Type};

use crate::limits::{has, has_io_uring, skip};
use crate::program::{LIMIT, Program, bounded, path};

/// The Python that finds the packages of the system.
pub const PYTHON: &str = "/usr/bin/python3";

/// Runs `check` with each of the models that are `wanted`, each started for it, and says which one it is.
pub fn each(test: &str, wanted: impl Fn(&Model) -> bool, check: impl Fn(&Model, Program)) {
    for model in MODELS.iter().filter(|model| wanted(model)) {
        // The last line that a failing test shows.
        println!("{}", model.name);
        if let Some(program) = start(test, model) {
            check(model, program);
        }
    }
}

/// Starts a model; `None`, with a line that says so, where this machine lacks what it needs.
pub fn start(test: &str, model: &Model) -> Option<Program> {
    Some(Program::start_command(model.name, command(test, model)?))
}

/// The same with as many as `count` descriptors.
pub fn start_with_descriptors(test: &str, model: &Model, count: usize) -> Option<Program> {
    let command = command(test, model)?;
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    Some(Program::start_command(model.name, limited))
}

fn command(test: &str, model: &Model) -> Option<Command> {
    if model.name == "io_uring" && !has_io_uring(test) {
        return None;
    }
    let mut command = match model.program {
        Made::Example(arguments) => {
            let mut command = Command::new(path(model.name));
            command.args(arguments);
            command
        }
        Made::Python(file, module) => {
            let module = module.unwrap_or("sys");
            let mut import = Command::new(PYTHON);
            import.args(["-c", &format!("import {module}")]).stdin(Stdio::null()).stderr(Stdio::null());
            if !import.status().is_ok_and(|status| status.success()) {
                skip(test, &format!("{} needs {PYTHON} with the module {module}", model.name));
                return None;
            }
            python(file)
        }
    };
    command.args(["--addr", "127.0.0.1:0"]);
    Some(command)
}

/// A program of `examples/python`.
pub fn python(file: &str) -> Command {
    let mut command = Command::new(PYTHON);
    // It writes no compiled files beside the sources.
    command.arg("-B").arg(format!("{}/../examples/python/{file}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// The answer to a word on this connection.
#[track_caller]
pub fn ask(stream: &mut TcpStream, word: &[u8]) {
    stream.write_all(word).unwrap();
    answer(stream, word);
}

/// Reads as many bytes as `word` has, which must be the same.
#[track_caller]
pub fn answer(stream: &mut TcpStream, word: &[u8]) {
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, word);
}

/// Whether `stream` has come to its end: the peer has closed it, or it is reset.
pub fn is_sent_away(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
    }
}

/// Whether nothing has come so far.
pub fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let result = stream.read(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// A connection to `addr` whose buffers hold 4 KiB (and what the kernel adds).
pub fn with_small_buffers(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_send_buffer_size(4 << 10).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&addr.into()).unwrap();
    bounded(socket.into())
}

/// Byte `at` of what [`Deaf`] and the long messages send.
pub fn byte(at: usize) -> u8 {
    // No period of a power of two, as buffers have.
    (at % 251) as u8
}

/// Reads to the end, and fails unless the bytes are those of [`byte`]. Gives their number.
#[track_caller]
pub fn rest(stream: &mut TcpStream) -> usize {
    let mut buffer = [0; 3000];
    let mut total = 0;
    loop {
        let count = match stream.read(&mut buffer) {
            // A read with a time limit is not begun anew after a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        if count == 0 {
            return total;
        }
        let wrong = (0..count).find(|at| buffer[*at] != byte(total + at));
        assert_eq!(wrong.map(|at| total + at), None, "the first byte that differs");
        total += count;
    }
}

/// A client that sends and does not read.
#[derive(Debug)]
pub struct Deaf {
    stream: TcpStream,
    sent: Arc<AtomicUsize>,
    sending: thread::JoinHandle<()>,
    /// The thread that sends, in `/proc`.
    thread: Pid,
}

impl Deaf {
    /// More than this fits into no pair of sockets: what takes it keeps it in its own memory.
    pub const TOO_MUCH: usize = 64 << 20;

    /// Connects, and sends as much as the server takes, on a thread of its own.
    pub fn start(program: &Program) -> Self {
        let stream = program.connect();
        let sent = Arc::new(AtomicUsize::new(0));
        let (mut writer, count) = (stream.try_clone().unwrap(), Arc::clone(&sent));
        let (tell, told) = channel();
        let sending = thread::spawn(move || {
            tell.send(gettid()).unwrap();
            // It ends when the direction is shut down.
            loop {
                let total = count.load(Ordering::Relaxed);
                // Nothing that a buffer is a multiple of: the last answer that there is room for is cut in two.
                let piece: Vec<u8> = (total..total + 4099).map(byte).collect();
                match writer.write(&piece) {
                    Ok(written) => count.store(total + written, Ordering::Relaxed),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it was held up for {LIMIT:?}"),
                    Err(_) => return,
                }
            }
        });
        Self { stream, sent, sending, thread: told.recv().unwrap() }
    }

    /// Whether there is no room for what it would send now: then, and only then, its thread sleeps.
    pub fn is_held_up(&self) -> bool {
        state(&format!("/proc/self/task/{}/stat", self.thread)) == 'S'
    }

    /// How much the server and the sockets have taken.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// It reads at last: all that it has sent comes back, and then the end.
    pub fn listen(mut self) {
        // What the sender is at may go out before the direction is shut, or not: afterwards the number stands.
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.sending.join().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        assert_eq!(rest(&mut self.stream), sent);
    }
}

/// Waits until the first thread of `program` sleeps: one that spins never does.
#[track_caller]
pub fn sleeps(program: &Program) {
    let start = Instant::now();
    while state(&format!("/proc/{}/stat", program.id())) != 'S' {
        assert!(start.elapsed() < LIMIT, "it never sleeps");
        thread::yield_now();
    }
}

/// What a thread does, as its `stat` says: `R` runs, `S` sleeps, `T` is stopped.
fn state(stat: &str) -> char {
    let stat = fs::read_to_string(stat).unwrap();
    // After the name, which is in parentheses.
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.chars().next().unwrap()
}

/// strace on the first thread of a program that runs, with these options; `None`, with a line that says so, where it may
/// not. It ends with the program.
pub fn attach(test: &str, program: &Program, options: &[&str]) -> Option<Child> {
    if !has(test, "strace") {
        return None;
    }
    let mut strace = Command::new("strace");
    strace.args(options).args(["-p", &program.id().to_string()]);
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(strace.stderr.take().unwrap()).read_line(&mut line).unwrap();
    if !line.contains("attached") {
        strace.wait().unwrap();
        skip(test, &format!("strace may not look at another process: {line}"));
        return None;
    }
    Some(strace)
}
