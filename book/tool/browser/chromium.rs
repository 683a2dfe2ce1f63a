//! Chromium without a window, one process for each look.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long one look may take; they take about a second.
const LIMIT: Duration = Duration::from_secs(60);

/// Which colours the reader's system asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scheme {
    Light,
    Dark,
}

/// What was seen of a page.
#[derive(Debug)]
pub(super) struct Seen {
    /// The document after its scripts have run.
    pub(super) html: String,
    /// What they wrote to the console, their errors included.
    pub(super) console: Vec<String>,
}

/// An installed Chromium.
#[derive(Debug)]
pub(super) struct Chromium {
    program: &'static str,
    proxy: SocketAddr,
    /// The browser's profile, and what it prints.
    scratch: TempDir,
}

impl Chromium {
    /// The browser, if it is installed, with all its requests sent to `proxy`.
    pub(super) fn find(proxy: SocketAddr) -> io::Result<Option<Self>> {
        let is_there = |program: &&str| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let Some(program) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there) else {
            return Ok(None);
        };
        Ok(Some(Self { program, proxy, scratch: tempfile::tempdir()? }))
    }

    pub(super) fn name(&self) -> &'static str {
        self.program
    }

    /// Loads a page and lets its scripts run.
    pub(super) fn open(&self, page: &Path) -> io::Result<Seen> {
        self.run(page, &["--enable-logging=stderr", "--v=0", "--dump-dom"])?;
        let html = fs::read_to_string(self.scratch.path().join("stdout"))?;
        let log = fs::read(self.scratch.path().join("stderr"))?;
        let console = String::from_utf8_lossy(&log)
            .lines()
            .filter_map(|line| line.split_once(":CONSOLE"))
            .map(|(_, line)| line.split_once("] ").map_or(line, |(_, words)| words).to_owned())
            .collect();
        Ok(Seen { html, console })
    }

    /// Loads a page that looks into others, and lets its scripts run to their end.
    pub(super) fn measure(&self, page: &Path) -> io::Result<String> {
        self.run(page, &["--allow-file-access-from-files", "--virtual-time-budget=60000", "--dump-dom"])?;
        fs::read_to_string(self.scratch.path().join("stdout"))
    }

    /// Takes a picture of the upper part of a page, so wide.
    pub(super) fn picture(&self, page: &Path, scheme: Scheme, width: u32, file: &Path) -> io::Result<()> {
        let scheme = match scheme {
            Scheme::Dark => "--blink-settings=preferredColorScheme=0",
            Scheme::Light => "--blink-settings=preferredColorScheme=1",
        };
        let screenshot = format!("--screenshot={}", file.display());
        let size = format!("--window-size={width},2400");
        self.run(page, &[scheme, "--hide-scrollbars", &size, &screenshot])
    }

    fn run(&self, page: &Path, arguments: &[&str]) -> io::Result<()> {
        let scratch = self.scratch.path();
        let mut child = Command::new(self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // Without the second, calls to the loopback interface would go past the proxy.
            .arg(format!("--proxy-server={}", self.proxy))
            .arg("--proxy-bypass-list=<-loopback>")
            .arg(format!("--user-data-dir={}", scratch.join("profile").display()))
            .args(arguments)
            .arg(address(page))
            // Files, not pipes: a pipe that nobody reads would stop the browser once it is full.
            .stdout(File::create(scratch.join("stdout"))?)
            .stderr(File::create(scratch.join("stderr"))?)
            .spawn()?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                let failed = || io::Error::other(format!("{} ended with {status}", self.program));
                return if status.success() { Ok(()) } else { Err(failed()) };
            }
            if started.elapsed() > LIMIT {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("{} did not end in {LIMIT:?}", self.program)));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The page's path as an address.
fn address(page: &Path) -> String {
    let path = page.display().to_string();
    format!("file://{}", path.replace('%', "%25").replace(' ', "%20").replace('#', "%23").replace('?', "%3F"))
}
