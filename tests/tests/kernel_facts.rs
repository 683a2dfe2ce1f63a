//! What the kernel does, as far as the programs rely on it, or fail by it: no line of ours is tested here.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write, pipe};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pollywog_tests::folder::Folder;
use pollywog_tests::net::{Arrival, alone, arrived, arrived_bytes};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const EDGE: EventFlags = EventFlags::IN.union(EventFlags::ET);

/// A list of watched descriptors in the kernel.
struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> Self {
        Self(epoll::create(CreateFlags::CLOEXEC).unwrap())
    }

    fn watching(source: &impl AsFd, flags: EventFlags) -> Self {
        let epoll = Self::new();
        epoll.add(source, flags);
        epoll
    }

    /// Watches `source` under its number.
    fn add(&self, source: &impl AsFd, flags: EventFlags) {
        epoll::add(&self.0, source, number(source), flags).unwrap();
    }

    fn modify(&self, source: &impl AsFd, flags: EventFlags) {
        epoll::modify(&self.0, source, number(source), flags).unwrap();
    }

    /// What there is now: numbers and flags.
    fn events(&self) -> Vec<(u64, EventFlags)> {
        let mut events = Vec::with_capacity(16);
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&Timespec::default())).unwrap();
        events.iter().map(|event| (event.data.u64(), event.flags)).collect()
    }

    /// The flags of the one event that there is.
    #[track_caller]
    fn flags(&self) -> EventFlags {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].1
    }

    #[track_caller]
    fn is_silent(&self) {
        assert_eq!(self.events(), []);
    }
}

fn number(source: &impl AsFd) -> EventData {
    EventData::new_u64(source.as_fd().as_raw_fd() as u64)
}

/// A connection: what `near` gets, `far` has sent.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

fn sends(mut far: &TcpStream, near: &TcpStream, bytes: &[u8]) {
    far.write_all(bytes).unwrap();
    arrived_bytes(near, bytes.len());
}

#[test]
fn a_level_is_told_at_each_wait_and_an_edge_once() {
    let (near, far) = pair();
    let (levels, edges) = (Epoll::watching(&near, EventFlags::IN), Epoll::watching(&near, EDGE));
    sends(&far, &near, b"x");
    for _ in 0..10 {
        assert_eq!(levels.flags(), EventFlags::IN);
    }
    assert_eq!(edges.flags(), EventFlags::IN);
    edges.is_silent();
}

#[test]
fn what_a_read_leaves_behind_is_no_edge_until_another_byte_comes() {
    let (mut near, far) = pair();
    let edges = Epoll::watching(&near, EDGE);
    sends(&far, &near, b"1234");
    assert_eq!(edges.flags(), EventFlags::IN);
    near.read_exact(&mut [0; 2]).unwrap();
    edges.is_silent();
    (&far).write_all(b"5").unwrap();
    arrived_bytes(&near, 3);
    assert_eq!(edges.flags(), EventFlags::IN);
}

#[test]
fn registering_tells_of_what_is_there_already() {
    let (near, far) = pair();
    sends(&far, &near, b"x");
    let edges = Epoll::watching(&near, EDGE);
    assert_eq!(edges.flags(), EventFlags::IN);
}

#[test]
fn modifying_tells_an_edge_again_while_bytes_remain() {
    let (mut near, far) = pair();
    let edges = Epoll::watching(&near, EDGE);
    sends(&far, &near, b"x");
    assert_eq!(edges.flags(), EventFlags::IN);
    edges.is_silent();
    edges.modify(&near, EDGE);
    assert_eq!(edges.flags(), EventFlags::IN);
    near.read_exact(&mut [0; 1]).unwrap();
    edges.modify(&near, EDGE);
    edges.is_silent();
}

#[test]
fn who_asks_for_both_is_told_of_room_with_each_byte_that_comes() {
    let (near, far) = pair();
    let both = EventFlags::IN | EventFlags::OUT;
    let edges = Epoll::watching(&near, both | EventFlags::ET);
    assert_eq!(edges.flags(), EventFlags::OUT);
    for count in 1..4 {
        (&far).write_all(b"x").unwrap();
        arrived_bytes(&near, count);
        assert_eq!(edges.flags(), both);
        edges.is_silent();
    }
}

#[test]
fn an_idle_socket_is_writable_at_every_wait() {
    let (near, _far) = pair();
    let levels = Epoll::watching(&near, EventFlags::OUT);
    for _ in 0..1_000 {
        assert_eq!(levels.flags(), EventFlags::OUT);
    }
}

#[test]
fn bytes_and_the_end_are_one_event() {
    let (mut near, far) = pair();
    let edges = Epoll::watching(&near, EDGE | EventFlags::RDHUP);
    sends(&far, &near, b"last");
    far.shutdown(Shutdown::Write).unwrap();
    arrived(&near, Arrival::RDHUP);
    assert_eq!(edges.flags(), EventFlags::IN | EventFlags::RDHUP);
    let mut buffer = [0; 16];
    assert_eq!(near.read(&mut buffer).unwrap(), 4, "a short read");
    edges.is_silent();
    assert_eq!(near.read(&mut buffer).unwrap(), 0, "and the end behind it");
}

#[test]
fn two_connects_before_one_wait_are_one_event() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let edges = Epoll::watching(&listener, EDGE);
    let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _clients = [connect(), connect()];
    arrived(&listener, Arrival::IN);
    assert_eq!(edges.flags(), EventFlags::IN);
    let _first = listener.accept().unwrap();
    edges.is_silent();
    let _second = listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// The connection stays in the queue, and a descriptor that becomes free is nothing that happened to the listener.
#[test]
fn a_free_descriptor_is_no_edge_of_the_listener() {
    alone("a_free_descriptor_is_no_edge_of_the_listener", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (levels, edges) = (Epoll::watching(&listener, EventFlags::IN), Epoll::watching(&listener, EDGE));
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        arrived(&listener, Arrival::IN);
        let maximum = getrlimit(Resource::Nofile).maximum;
        let spare = File::open("/dev/null").unwrap();
        let full = Some(spare.as_raw_fd() as u64 + 1);
        setrlimit(Resource::Nofile, Rlimit { current: full, maximum }).unwrap();
        assert_eq!(edges.flags(), EventFlags::IN);
        for _ in 0..10 {
            assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(Errno::MFILE.raw_os_error()));
            assert_eq!(levels.flags(), EventFlags::IN, "told again and again");
        }
        drop(spare);
        edges.is_silent();
        let (stream, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap(), "it was still there");
        drop(stream);
    });
}

#[test]
fn a_closed_number_is_given_to_the_next_and_an_event_that_was_fetched_names_it() {
    alone("a_closed_number_is_given_to_the_next_and_an_event_that_was_fetched_names_it", || {
        let ((first, peer), other) = (pair(), pair());
        let epoll = Epoll::watching(&first, EventFlags::IN);
        sends(&peer, &first, b"for the first");
        let events = epoll.events();
        drop(first);
        let next = other.0.try_clone().unwrap();
        assert_eq!(events, [(next.as_raw_fd() as u64, EventFlags::IN)]);
        assert_eq!(next.peek(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock, "nothing came for this one");
    });
}

/// Epoll watches the open file, not the number: what keeps the file open keeps it watched.
#[test]
fn a_closed_descriptor_that_was_duplicated_goes_on_reporting() {
    let (near, far) = pair();
    let epoll = Epoll::watching(&near, EventFlags::IN);
    let duplicate = near.try_clone().unwrap();
    let closed = near.as_raw_fd() as u64;
    drop(near);
    sends(&far, &duplicate, b"x");
    assert_eq!(epoll.events(), [(closed, EventFlags::IN)]);
    assert_eq!(epoll::delete(&epoll.0, &duplicate), Err(Errno::NOENT), "it was the other number");
    drop(duplicate);
    epoll.is_silent();
}

#[test]
fn a_file_is_refused_by_epoll_and_always_ready_for_poll() {
    let mut file = File::open("/proc/self/exe").unwrap();
    assert_eq!(epoll::add(&Epoll::new().0, &file, number(&file), EventFlags::IN), Err(Errno::PERM));
    let ready = |file: &File| {
        let mut fds = [PollFd::new(file, PollFlags::IN | PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec::default())).unwrap();
        fds[0].revents()
    };
    assert_eq!(ready(&file), PollFlags::IN | PollFlags::OUT, "and it is not even open for writing");
    file.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(file.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(ready(&file), PollFlags::IN | PollFlags::OUT, "with nothing left to read");
}

#[test]
fn writable_does_not_mean_that_a_large_write_goes_through() {
    let (mut reader, mut writer) = pipe().unwrap();
    let mut fds = [PollFd::new(&writer, PollFlags::OUT)];
    poll(&mut fds, Some(&Timespec::default())).unwrap();
    assert_eq!(fds[0].revents(), PollFlags::OUT);
    const LARGE: usize = 1 << 21;
    let returned = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            writer.write_all(&[7; LARGE]).unwrap();
            returned.store(true, Ordering::SeqCst);
        });
        arrived_bytes(&reader, 4096);
        assert!(!returned.load(Ordering::SeqCst), "the rest waits for a reader");
        reader.read_exact(&mut vec![0; LARGE]).unwrap();
    });
    assert!(returned.into_inner());
}

/// Of a non-blocking write, the kernel takes what fits.
#[test]
fn a_non_blocking_write_takes_what_fits() {
    let (mut near, _far) = pair();
    let count = near.write(&vec![7; 1 << 26]).unwrap();
    assert!(count > 0 && count < 1 << 26, "{count}");
}

#[test]
fn not_to_block_is_a_property_of_the_open_file_and_not_of_the_descriptor() {
    let (mut near, _far) = pair();
    near.set_nonblocking(false).unwrap();
    near.try_clone().unwrap().set_nonblocking(true).unwrap();
    assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn what_is_accepted_from_a_listener_that_does_not_block_blocks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    arrived(&listener, Arrival::IN);
    let (accepted, _) = listener.accept().unwrap();
    assert!(fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK));
    assert!(!fcntl_getfl(&accepted).unwrap().contains(OFlags::NONBLOCK));
}

/// Unless asked for less (`EPOLLEXCLUSIVE`), the kernel tells everybody who watches, and one of them gets it.
#[test]
fn each_epoll_that_watches_a_listener_is_told_of_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let watchers = [EDGE, EDGE, EventFlags::IN].map(|flags| Epoll::watching(&listener, flags));
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    arrived(&listener, Arrival::IN);
    for watcher in &watchers {
        assert_eq!(watcher.flags(), EventFlags::IN);
    }
    listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn what_is_written_at_three_times_is_read_at_once() {
    let (mut near, far) = pair();
    for (line, count) in [("one\n", 4), ("two\n", 8), ("three\n", 14)] {
        (&far).write_all(line.as_bytes()).unwrap();
        arrived_bytes(&near, count);
    }
    let mut buffer = [0; 4096];
    let count = near.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"one\ntwo\nthree\n");
}

#[test]
fn who_leaves_while_in_the_queue_is_accepted_and_read_and_answered_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"hello\n").unwrap();
    drop(client);
    let (mut stream, _) = listener.accept().unwrap();
    arrived(&stream, Arrival::RDHUP);
    let mut buffer = [0; 4096];
    assert_eq!(stream.read(&mut buffer).unwrap(), 6);
    stream.write_all(b"hello\n").unwrap();
    assert_eq!(stream.read(&mut buffer).unwrap(), 0, "the end came before the answer went out");
}

#[test]
fn the_first_write_to_a_peer_that_has_closed_succeeds_and_the_next_is_a_broken_pipe() {
    let (mut near, far) = pair();
    drop(far);
    arrived(&near, Arrival::RDHUP);
    assert_eq!(near.write(b"x").unwrap(), 1, "it is in our own kernel's buffer");
    arrived(&near, Arrival::HUP);
    assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// The bit of signal 13 in what the process ignores.
#[test]
fn a_program_whose_main_is_rusts_ignores_sigpipe() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_ne!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 << (13 - 1), 0, "{ignored}");
}

/// What has arrived can be read here, and then the reset is an error. Other systems may throw that away, too.
#[test]
fn a_close_with_unread_bytes_resets_the_connection_and_what_has_not_left_is_lost() {
    for size in [10, 1 << 26] {
        let (mut near, far) = pair();
        sends(&far, &near, b"never read");
        let written = near.write(&vec![7; size]).unwrap();
        drop(near);
        arrived(&far, Arrival::HUP);
        let mut came = Vec::new();
        let error = (&far).read_to_end(&mut came).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(came.len() < written, size > 10, "{} of {written}", came.len());
    }
}

#[test]
fn a_datagram_for_which_there_is_no_room_is_dropped_and_its_sender_is_not_told() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let sent = 10_000;
    for _ in 0..sent {
        assert_eq!(sender.send(&[7; 1000]).unwrap(), 1000);
    }
    let came = (0..).take_while(|_| receiver.recv(&mut [0; 1000]).is_ok()).count();
    assert!((1..sent).contains(&came), "{came}");
    assert_eq!(sender.take_error().unwrap().map(|error| error.kind()), None);
}

#[test]
fn a_unix_connect_to_a_full_queue_blocks_and_no_edge_tells_when_there_is_room() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let address = SocketAddrUnix::new(folder.path().join("socket")).unwrap();
    let socket =
        || rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let mut queue = Vec::new();
    let (blocked, edges) = loop {
        let next = socket();
        let edges = Epoll::watching(&next, EventFlags::OUT | EventFlags::ET);
        match rustix::net::connect(&next, &address) {
            Ok(()) => queue.push(next),
            Err(error) => {
                assert_eq!(error, Errno::AGAIN);
                break (next, edges);
            }
        }
    };
    assert!(edges.flags().contains(EventFlags::OUT), "writable, and not connected");
    assert_eq!(rustix::net::connect(&blocked, &address), Err(Errno::AGAIN));
    edges.is_silent();
    listener.accept().unwrap();
    edges.is_silent();
    rustix::net::connect(&blocked, &address).unwrap();
}
