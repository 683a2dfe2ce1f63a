//! A fresh checkout: the files of the sources as they are now, and nothing else.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Copies what git knows of or would take. The times of the files stay, so that cargo builds nothing anew.
pub(super) fn copy(root: &Path, fresh: &Path) -> io::Result<()> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr))));
    }
    for path in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|path| !path.is_empty()) {
        let (from, to) = (root.join(path), fresh.join(path));
        // One that is deleted and not committed yet.
        let Ok(metadata) = fs::symlink_metadata(&from) else { continue };
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        if metadata.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if metadata.is_file() {
            fs::copy(&from, &to)?;
            File::options().append(true).open(&to)?.set_modified(metadata.modified()?)?;
        }
    }
    // Where the pages say `target/debug/…`, and the builds are elsewhere.
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        symlink(target, fresh.join("target"))?;
    }
    Ok(())
}
