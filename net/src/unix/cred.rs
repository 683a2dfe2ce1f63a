//! Who the peer is.

use std::io;
use std::os::fd::AsFd;

/// The process at the other end of a [`UnixStream`](crate::UnixStream), as the kernel noted it: when it connected,
/// listened, or made the pair.
///
/// # Examples
///
/// See [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UCred {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl UCred {
    /// The user that it ran as.
    ///
    /// # Examples
    ///
    /// See [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The group that it ran as.
    ///
    /// # Examples
    ///
    /// See [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Its number. The process may have ended since, and another may have the number: it tells who it was, and is not
    /// to be relied upon for permissions.
    ///
    /// # Examples
    ///
    /// See [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }
}

pub(super) fn of_peer(socket: impl AsFd) -> io::Result<UCred> {
    // The kernel refuses nobody who has a Unix socket. But it says zero for a process that this one cannot see, and
    // rustix, whose `Pid` is never zero, makes an error of it.
    let peer = rustix::net::sockopt::socket_peercred(socket).map_err(|_| {
        io::Error::other("who the peer is cannot be told: its process is not seen from this one's pid namespace")
    })?;
    Ok(UCred { uid: peer.uid.as_raw(), gid: peer.gid.as_raw(), pid: Some(peer.pid.as_raw_nonzero().get()) })
}
