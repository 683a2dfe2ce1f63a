//! Any descriptor: those that can be waited for, those that cannot, and whose they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::rc::Rc;

use futures::future::join;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, poll};
use pollywog_net::{AsyncFd, Interest, spawn};
use pollywog_tests::limits::limit_descriptors;
use pollywog_tests::net::{Random, alone, counted, descriptors, run, turns};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::{ioctl_fionbio, read, write};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

const NOT_POLLABLE: &str = "this descriptor cannot be waited for: it is that of a regular file, a directory, or a \
                            device like /dev/null, which the system calls ready at any time; use it on the blocking \
                            pool, with `spawn_blocking` or the feature `fs`";
const BLOCKING: &str = "this descriptor is blocking: an operation on it would stop every task of the thread; set \
                        `O_NONBLOCK` first, as `rustix::io::ioctl_fionbio(&fd, true)` does";
const TWICE: &str =
    "this descriptor is waited for already, through another owner: let each have a duplicate (`try_clone`)";

/// Both ends non-blocking.
fn pipe() -> (AsyncFd<io::PipeReader>, AsyncFd<io::PipeWriter>) {
    let (reader, writer) = io::pipe().unwrap();
    ioctl_fionbio(&reader, true).unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    (AsyncFd::new(reader).unwrap(), AsyncFd::new(writer).unwrap())
}

fn event(value: u32) -> AsyncFd<OwnedFd> {
    AsyncFd::new(eventfd(value, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()).unwrap()
}

/// A folder that is removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pollywog-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: impl AsRef<Path>, options: &mut OpenOptions) -> File {
    options.custom_flags(OFlags::NONBLOCK.bits() as i32).open(path).unwrap()
}

#[test]
fn a_pipe_carries_more_than_it_holds() {
    run(async {
        let (mut reader, mut writer) = pipe();
        let mut random = Random::new(3);
        let sent: Vec<u8> = (0..1 << 20).map(|_| random.below(256) as u8).collect();
        let expected = sent.clone();
        let writing = spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.close().await.unwrap(); // it flushes; dropping closes
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        writing.await.unwrap();
        assert!(received == expected);
    });
}

#[test]
fn both_directions_behind_a_shared_reference() {
    run(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = AsyncFd::new(ours).unwrap();
        let mut buffer = [0; 16];
        let reading = async { (&ours).read(&mut buffer).await.unwrap() };
        let writing = async {
            turns(2).await;
            let slices = [io::IoSlice::new(b"to "), io::IoSlice::new(b"them")];
            assert_eq!((&ours).write_vectored(&slices).await.unwrap(), 7);
            let mut theirs = &theirs;
            theirs.read_exact(&mut [0; 7]).unwrap();
            theirs.write_all(b"to us").unwrap();
        };
        let (count, ()) = join(reading, writing).await;
        assert_eq!(&buffer[..count], b"to us");
    });
}

#[test]
fn a_parked_reader_hears_the_end_and_a_parked_writer_that_nobody_reads() {
    run(async {
        let (mut reader, writer) = pipe();
        let reading = spawn(async move { reader.read(&mut [0; 16]).await });
        turns(2).await;
        drop(writer);
        assert_eq!(reading.await.unwrap().unwrap(), 0);

        let (reader, mut writer) = pipe();
        while writer.write(&[0; 1 << 16]).now_or_never().is_some() {}
        let writing = spawn(async move { writer.write(b"more").await });
        turns(2).await;
        assert!(!writing.is_finished());
        drop(reader);
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// Each read takes one, and no other edge comes for what is left.
#[test]
fn an_eventfd_as_a_semaphore_is_read_to_its_end() {
    run(async {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE;
        let semaphore = AsyncFd::new(eventfd(0, flags).unwrap()).unwrap();
        let mut count = [0; 64]; // longer than what comes
        assert!(poll!(pin!(semaphore.readable())).is_pending());
        write(&semaphore, &3_u64.to_ne_bytes()).unwrap();
        turns(1).await;
        for _ in 0..3 {
            let one = semaphore.async_io(Interest::READABLE, |fd| Ok(read(fd, &mut count)?)).await.unwrap();
            assert_eq!((one, &count[..8]), (8, &1_u64.to_ne_bytes()[..]));
        }
        let mut fourth = pin!(semaphore.async_io(Interest::READABLE, |fd| Ok(read(fd, &mut [0; 8])?)));
        assert!(poll!(fourth.as_mut()).is_pending());
        write(&semaphore, &1_u64.to_ne_bytes()).unwrap();
        assert_eq!(fourth.await.unwrap(), 8);
    });
}

#[test]
fn a_timerfd_fires() {
    run(async {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC).unwrap();
        let timer = AsyncFd::new(timer).unwrap();
        let millisecond = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let every = Itimerspec { it_interval: millisecond, it_value: millisecond };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every).unwrap();
        for _ in 0..3 {
            let mut fired = [0; 8];
            timer.async_io(Interest::READABLE, |timer| Ok(read(timer, &mut fired)?)).await.unwrap();
            assert!(u64::from_ne_bytes(fired) > 0);
        }
    });
}

#[test]
fn inotify_tells_of_a_new_file() {
    run(async {
        let folder = Folder::new("inotify");
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, &folder.0, inotify::WatchFlags::CREATE).unwrap();
        let watch = Rc::new(AsyncFd::new(watch).unwrap());
        let watching = watch.clone();
        let told = spawn(async move {
            let mut buffer = [0; 1024];
            let count = watching.async_io(Interest::READABLE, |watch| Ok(read(watch, &mut buffer)?)).await.unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        });
        turns(2).await;
        assert!(!told.is_finished());
        File::create(folder.0.join("a-new-file")).unwrap();
        let told = told.await.unwrap();
        assert!(told.contains("a-new-file"), "{told}");
    });
}

#[test]
fn a_pidfd_tells_of_the_end_of_a_process() {
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let id = Pid::from_raw(child.id() as i32).unwrap();
        let process = AsyncFd::new(pidfd_open(id, PidfdFlags::NONBLOCK).unwrap()).unwrap();
        assert!(poll!(pin!(process.readable())).is_pending());
        drop(child.stdin.take());
        process.readable().await.unwrap().retain_ready();
        assert!(child.try_wait().unwrap().expect("it has ended").success());
    });
}

/// Its end is no event that comes again and again, and when the next one writes, there is another.
#[test]
fn a_fifo_is_waited_for_across_its_writers() {
    run(async {
        let folder = Folder::new("fifo");
        let path = folder.0.join("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let fifo = AsyncFd::new(open(&path, OpenOptions::new().read(true))).unwrap();
        let mut buffer = [0; 64];
        for message in [&b"one"[..], b"two", b"three"] {
            let (reading, polls) = counted(async {
                loop {
                    let mut guard = fifo.readable().await.unwrap();
                    match guard.try_io(|fifo| fifo.get_ref().read(&mut buffer)) {
                        Ok(Ok(0)) => guard.clear_ready(), // no writer: the next one is waited for
                        Ok(result) => return result.unwrap(),
                        Err(_would_block) => {}
                    }
                }
            });
            let mut reading = pin!(reading);
            // Since the writer before is gone, it is at its end.
            for _ in 0..5 {
                let _ = poll!(reading.as_mut()).is_ready();
                turns(1).await;
            }
            let waited = polls.get();
            let mut writer = open(&path, OpenOptions::new().write(true));
            writer.write_all(message).unwrap();
            assert_eq!(reading.await, message.len());
            assert!(polls.get() <= waited + 3, "{polls:?}");
            drop(writer);
        }
        // The end of the last writer is one event: a task that waits has a few polls, and then none.
        let fifo = Rc::new(fifo);
        let waiting = fifo.clone();
        let (waiting, polls) = counted(async move {
            loop {
                waiting.readable().await.unwrap().clear_ready();
            }
        });
        let waiting = spawn(waiting);
        turns(50).await;
        assert!(polls.get() <= 3, "{polls:?}");
        waiting.abort();
    });
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let folder = Folder::new("refused");
    let file = folder.0.join("file");
    File::create(&file).unwrap();
    for path in [&*file, &folder.0, Path::new("/dev/null"), Path::new("/dev/zero")] {
        // Whether it is blocking makes no difference.
        for fd in [File::open(path).unwrap(), open(path, OpenOptions::new().read(true))] {
            let error = AsyncFd::new(fd).unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unsupported, NOT_POLLABLE), "{path:?}");
        }
    }
    let (reader, writer) = io::pipe().unwrap();
    for error in [AsyncFd::new(&reader).err(), AsyncFd::new(&writer).err()] {
        let error = error.unwrap();
        assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::InvalidInput, BLOCKING));
    }
    ioctl_fionbio(&reader, true).unwrap();
    assert!(AsyncFd::new(&reader).is_ok());
}

/// A regular file by its type, which can be waited for all the same.
#[test]
fn a_file_of_the_kernel_that_can_be_waited_for_is_taken() {
    run(async {
        let mounts = AsyncFd::new(open("/proc/self/mounts", OpenOptions::new().read(true))).unwrap();
        assert!(mounts.get_ref().metadata().unwrap().is_file());
        let mut change = pin!(mounts.ready(Interest::PRIORITY));
        assert!(poll!(change.as_mut()).is_pending());
        turns(3).await;
        assert!(poll!(change.as_mut()).is_pending(), "nothing has changed");
    });
}

/// What was put there in place of the first, or could not be looked at: it is told when something waits.
#[test]
fn what_cannot_be_waited_for_is_told_at_the_latest_when_something_waits() {
    alone("what_cannot_be_waited_for_is_told_at_the_latest_when_something_waits", || {
        run(async {
            let mut fd = event(0);
            *fd.get_mut() = File::open("/dev/null").unwrap().into();
            let error = fd.readable().await.unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unsupported, NOT_POLLABLE));
            *fd.get_mut() = eventfd(1, EventfdFlags::NONBLOCK).unwrap();
            fd.readable().await.unwrap().retain_ready();

            let (event, null) = (eventfd(1, EventfdFlags::NONBLOCK).unwrap(), File::open("/dev/null").unwrap());
            ioctl_fionbio(&null, true).unwrap();
            limit_descriptors(3);
            assert!(File::open("/dev/null").is_err(), "no descriptor is left to look with");
            AsyncFd::new(event).unwrap().readable().await.unwrap().retain_ready();
            let error = AsyncFd::new(null).unwrap().readable().await.unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unsupported, NOT_POLLABLE));
        });
    });
}

#[test]
fn every_descriptor_is_closed_in_the_end() {
    alone("every_descriptor_is_closed_in_the_end", || {
        let before = descriptors();
        run(async {
            let inside = descriptors();
            for _ in 0..10 {
                let fd = event(1);
                fd.readable().await.unwrap().retain_ready();
                drop(fd);
                assert!(AsyncFd::new(File::open("/dev/null").unwrap()).is_err());
                assert!(AsyncFd::new(io::pipe().unwrap().0).is_err());
                let fd: OwnedFd = event(0).into_inner();
                drop(fd);
            }
            assert_eq!(descriptors(), inside);
        });
        assert_eq!(descriptors(), before);
    });
}

/// A semaphore that never runs out: each poll of the task that takes from it ends when its budget is used up.
#[test]
fn a_descriptor_that_is_always_ready_does_not_keep_the_thread() {
    const TAKEN: usize = 1_000;
    run(async {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE;
        let semaphore = AsyncFd::new(File::from(eventfd(2_000, flags).unwrap())).unwrap();
        let (taking, polls) = counted(async move {
            for _ in 0..TAKEN {
                (&semaphore).read_exact(&mut [0; 8]).await.unwrap();
            }
        });
        let taking = spawn(taking);
        let mut seen = 0;
        while !taking.is_finished() {
            turns(1).await;
            assert!(polls.get() <= seen + 1, "one poll for each turn");
            seen = polls.get();
        }
        assert!(seen >= TAKEN / 128, "{seen}");
    });
}

#[test]
fn it_says_what_it_is_the_descriptor_of() {
    fn is_send_and_sync<T: Send + Sync + Unpin>(value: T) -> T {
        value
    }
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (reader, writer) = pipe();
    let (reader, _writer) = (is_send_and_sync(reader), is_send_and_sync(writer));
    drop(is_send(reader.readable()));
    drop(is_send(reader.async_io(Interest::READABLE, |mut reader| reader.read(&mut [0]))));
    let text = format!("{reader:?}");
    assert!(text.starts_with("AsyncFd(PipeReader"), "{text}");
    assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&reader), std::os::fd::AsRawFd::as_raw_fd(&reader.as_fd()));
}

#[test]
fn two_owners_of_one_descriptor_cannot_both_wait() {
    run(async {
        let fd = eventfd(1, EventfdFlags::NONBLOCK).unwrap();
        let (one, other) = (AsyncFd::new(&fd).unwrap(), AsyncFd::new(&fd).unwrap());
        one.readable().await.unwrap().retain_ready();
        let error = other.readable().await.unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::AlreadyExists, TWICE));
        one.readable().await.unwrap().retain_ready();
        drop(one);
        other.readable().await.unwrap().retain_ready();
    });
}
