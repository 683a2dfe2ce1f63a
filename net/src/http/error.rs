//! hyper's errors as those of I/O, by kind.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// What ended a connection, with its causes: hyper's own text leaves them out.
#[derive(Debug)]
struct Failure(::hyper::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        sources(&self.0).try_for_each(|error| write!(f, ": {error}"))
    }
}

impl Error for Failure {}

pub(super) fn into_io(error: ::hyper::Error) -> io::Error {
    io::Error::new(kind(&error), Failure(error))
}

fn kind(error: &::hyper::Error) -> ErrorKind {
    if error.is_user() {
        // The service's own errors are `Other`, whatever they are made of: the connection is not to blame. One that it
        // got from the body of a request and passes on says what became of the client.
        sources(error).find_map(|error| error.downcast_ref()).map_or(ErrorKind::Other, kind)
    } else if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_parse() {
        ErrorKind::InvalidData
    } else if error.is_incomplete_message() {
        ErrorKind::UnexpectedEof
    } else {
        let error = sources(error).find_map(|error| error.downcast_ref::<io::Error>());
        error.map_or(ErrorKind::Other, io::Error::kind)
    }
}

fn sources(error: &::hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
