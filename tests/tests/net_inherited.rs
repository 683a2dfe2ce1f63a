//! Listening sockets that a process was started with: taken once, checked, and served like any other.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::server::{Connection, Inherited, Server};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{LIMIT, Watchdog, child, descriptors, inside, run};
use rustix::fs::OFlags;
use rustix::io::FdFlags;

/// Runs `test` again as a process that a service manager starts: with `given` as descriptor 3.
fn activated(test: &str, given: impl Into<OwnedFd>) {
    activated_by("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"", test, "", given.into(), None);
}

/// The same with two.
fn activated_with_two(test: &str, first: impl Into<OwnedFd>, second: impl Into<OwnedFd>) {
    let script = "exec 3<&0 4<&2 </dev/null 2>&1; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"";
    activated_by(script, test, "", first.into(), Some(second.into()));
}

fn activated_by(script: &str, test: &str, argument: &str, first: OwnedFd, second: Option<OwnedFd>) {
    let _watchdog = Watchdog::start();
    passed(started(script, test, argument, first, second), test);
}

fn started(script: &str, test: &str, argument: &str, first: OwnedFd, second: Option<OwnedFd>) -> Child {
    let mut command = child(&["sh", "-c", script], test, argument);
    command.stdin(first).stdout(Stdio::piped()).stderr(second.map_or(Stdio::piped(), Stdio::from));
    command.spawn().unwrap()
}

fn passed(child: Child, test: &str) {
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "the child: {}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no child ran '{test}':\n{out}\n{err}");
}

/// Answers the first byte of one connection, and ends.
async fn serve_one(server: Server) {
    let (served, all) = futures::channel::oneshot::channel();
    let mut served = Some(served);
    let handler = |mut connection: Connection| {
        let served = served.take().expect("one connection");
        async move {
            let mut byte = [0];
            connection.read_exact(&mut byte).await?;
            connection.write_all(&byte).await?;
            let _ = served.send(());
            Ok(())
        }
    };
    assert!(server.serve_until(all, handler).await.unwrap().is_complete());
}

fn ask(mut stream: TcpStream) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"x").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "x");
}

fn listening() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A name, what makes one, and what it is said to be.
type Kind = (&'static str, fn() -> OwnedFd, &'static str);

/// The text of the error that says what descriptor `fd` is.
fn is(fd: i32, what: &str) -> String {
    format!("descriptor {fd}, which the process was started with (LISTEN_FDS), is {what}")
}

/// The client comes before there is a process at all.
#[test]
fn who_came_before_the_process_is_served() {
    let test = "who_came_before_the_process_is_served";
    if inside(test).is_some() {
        let mut inherited = Inherited::from_env();
        return run(async move {
            let listener = inherited.tcp(0).unwrap().unwrap();
            serve_one(Server::new(listener)).await;
        });
    }
    let listener = listening();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let client = thread::spawn(|| ask(client));
    activated(test, listener);
    client.join().unwrap();
}

#[test]
fn a_socket_is_taken_once() {
    let test = "a_socket_is_taken_once";
    if inside(test).is_some() {
        let mut inherited = Inherited::from_env();
        assert_eq!((inherited.len(), inherited.is_empty()), (2, false));
        assert!(inherited.tcp(2).unwrap().is_none(), "there is no such index");
        let listener = inherited.tcp(1).unwrap().unwrap();
        assert_eq!(listener.as_raw_fd(), 4);
        assert!(inherited.tcp(1).unwrap().is_none() && inherited.unix(1).unwrap().is_none(), "it was taken");
        assert_eq!(inherited.len(), 2);

        assert!(env::var_os("LISTEN_FDS").is_none() && env::var_os("LISTEN_PID").is_none());
        // SAFETY: the process has no other thread that reads or writes the environment.
        unsafe { env::set_var("LISTEN_FDS", "2") };
        let again = Inherited::from_env();
        assert_eq!((again.len(), again.is_empty()), (0, true), "a descriptor has one owner");
        return;
    }
    activated_with_two(test, listening(), listening());
}

#[test]
fn it_is_non_blocking_and_no_further_program_has_it() {
    let test = "it_is_non_blocking_and_no_further_program_has_it";
    if inside(test).is_some() {
        let mut inherited = Inherited::from_env();
        // The one that is not taken, too.
        let sockets = [3, 4].map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap());
        let ls = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
        let has = String::from_utf8(ls.stdout).unwrap();
        assert!(ls.status.success() && !sockets.iter().any(|socket| has.contains(socket.to_str().unwrap())), "{has}");
        let listener = inherited.tcp(0).unwrap().unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&listener).unwrap(), FdFlags::CLOEXEC);
        assert!(rustix::fs::fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK));
        return;
    }
    let blocking = listening();
    assert!(!rustix::fs::fcntl_getfl(&blocking).unwrap().contains(OFlags::NONBLOCK));
    activated_with_two(test, blocking, listening());
}

#[test]
fn the_file_of_a_unix_socket_stays() {
    let test = "the_file_of_a_unix_socket_stays";
    if inside(test).is_some() {
        let mut inherited = Inherited::from_env();
        return run(async move {
            let listener = inherited.unix(0).unwrap().unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let path = listener.local_addr().unwrap().as_pathname().unwrap().to_owned();
            drop(listener);
            assert!(path.exists(), "who has made it goes on with it");
            (&stream).write_all(b"still there").await.unwrap();
        });
    }
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.file("socket")).unwrap();
    let mut client = UnixStream::connect(folder.file("socket")).unwrap();
    activated(test, listener.try_clone().unwrap());
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "still there");
    UnixStream::connect(folder.file("socket")).unwrap();
}

#[test]
fn what_was_given_to_another_process_is_left_alone() {
    let test = "what_was_given_to_another_process_is_left_alone";
    if inside(test).is_some() {
        assert_eq!(Inherited::from_env().len(), 0);
        assert!(fs::read_link("/proc/self/fd/3").unwrap().to_string_lossy().starts_with("socket:"), "it is not closed");
        return;
    }
    let script = "exec 3<&0 </dev/null; LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\" \"$@\"";
    activated_by(script, test, "", listening().into(), None);
}

#[test]
fn what_cannot_be_served_is_named() {
    let test = "what_cannot_be_served_is_named";
    let silent = "a socket that does not listen";
    let neither = "no socket that accepts connections, of TCP or Unix";
    let kinds: [Kind; 7] = [
        ("a file", || File::open("/dev/null").unwrap().into(), neither),
        ("a UDP socket", || UdpSocket::bind("127.0.0.1:0").unwrap().into(), neither),
        ("Unix datagrams", || UnixDatagram::unbound().unwrap().into(), neither),
        ("a connection", || TcpStream::connect(listening().local_addr().unwrap()).unwrap().into(), silent),
        ("a Unix connection", || UnixStream::pair().unwrap().0.into(), silent),
        (
            "a listener of Unix",
            || UnixListener::bind(Folder::new().file("x")).unwrap().into(),
            "a Unix socket, and none of TCP",
        ),
        ("a listener", || listening().into(), ""),
    ];
    if let Some(kind) = inside(test) {
        let (_, _, what) = kinds.into_iter().find(|(name, ..)| *name == kind).unwrap();
        let before = descriptors();
        let mut inherited = Inherited::from_env();
        if what.is_empty() {
            let error = inherited.unix(0).unwrap_err();
            assert_eq!(error.to_string(), is(3, "a TCP socket, and no Unix socket"));
            assert!(inherited.tcp(0).unwrap().is_some(), "it has stayed in its place");
            return;
        }
        let error = inherited.tcp(0).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, is(3, what)));
        if what.starts_with("a Unix socket") {
            assert!(inherited.unix(0).unwrap().is_some(), "it has stayed in its place");
        } else {
            assert_eq!(inherited.unix(0).unwrap_err().to_string(), is(3, what));
            drop(inherited);
            assert_eq!(descriptors(), before, "what is of no use is left as it is");
        }
        return;
    }
    for (kind, make, _) in kinds {
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
        activated_by(script, test, kind, make(), None);
    }
    let closed = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3>&-";
    activated_by(closed, test, "a file", File::open("/dev/null").unwrap().into(), None);
}

#[test]
fn what_is_not_taken_is_closed() {
    let test = "what_is_not_taken_is_closed";
    if inside(test).is_some() {
        drop(Inherited::from_env());
        assert!(!fs::exists("/proc/self/fd/3").unwrap());
        return;
    }
    activated(test, listening());
}

/// The other way to hand a listener over: to a process that runs already.
#[test]
fn a_listener_that_was_passed_is_served() {
    let test = "a_listener_that_was_passed_is_served";
    if inside(test).is_some() {
        return run(async {
            let mut inherited = Inherited::from_env();
            let (old, _) = inherited.unix(0).unwrap().unwrap().accept().await.unwrap();
            let (mut bytes, mut fds) = ([0; 8], Vec::new());
            assert_eq!(old.recv_with_fds(&mut bytes, &mut fds).await.unwrap(), 4);
            let listener = pollywog_net::TcpListener::from_std(fds.remove(0).into()).unwrap();
            serve_one(Server::new(listener)).await;
        });
    }
    let _watchdog = Watchdog::start();
    let folder = Folder::new();
    let new = UnixListener::bind(folder.file("socket")).unwrap();
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    let child = started(script, test, "", new.into(), None);
    let listener = listening();
    let addr = listener.local_addr().unwrap();
    run(async {
        let listener = pollywog_net::TcpListener::from_std(listener).unwrap();
        let to_new = pollywog_net::UnixStream::connect(folder.file("socket")).await.unwrap();
        assert_eq!(to_new.send_with_fds(b"here", &[listener.as_fd()]).await.unwrap(), 4);
    });
    // Here it is closed: only the other process can answer.
    ask(TcpStream::connect(addr).unwrap());
    passed(child, test);
}

/// Two processes on one socket: whoever is told to stop leaves it to the other.
#[test]
fn a_socket_that_others_hold_too_is_not_shut_down() {
    run(async {
        let listener = listening();
        let addr = listener.local_addr().unwrap();
        let [old, new] = [listener.try_clone().unwrap(), listener]
            .map(|listener| Server::new(pollywog_net::TcpListener::from_std(listener).unwrap()));
        let (stop, stopped) = futures::channel::oneshot::channel::<()>();
        drop(stop);
        assert!(old.serve_until(stopped, async |_: Connection| Ok(())).await.unwrap().is_complete());
        let client = async {
            let mut client = pollywog_net::TcpStream::connect(addr).await.unwrap();
            client.write_all(b"x").await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"x");
        };
        match select(pin!(serve_one(new)), pin!(client)).await {
            Either::Left(((), client)) => client.await,
            Either::Right(((), server)) => server.await,
        }
    });
}
