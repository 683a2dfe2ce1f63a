//! Addresses of Unix sockets.

use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::SockAddr;

/// The address that `path` names: with a zero byte in front, an abstract one.
pub(super) fn of(path: &Path) -> io::Result<SocketAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"\0") {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}

/// The name of an abstract address, as people write it, without the zero byte.
pub(super) fn abstract_name(addr: &SocketAddr) -> Option<&[u8]> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return addr.as_abstract_name();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return {
        let _ = addr;
        None
    };
}

/// For what std and mio cannot do with an address.
pub(super) fn to_socket2(addr: &SocketAddr) -> io::Result<SockAddr> {
    match (addr.as_pathname(), abstract_name(addr)) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => SockAddr::unix(std::ffi::OsStr::from_bytes(&[b"\0", name].concat())),
        (None, None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "the address has no name")),
    }
}
