//! What the kernel holds for a program that runs: the queues of its sockets, and whether it sleeps. Nobody asks the
//! program.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, kill_process, prlimit};

use crate::program::{LIMIT, Program, Signal};

/// The far side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Bytes that have come and were not read.
    pub unread: usize,
    /// Whether the near side has closed, and the far side has not.
    pub close_wait: bool,
}

/// The far side of `client`, be it accepted or not; `None` where the program has closed it.
pub fn queues(client: &TcpStream) -> Option<Queues> {
    let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    let line = lines().find(|line| (line.local, line.remote) == (far, near))?;
    Some(Queues { unread: line.receive, close_wait: line.state == CLOSE_WAIT })
}

/// How long until the far side of `client` is asked by the system whether it is still there (TCP's keepalive), once it has
/// acknowledged all; `None` where that is never.
pub fn keepalive(client: &TcpStream) -> Option<Duration> {
    let ends = (client.peer_addr().unwrap(), client.local_addr().unwrap());
    let timer = until("all is acknowledged", || {
        let line = lines().find(|line| (line.local, line.remote) == ends).expect("it is open");
        (line.timer.0 != RETRANSMIT).then_some(line.timer)
    });
    (timer.0 == KEEPALIVE).then_some(timer.1)
}

/// How many connections stand in the queue of the program's listener.
pub fn backlog(program: &Program) -> usize {
    let listener = lines().find(|line| line.local == program.addr() && line.state == LISTEN);
    listener.expect("it listens").receive
}

const LISTEN: u8 = 0x0A;
const CLOSE_WAIT: u8 = 0x08;
const RETRANSMIT: u8 = 1;
const KEEPALIVE: u8 = 2;
/// A tick of the times in that table.
const TICK: Duration = Duration::from_millis(10);

/// A line of `/proc/net/tcp`, as `proc_pid_net(5)` tells.
struct Line {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    receive: usize,
    /// What it does next by itself, and when.
    timer: (u8, Duration),
}

fn lines() -> impl Iterator<Item = Line> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines: Vec<_> = table.lines().skip(1).map(|line| parse(line).unwrap_or_else(|| panic!("{line}"))).collect();
    lines.into_iter()
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote) = (addr(words.next()?)?, addr(words.next()?)?);
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let (_, receive) = words.next()?.split_once(':')?;
    let receive = usize::from_str_radix(receive, 16).ok()?;
    let (kind, ticks) = words.next()?.split_once(':')?;
    let timer = (u8::from_str_radix(kind, 16).ok()?, TICK * u32::from_str_radix(ticks, 16).ok()?);
    Some(Line { local, remote, state, receive, timer })
}

/// The address is one number in the machine's order, the port one in everybody's.
fn addr(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(ip, u16::from_str_radix(port, 16).ok()?).into())
}

/// Asks until `answer` is there. For what another process is about to do.
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        thread::yield_now();
    }
}

/// Waits until the program sleeps over bytes of `client`, and gives their number.
pub fn asleep_over(program: &Program, client: &TcpStream) -> usize {
    until("it sleeps over unread bytes", || sleeps_over(program, client))
}

/// How many bytes of `client` stand unread while the program sleeps. A program of one thread that would read them is
/// awake from the moment at which they arrive.
pub fn sleeps_over(program: &Program, client: &TcpStream) -> Option<usize> {
    let before = queues(client)?.unread;
    (before > 0 && state(program) == 'S' && queues(client)?.unread == before).then_some(before)
}

/// Waits until the program sleeps.
pub fn asleep(program: &Program) {
    until("it sleeps", || (state(program) == 'S').then_some(()));
}

/// What happens in `body` happens while the program stands still, so that it finds all of it at once.
pub fn held<T>(program: &Program, body: impl FnOnce() -> T) -> T {
    let id = Pid::from_raw(program.id() as i32).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    until("it stops", || (state(program) == 'T').then_some(()));
    let result = body();
    kill_process(id, Signal::CONT).unwrap();
    result
}

/// How many descriptors the program has open.
pub fn descriptors(program: &Program) -> usize {
    fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap().count()
}

/// Lets the program have no descriptor beyond those that it has.
pub fn allow_no_more_descriptors(program: &Program) {
    let open = fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap();
    let open: BTreeSet<u64> = open.map(|fd| fd.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    // Numbers below the limit are given out, the lowest that is free first.
    let limit = (0..).find(|number| !open.contains(number));
    prlimit(Pid::from_raw(program.id() as i32), Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();
}

/// `R` runs, `S` sleeps, `T` is stopped: the field after the name, which stands in brackets.
fn state(program: &Program) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.chars().next().unwrap()
}
