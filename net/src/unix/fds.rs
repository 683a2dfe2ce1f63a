//! Descriptors that are passed along with bytes.
//!
//! The kernel duplicates them: sender and receiver have one each. Where nobody takes them, it closes them.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::{UnixDatagram, UnixStream};
use crate::lent::one_charge;
use crate::source::{Io, Left, Source};
use crate::sources::Direction;
use crate::waiter::Waiter;

/// The most descriptors that Linux passes with one message (`SCM_MAX_FD`).
const MOST: usize = 253;

/// Room for so many, and for what other control messages the socket may be set to get, credentials say: what does not
/// fit is cut off.
const ROOM: usize = rustix::cmsg_space!(ScmRights(MOST)) + 1024;

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

#[cfg(any(target_os = "linux", target_os = "android"))]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RECEIVE: RecvFlags = RecvFlags::empty();

impl UnixStream {
    /// Sends bytes, and duplicates of descriptors along with the first of them (`SCM_RIGHTS`). Gives the number of bytes,
    /// as any write: those that are left need no descriptors any more.
    ///
    /// # Errors
    ///
    /// Those of writing; and [`InvalidInput`](io::ErrorKind::InvalidInput) for descriptors without a byte, or more than
    /// 253 of them.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: bytes and descriptors are sent only in the poll that gives their number.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use std::io::Read;
    /// use std::os::fd::AsFd;
    ///
    /// let (stream, peer) = pollywog_net::UnixStream::pair()?;
    /// let (reader, writer) = std::io::pipe()?;
    /// stream.send_with_fds(b"a pipe", &[writer.as_fd()]).await?;
    ///
    /// let (mut buffer, mut fds) = ([0; 16], Vec::new());
    /// assert_eq!(peer.recv_with_fds(&mut buffer, &mut fds).await?, 6);
    /// let mut writer = std::io::PipeWriter::from(fds.remove(0));
    /// # std::io::Write::write_all(&mut writer, b"x")?;
    /// # assert_eq!((&reader).read(&mut buffer)?, 1);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        send(&self.stream.source, bytes, fds).await
    }

    /// Waits for bytes, as any read, and takes the descriptors that came with them, which are put behind those that `fds`
    /// holds. They are closed in programs that this process starts (`CLOEXEC`). Zero is the end of the stream.
    ///
    /// A read ends behind bytes with descriptors. It can begin before them, so where bytes of the two kinds follow each
    /// other, only a message that says how many descriptors it has tells whose they are. A peer may pass up to 253 at
    /// once, wanted or not: those that are not wanted are closed by dropping them.
    ///
    /// # Errors
    ///
    /// Those of reading; and when this process may have no more descriptors. Then the bytes are lost, and so are all
    /// descriptors that came with them: they are closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: bytes and descriptors are taken only in the poll that gives them.
    ///
    /// # Examples
    ///
    /// See [`send_with_fds`](Self::send_with_fds).
    pub async fn recv_with_fds(&self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let waiter = Waiter::new(Direction::Read);
        poll_fn(|cx| {
            let leftover = &self.stream.leftover;
            if leftover.is_some() {
                // The descriptors that came with it are closed: `read_with` takes none.
                return one_charge(cx).map(|()| Ok(leftover.read(&mut [IoSliceMut::new(buffer)])));
            }
            self.stream
                .source
                .poll_io(cx, Direction::Read, Some(&waiter), |io| receive(io, buffer, fds).map(Left::Maybe))
        })
        .await
    }
}

impl UnixDatagram {
    /// As [`send`](Self::send), with duplicates of descriptors (`SCM_RIGHTS`).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); and [`InvalidInput`](io::ErrorKind::InvalidInput) for descriptors without a byte, or more
    /// than 253 of them.
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent only in the poll that says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # pollywog_net::run(async {
    /// use std::os::fd::AsFd;
    ///
    /// let (socket, peer) = pollywog_net::UnixDatagram::pair()?;
    /// let (reader, writer) = std::io::pipe()?;
    /// socket.send_with_fds(b"a pipe", &[reader.as_fd(), writer.as_fd()]).await?;
    ///
    /// let (mut buffer, mut fds) = ([0; 16], Vec::new());
    /// assert_eq!(peer.recv_with_fds(&mut buffer, &mut fds).await?, 6);
    /// assert_eq!(fds.len(), 2);
    /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
    /// ```
    pub async fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        send(&self.source, bytes, fds).await
    }

    /// As [`recv`](Self::recv), and takes the descriptors that came with the datagram, which are put behind those that
    /// `fds` holds. They are closed in programs that this process starts (`CLOEXEC`).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); and when this process may have no more descriptors. Then the datagram is lost with all
    /// its descriptors: they are closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a datagram and its descriptors are taken only in the poll that gives them.
    ///
    /// # Examples
    ///
    /// See [`send_with_fds`](Self::send_with_fds).
    pub async fn recv_with_fds(&self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let waiter = Waiter::new(Direction::Read);
        let mut receive = |io: &_| self.received(receive(io, buffer, fds), || Ok(0));
        poll_fn(|cx| self.source.poll_io(cx, Direction::Read, Some(&waiter), &mut receive)).await
    }
}

async fn send<S: Io>(socket: &Source<S>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    check(bytes, fds)?;
    let waiter = Waiter::new(Direction::Write);
    let send = |io: &S| try_send(io, bytes, fds).map(Left::Maybe);
    poll_fn(|cx| socket.poll_io(cx, Direction::Write, Some(&waiter), send)).await
}

/// Refuses what the system would drop without a word, or refuse without a reason.
fn check(bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let wrong = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    match fds.len() {
        0 => Ok(()),
        _ if bytes.is_empty() => wrong("descriptors are passed along with bytes: send at least one".to_owned()),
        count if count > MOST => wrong(format!("{count} descriptors: at most {MOST} go with one message")),
        _ => Ok(()),
    }
}

fn try_send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !fds.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(fds));
        debug_assert!(fits, "their number was checked");
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SEND)?)
}

fn receive(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RECEIVE)?;
    let before = fds.len();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        fds.truncate(before);
        return Err(io::Error::other(
            "the peer passed descriptors that cannot be received: this process may have no more (`ulimit -n`)",
        ));
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    for fd in &fds[before..] {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok(message.bytes)
}
