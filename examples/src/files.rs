//! Files over HTTP: the whole of one, or one range.

mod chunks;
mod open;
mod range;

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_lock::{Semaphore, SemaphoreGuardArc};
use http_body_util::BodyExt;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use hyper::{Method, Response, StatusCode};
use pollywog_net::spawn_blocking;

use self::chunks::{Chunks, Open};
use self::open::open_below;
use self::range::{Asked, asked};
use crate::http::{HttpBody, busy, full, text};
use crate::limits::allow_descriptors;
use crate::program::explain;
use crate::terminal::warn;

/// The most files that are open at once, where so many descriptors are allowed. One connection of HTTP/2 can ask for
/// many, and read none.
const OPEN: u64 = 1_024;

/// A folder, and all below it. A link is followed where it stays there; one that begins with `/` does not.
#[derive(Debug, Clone)]
pub struct Files {
    root: Arc<Path>,
    /// Each open file has one.
    places: Arc<Semaphore>,
}

/// A file that was found.
struct Found {
    /// Below the root.
    path: PathBuf,
    open: Open,
    metadata: Metadata,
}

impl Files {
    /// The files in `root`.
    ///
    /// # Errors
    ///
    /// When there is no such folder.
    pub fn new(root: &Path) -> io::Result<Self> {
        let about = format_args!("cannot serve {}", root.display());
        let root = root.canonicalize().map_err(|error| explain(about, &error))?;
        // Most descriptors are for connections.
        let places = OPEN.min(allow_descriptors() / 4).max(1);
        Ok(Self { root: root.into(), places: Arc::new(Semaphore::new(places as usize)) })
    }

    /// Answers a GET or a HEAD for the file `name`, as it stands in the request: `%20` is a space.
    pub async fn answer(&self, method: &Method, name: &str, headers: &HeaderMap) -> Response<HttpBody> {
        let Some(place) = self.places.try_acquire_arc() else { return busy("too many files are on their way") };
        let (root, relative) = (self.root.clone(), relative(name));
        // One trip to the pool for all of it.
        let opened = spawn_blocking(move || open(&root, relative.ok_or(ErrorKind::NotFound)?, place)).await;
        match opened.unwrap_or_else(|error| Err(error.into())) {
            Ok(found) => send(found, method, headers),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                    text(StatusCode::NOT_FOUND, "there is no such file")
                }
                ErrorKind::PermissionDenied => text(StatusCode::FORBIDDEN, "this file is not for you"),
                _ => {
                    warn(explain(name, &error));
                    text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
                }
            },
        }
    }
}

/// `name` as a path below the root. `None` where it tries to be another.
fn relative(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(decoded(name)?));
    let stays = path.components().all(|component| matches!(component, Component::Normal(_)));
    let has_zero = path.as_os_str().as_encoded_bytes().contains(&0);
    (stays && !has_zero).then_some(path)
}

fn decoded(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    Some(bytes)
}

/// Blocks.
fn open(root: &Path, path: PathBuf, place: SemaphoreGuardArc) -> io::Result<Found> {
    let file = open_below(root, &path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    Ok(Found { path, open: Open { file, _place: place }, metadata })
}

fn send(found: Found, method: &Method, headers: &HeaderMap) -> Response<HttpBody> {
    let Found { path, open, metadata } = found;
    let size = metadata.len();
    // It changes with the content, as far as the file system tells.
    let tag = format!("\"{size:x}-{:x}.{:x}\"", metadata.mtime(), metadata.mtime_nsec());
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // The rest of what another version began would fit nothing.
    let is_for_this = headers.get(IF_RANGE).is_none_or(|asked| *asked == tag);
    let range = header(RANGE).filter(|_| is_for_this && method == Method::GET);

    let mut response = Response::new(full(""));
    let mut say = |name, value: &str| {
        response.headers_mut().insert(name, HeaderValue::from_str(value).expect("it is of plain characters"));
    };
    say(ETAG, &tag);
    say(ACCEPT_RANGES, "bytes");
    // Whether the tag is in a list, be it on one line or on several.
    let lists = |name: HeaderName, is_this: &dyn Fn(&str) -> bool| {
        let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|known| known.trim() == "*" || is_this(known.trim()))
    };
    if headers.contains_key(IF_MATCH) && !lists(IF_MATCH, &|known| known == tag) {
        *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        return response;
    }
    // A cache on the way that packs the content calls the tag a weak one.
    if lists(IF_NONE_MATCH, &|known| known.strip_prefix("W/").unwrap_or(known) == tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (status, part) = match asked(range, size) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => {
            say(CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Asked::Nothing => {
            say(CONTENT_RANGE, &format!("bytes */{size}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
    };
    say(CONTENT_TYPE, content_type(&path));
    say(CONTENT_LENGTH, &(part.end - part.start).to_string());
    *response.status_mut() = status;
    if method != Method::HEAD {
        *response.body_mut() = Chunks::new(open, part).boxed_unsync();
    }
    response
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "gif" => "image/gif",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "md" | "rs" | "toml" | "txt" => "text/plain; charset=utf-8",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}
