//! Names of the test's own: a name server on 127.0.0.1:53 of a network namespace that the system's resolver asks, and
//! that answers when it is told to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use crate::limits::skip;
use crate::namespace::in_namespace;
use crate::net::{inside, run_child};

/// What only this process and its children see: the resolver asks 127.0.0.1, nothing else, and is patient.
const ENTER: [&str; 6] = [
    "unshare",
    "--mount",
    "--",
    "sh",
    "-c",
    "mount -t tmpfs none /mnt \
     && printf 'nameserver 127.0.0.1\nsearch .\noptions timeout:30\n' >/mnt/resolv.conf \
     && printf 'hosts: dns\n' >/mnt/nsswitch.conf \
     && mount --bind /mnt/resolv.conf /etc/resolv.conf \
     && mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf \
     && exec env \"$0\" \"$@\"",
];

/// Runs `body` in a process of its own, as [`in_namespace`], with `environment` (`NAME=VALUE`), where names are those
/// of `zone`: a name and its addresses, in text.
///
/// Where namespaces cannot be had, the test is skipped with a line that says so; under CI it fails.
pub fn with_names(test: &str, environment: &[&str], zone: &[(&str, &[&str])], body: impl FnOnce(NameServer)) {
    in_namespace(test, || {
        if inside(test).as_deref() == Some("names") {
            return body(NameServer::start(zone));
        }
        let mut probe = Command::new(ENTER[0]);
        probe.args(&ENTER[1..]).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
        if probe.status().is_ok_and(|status| status.success()) {
            run_child(&[&ENTER, environment].concat(), test, "names");
        } else {
            skip(test, "it needs a mount namespace (`unshare --mount`, as root)");
        }
    });
}

/// The server. What it is asked for and does not know does not exist.
#[derive(Debug)]
pub struct NameServer {
    /// Each name that is asked for, once for each look-up.
    pub asked: UnboundedReceiver<String>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    zone: HashMap<String, Vec<IpAddr>>,
    /// Questions for names that are not to be answered yet.
    held: Mutex<HashMap<String, Vec<Question>>>,
}

#[derive(Debug)]
struct Question {
    packet: Vec<u8>,
    name: String,
    kind: u16,
    from: SocketAddr,
}

/// The kinds of question that a look-up asks.
const A: u16 = 1;
const AAAA: u16 = 28;

impl NameServer {
    fn start(zone: &[(&str, &[&str])]) -> Self {
        let addresses = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let zone = zone.iter().map(|&(name, list)| (name.to_owned(), addresses(list))).collect();
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        let shared = Arc::new(Shared { socket, zone, held: Mutex::default() });
        let (sender, asked) = unbounded();
        let serving = shared.clone();
        thread::spawn(move || serving.serve(&sender));
        Self { asked, shared }
    }

    /// Does not answer questions for `name` from now on.
    pub fn hold(&self, name: &str) {
        self.shared.held.lock().unwrap().entry(name.to_owned()).or_default();
    }

    /// Answers them, those that have come and those that will.
    pub fn release(&self, name: &str) {
        let questions = self.shared.held.lock().unwrap().remove(name).expect("it is held");
        questions.iter().for_each(|question| self.shared.answer(question));
    }
}

impl Shared {
    fn serve(&self, asked: &UnboundedSender<String>) {
        let mut buffer = [0; 512];
        loop {
            let (count, from) = self.socket.recv_from(&mut buffer).unwrap();
            let question = Question::new(buffer[..count].to_vec(), from);
            let mut held = self.held.lock().unwrap();
            // Both kinds are asked for; nobody listens any more when the test is over.
            if question.kind == A {
                let _ = asked.unbounded_send(question.name.clone());
            }
            match held.get_mut(&question.name) {
                Some(questions) => questions.push(question),
                None => self.answer(&question),
            }
        }
    }

    fn answer(&self, question: &Question) {
        const NO_SUCH_NAME: u8 = 3;

        let known = self.zone.get(&question.name);
        let fits = |addr: &&IpAddr| question.kind == if addr.is_ipv4() { A } else { AAAA };
        let addresses: Vec<_> = known.into_iter().flatten().filter(fits).collect();
        let code = if known.is_some() { 0 } else { NO_SUCH_NAME };

        let mut packet = question.packet.clone();
        // An answer, recursive, with one question repeated and nothing but answers after it.
        packet[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
        for addr in addresses {
            let bytes = match addr {
                IpAddr::V4(addr) => addr.octets().to_vec(),
                IpAddr::V6(addr) => addr.octets().to_vec(),
            };
            // The name of the question, its kind, the internet, good for no time.
            packet.extend([0xC0, 12, 0, question.kind as u8, 0, 1, 0, 0, 0, 0, 0, bytes.len() as u8]);
            packet.extend(bytes);
        }
        self.socket.send_to(&packet, question.from).unwrap();
    }
}

impl Question {
    fn new(mut packet: Vec<u8>, from: SocketAddr) -> Self {
        let (mut labels, mut at) = (Vec::new(), 12);
        while packet[at] != 0 {
            let end = at + 1 + usize::from(packet[at]);
            labels.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
            at = end;
        }
        let kind = u16::from_be_bytes([packet[at + 1], packet[at + 2]]);
        packet.truncate(at + 5);
        Self { packet, name: labels.join("."), kind, from }
    }
}
