//! The file of a socket that is bound to a path: who made it removes it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{self, Path, PathBuf};

use super::addr::abstract_name;

/// Removes the file when it is dropped, if it is still the one that was made.
///
/// It has to be dropped before the socket: as long as that is open, the file's number is given to no other file.
#[derive(Debug, Default)]
pub(super) struct SocketFile(Option<Made>);

#[derive(Debug)]
struct Made {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The file that binding to `addr` has just made, if it made one.
    fn of(addr: &SocketAddr) -> Self {
        let made = addr.as_pathname().and_then(|path| {
            // The working directory may be another one when the file is to be removed.
            let path = path::absolute(path).ok()?;
            let (device, inode) = identity(&path)?;
            Some(Made { path, device, inode })
        });
        Self(made)
    }

    /// Leaves the file where it is.
    pub(super) fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(Made { path, device, inode }) = self.0.take()
            && identity(&path) == Some((device, inode))
        {
            // Nobody is there to be told that the directory can no longer be written.
            let _ = fs::remove_file(path);
        }
    }
}

/// What tells a file from another that takes its name later.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Binds a socket to `addr`, and gives it with its file. An error says what to do.
pub(super) fn bind<S>(
    addr: &SocketAddr,
    bind: impl FnOnce(&SocketAddr) -> io::Result<S>,
) -> io::Result<(S, SocketFile)> {
    match bind(addr) {
        Ok(socket) => Ok((socket, SocketFile::of(addr))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(in_use(addr)),
        Err(error) => Err(error),
    }
}

fn in_use(addr: &SocketAddr) -> io::Error {
    let text = match (addr.as_pathname(), abstract_name(addr)) {
        (Some(path), _) => format!("cannot bind to '{}': {}", path.display(), why(addr, path)),
        (None, Some(name)) => format!("cannot bind to '@{}': another socket has the name", name.escape_ascii()),
        (None, None) => "cannot bind: no name is free".to_owned(),
    };
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// What stands in the way. A socket of the wrong type finds out without disturbing a server: it is refused where there
/// is nobody, and cannot connect where there is a listener.
fn why(addr: &SocketAddr, path: &Path) -> &'static str {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let connected = UnixDatagram::unbound().and_then(|probe| probe.connect_addr(addr));
    match connected {
        _ if !is_socket => "a file that is no socket has the name",
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "the file is there, but its socket is gone: remove the file and try again"
        }
        _ => "another socket is bound to it",
    }
}
