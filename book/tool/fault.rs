//! What is wrong with the book, one line each.

use std::error::Error;
use std::fmt;

/// Something in the book that has to be put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where it is: a file, mostly with its line.
    pub place: String,
    /// What is wrong, and what would do.
    pub what: String,
}

impl Fault {
    /// The fault `what` at `place`.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One fault is one line, whatever a parser put into its message.
        let what = self.what.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{}: {what}", self.place)
    }
}

/// All the faults that one step found. It is an error so that it can travel through mdBook.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Error for Faults {}
