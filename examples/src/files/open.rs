//! A file of a folder, and of no other.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// A named pipe would be waited for.
const AT_ONCE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens what `relative` names below `root`. Blocks.
///
/// The kernel looks where each link leads while it opens. Who looks first and opens then is given another file by whoever
/// puts a link there in between.
#[cfg(target_os = "linux")]
pub(super) fn open_below(root: &Path, relative: &Path) -> io::Result<File> {
    use rustix::fs::{ResolveFlags, open, openat2};
    use rustix::io::Errno;

    /// Where folders are moved meanwhile it cannot tell, and is asked again.
    const ATTEMPTS: usize = 8;

    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let stays = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = (0..ATTEMPTS).map(|_| openat2(&root, relative, AT_ONCE, Mode::empty(), stays));
    match attempts.find(|opened| !matches!(opened, Err(Errno::AGAIN))) {
        Some(Ok(file)) => Ok(file.into()),
        // A link that leads out, or in a circle; a socket.
        Some(Err(Errno::XDEV | Errno::LOOP | Errno::NXIO)) => Err(io::ErrorKind::NotFound.into()),
        Some(Err(error)) => Err(error.into()),
        None => Err(Errno::AGAIN.into()),
    }
}

/// Elsewhere no call does both: whoever may put links there may read what this program may.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_below(root: &Path, relative: &Path) -> io::Result<File> {
    let path = root.join(relative).canonicalize()?;
    if !path.starts_with(root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(rustix::fs::open(&path, AT_ONCE, Mode::empty())?.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{env, fs, process, thread};

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    use super::open_below;

    /// A folder and a link that leads out change places all the time.
    #[test]
    fn a_link_that_comes_in_between_does_not_lead_out() {
        let folder = env::temp_dir().join(format!("pollywog-open-below-{}", process::id()));
        let (root, outside) = (folder.join("root"), folder.join("outside"));
        let (inside, link) = (root.join("inside"), root.join("link"));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(inside.join("file"), "file").unwrap();
        fs::write(outside.join("file"), "secret").unwrap();
        symlink(&outside, &link).unwrap();
        let is_over = AtomicBool::new(false);
        let mut opened = BTreeSet::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &inside, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for _ in 0..100_000 {
                if let Ok(mut file) = open_below(&root, "inside/file".as_ref()) {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    opened.insert(text);
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(opened, BTreeSet::from(["file".to_owned()]));
    }
}
