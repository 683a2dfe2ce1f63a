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
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {}

/// An error of the service's is `Other`, whatever it is made of: the connection is not to blame.
pub(super) fn into_io(error: ::hyper::Error) -> io::Error {
    let kind = if error.is_user() {
        ErrorKind::Other
    } else if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_parse() {
        ErrorKind::InvalidData
    } else if error.is_incomplete_message() {
        ErrorKind::UnexpectedEof
    } else {
        kind_below(&error).unwrap_or(ErrorKind::Other)
    };
    io::Error::new(kind, Failure(error))
}

fn kind_below(error: &::hyper::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}
