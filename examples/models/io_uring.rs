//! One thread hands whole operations to the kernel, and gets their results: io_uring.
//!
//! ```text
//! cargo run --release --example io_uring
//! nc 127.0.0.1 7007                        # in two terminals: both get their lines back
//! strace -p $(pgrep -x io_uring)           # in a third: io_uring_enter, and neither recv nor send
//! ```
//!
//! What to look at: nobody says that a socket is ready. A result says that the bytes are in the buffer already, or that
//! they are out of it. So the buffer is not the program's while an operation is under way: it goes with the operation
//! into `pending`, and comes back with the result. All that was handed over since the last call goes to the kernel
//! with one call, which is also the one that waits.
//!
//! It needs a kernel that has io_uring, 5.6 or later, and that does not forbid it, as [Docker] does in containers.
//!
//! [Docker]: https://github.com/moby/moby/pull/46762

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;
use std::ptr;

use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, opcode, squeue};
use pollywog_examples::explain;

/// How long we wait while a client waits in the kernel's queue for a descriptor.
static PAUSE: Timespec = Timespec::new().nsec(100_000_000);

/// What the kernel has been asked to do, and what it does that with.
enum Operation {
    Accept,
    Receive(Client),
    /// These bytes of the client's buffer.
    Send(Client, Range<usize>),
    Pause,
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

struct Server {
    ring: IoUring,
    listener: TcpListener,
    /// What was begun and is not in the ring yet, which has its limit.
    begun: VecDeque<squeue::Entry>,
    /// Never freed, not even when this ends early: the kernel may be writing into one of the buffers.
    pending: ManuallyDrop<HashMap<u64, Operation>>,
    last: u64,
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        self.begin(Operation::Accept);
        loop {
            self.fill_ring();
            // What did not fit goes with the next call, which then comes soon.
            let results = usize::from(self.begun.is_empty());
            match self.ring.submit_and_wait(results) {
                // A signal; or there are more results than fit, and they have to be taken first.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ResourceBusy) => {}
                result => _ = result?,
            }
            let results: Vec<_> = self.ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
            for (number, result) in results {
                let operation = self.pending.remove(&number).expect("each operation has one result");
                let result = if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) };
                self.finish(operation, result)?;
            }
        }
    }

    /// An operation gets a number, which comes back with its result.
    fn begin(&mut self, mut operation: Operation) {
        let entry = match &mut operation {
            Operation::Accept => {
                let fd = Fd(self.listener.as_raw_fd());
                opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut()).flags(libc::SOCK_CLOEXEC).build()
            }
            Operation::Receive(Client { stream, buffer }) => {
                opcode::Recv::new(Fd(stream.as_raw_fd()), buffer.as_mut_ptr(), buffer.len() as u32).build()
            }
            Operation::Send(Client { stream, buffer }, part) => {
                let bytes = &buffer[part.clone()];
                let send = opcode::Send::new(Fd(stream.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32);
                send.flags(libc::MSG_NOSIGNAL).build()
            }
            Operation::Pause => opcode::Timeout::new(&PAUSE).build(),
        };
        self.last += 1;
        self.begun.push_back(entry.user_data(self.last));
        self.pending.insert(self.last, operation);
    }

    fn fill_ring(&mut self) {
        let mut ring = self.ring.submission();
        while let Some(entry) = self.begun.front() {
            // SAFETY: What the entry points to is static, or the heap's part of a `Vec` that is in `pending`, with the
            // socket. It is neither moved nor touched nor freed before the result of this operation is there.
            if unsafe { ring.push(entry) }.is_err() {
                return;
            }
            self.begun.pop_front();
        }
    }

    /// What follows a result. An error ends its connection and nothing else.
    fn finish(&mut self, operation: Operation, result: io::Result<i32>) -> io::Result<()> {
        match (operation, result) {
            (Operation::Accept, Ok(fd)) => {
                // SAFETY: The kernel has just opened this descriptor for us, and nobody else knows of it.
                let stream = unsafe { TcpStream::from_raw_fd(fd) };
                self.begin(Operation::Receive(Client { stream, buffer: vec![0; 4096] }));
                self.begin(Operation::Accept);
            }
            // This kernel's io_uring does not know the operation.
            (Operation::Accept, Err(error)) if error.kind() == ErrorKind::InvalidInput => return Err(too_old(&error)),
            // No descriptor, or no memory.
            (Operation::Accept, Err(_)) => self.begin(Operation::Pause),
            (Operation::Pause, _) => self.begin(Operation::Accept),
            (Operation::Receive(client), Ok(count @ 1..)) => self.begin(Operation::Send(client, 0..count as usize)),
            (Operation::Send(client, part), Ok(count @ 1..)) => {
                let rest = part.start + count as usize..part.end;
                let is_done = rest.is_empty();
                self.begin(if is_done { Operation::Receive(client) } else { Operation::Send(client, rest) });
            }
            (Operation::Receive(_) | Operation::Send(..), _) => {}
        }
        Ok(())
    }
}

fn too_old(error: &io::Error) -> io::Error {
    explain("this kernel has no io_uring for a server, or forbids it", error)
}

/// The listener blocks, and so do the connections: an operation on one that does not would be refused, not kept.
fn serve(listener: TcpListener) -> io::Result<()> {
    let ring = IoUring::new(256).map_err(|error| too_old(&error))?;
    let pending = ManuallyDrop::new(HashMap::new());
    Server { ring, listener, begun: VecDeque::new(), pending, last: 0 }.run()
}

fn main() -> ExitCode {
    pollywog_examples::model(serve)
}
