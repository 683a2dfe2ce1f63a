//! A server takes over the port of another by `SO_REUSEPORT`: what becomes of who stands in the queue of the old one.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use futures::{AsyncReadExt, AsyncWriteExt};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use pollywog_net::http::Http;
use pollywog_net::server::{Connection, Server};
use pollywog_net::signal::{SignalKind, signal};
use pollywog_net::{TcpListener, TcpSocket, TcpStream, spawn};
use pollywog_tests::load::{Habit, Load};
use pollywog_tests::namespace::{in_namespace, sysctl};
use pollywog_tests::net::{child, inside, run};
use pollywog_tests::program::Signal;
use rustix::process::{Pid, kill_process};

const CLIENTS: usize = 64;

/// Another socket at the same address may listen, too.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

async fn echo(mut connection: Connection) -> io::Result<()> {
    let mut byte = [0];
    connection.read_exact(&mut byte).await?;
    connection.write_all(&byte).await
}

/// How many clients are reset of those that stand in two queues when one of them is closed.
fn reset_by_a_close() -> usize {
    run(async {
        let old = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let new = listen(old.local_addr().unwrap()).unwrap();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(old.local_addr().unwrap()).await.unwrap();
            client.write_all(b"x").await.unwrap();
            clients.push(client);
        }
        drop(old);
        spawn(Server::new(new).serve(echo));
        let mut reset = 0;
        for mut client in clients {
            let mut answer = [0];
            match client.read_exact(&mut answer).await {
                Ok(()) => assert_eq!(&answer, b"x"),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => reset += 1,
                Err(error) => panic!("{error}"),
            }
        }
        reset
    })
}

/// What the kernel does by itself: about half of them stood in that queue.
#[test]
fn a_closed_listener_resets_its_queue() {
    in_namespace("a_closed_listener_resets_its_queue", || {
        sysctl("ipv4/tcp_migrate_req", "0");
        let reset = reset_by_a_close();
        assert!((1..CLIENTS).contains(&reset), "{reset}");
    });
}

#[test]
fn the_queue_goes_to_the_other_listener_where_the_kernel_is_told_so() {
    in_namespace("the_queue_goes_to_the_other_listener_where_the_kernel_is_told_so", || {
        sysctl("ipv4/tcp_migrate_req", "1");
        assert_eq!(reset_by_a_close(), 0);
    });
}

/// A process of its own that serves at `addr` until SIGTERM.
struct Process(Child);

impl Process {
    fn start(test: &str, addr: SocketAddr) -> Self {
        let mut command = child(&[], test, &addr.to_string());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self(child)
    }

    fn end(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn serve(addr: SocketAddr) -> io::Result<()> {
    let server = Server::new(listen(addr)?);
    let mut terminate = signal(SignalKind::terminate())?;
    eprintln!("listening");
    let status = server.status();
    let hello = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new("hello".to_owned())));
    let drained = Http::new().serve_until(server, hello, terminate.recv()).await?;
    assert!(drained.is_complete() && status.accepted() > 0, "{drained:?}, {status:?}");
    Ok(())
}

#[test]
fn nobody_is_lost_when_a_process_takes_over_the_port() {
    let test = "nobody_is_lost_when_a_process_takes_over_the_port";
    in_namespace(test, || {
        if let Ok(addr) = inside(test).unwrap_or_default().parse() {
            return pollywog_net::run(serve(addr)).unwrap().unwrap();
        }
        sysctl("ipv4/tcp_migrate_req", "1");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7007));
        let mut old = Process::start(test, addr);
        let load = Load::start(addr, &[Habit::Anew, Habit::Anew, Habit::Anew, Habit::Kept, Habit::Idle]);
        for _ in 0..4 {
            load.more(10);
            let new = Process::start(test, addr);
            load.more(10);
            old.end();
            old = new;
        }
        load.more(10);
        let tally = load.end();
        assert_eq!((tally.failed, &tally.failures[..]), (0, &[][..]), "of {}", tally.answered);
        old.end();
    });
}
