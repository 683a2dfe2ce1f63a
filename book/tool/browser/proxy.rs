//! A proxy that answers nothing and notes who was asked for.
//!
//! The pages are opened as files, so whatever reaches the proxy goes to another host.

use std::io::{self, BufRead, BufReader, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What Chromium asks for on its own account, whichever page is open. The exact names: a page that loads a font from
/// another host of the same owner is still found.
const OF_THE_BROWSER: [&str; 6] = [
    "accounts.google.com",
    "clients2.google.com",
    "clientservices.googleapis.com",
    "optimizationguide-pa.googleapis.com",
    "safebrowsingohttpgateway.googleapis.com",
    "update.googleapis.com",
];

/// The name under which the proxy asks itself.
const ITSELF: &str = "proxy.invalid";

#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    hosts: Vec<String>,
    served: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a port of the loopback interface until the program ends.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let noted = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noting = Arc::clone(&noted);
                let served = thread::spawn(move || serve(&stream, &noting));
                lock(&noted).served.push(served);
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts that were asked for since the last time, by browsers that have ended.
    pub(super) fn take(&self) -> io::Result<Vec<String>> {
        // Connections are accepted in their order: once the second of two is answered, whatever came before them
        // stands in the list of those served.
        for _ in 0..2 {
            ask(self.address, &format!("CONNECT {ITSELF}:1 HTTP/1.1"))?;
        }
        let served = mem::take(&mut lock(&self.shared).served);
        for thread in served {
            // A thread that panicked has noted nothing, as one whose browser said nothing.
            let _ = thread.join();
        }
        let mut hosts = mem::take(&mut lock(&self.shared).hosts);
        hosts.sort();
        hosts.dedup();
        Ok(hosts)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends the first line of a request, and waits for the end of the answer.
fn ask(proxy: SocketAddr, line: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.write_all(format!("{line}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}

fn serve(mut stream: &TcpStream, shared: &Mutex<Shared>) {
    // A browser may open a connection ahead of need and say nothing.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).is_ok()
        && let Some(host) = host(&line)
        && host != ITSELF
        && !OF_THE_BROWSER.contains(&host)
    {
        lock(shared).hosts.push(host.to_owned());
    }
    let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/// The host that the first line of a request to a proxy names.
fn host(line: &str) -> Option<&str> {
    let target = line.split(' ').nth(1)?;
    let authority = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = authority.split('/').next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_from_both_kinds_of_requests() {
        assert_eq!(host("CONNECT example.org:443 HTTP/1.1\r\n"), Some("example.org"));
        assert_eq!(host("GET http://example.org/a:b HTTP/1.1\r\n"), Some("example.org"));
        assert_eq!(host("nonsense"), None);
    }

    #[test]
    fn a_request_is_noted_once() {
        let proxy = Proxy::start().unwrap();
        for _ in 0..2 {
            let answer = ask(proxy.address(), "CONNECT example.org:443 HTTP/1.1").unwrap();
            assert!(answer.contains("502"));
        }
        assert_eq!(proxy.take().unwrap(), ["example.org"]);
        assert_eq!(proxy.take().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_request_whose_sender_has_gone_is_noted() {
        let proxy = Proxy::start().unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"GET http://example.org/ HTTP/1.1\r\n\r\n").unwrap();
        drop(stream);
        assert_eq!(proxy.take().unwrap(), ["example.org"]);
    }
}
