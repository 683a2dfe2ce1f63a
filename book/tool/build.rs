//! Renders the book with mdBook, as a library.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use mdbook_driver::MDBook;
use mdbook_driver::errors::Result;
use tracing_subscriber::fmt::MakeWriter;

use crate::fault::{Fault, Faults};
use crate::preprocessor::Listings;
use crate::workspace::Workspace;

/// Builds the book into `book/out`.
///
/// # Errors
///
/// [`Faults`] where the text is at fault; mdBook's own warnings are among them. Anything else comes from mdBook.
pub fn build(workspace: &Workspace) -> Result<()> {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(warnings.clone())
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, || -> Result<()> {
        let mut book = MDBook::load(workspace.book())?;
        book.with_preprocessor(Listings::new(workspace));
        book.build()
    })?;
    let faults: Vec<Fault> = warnings.take().iter().map(|line| Fault::new("mdBook", line)).collect();
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults).into()) }
}

/// What mdBook only logs: a tag that is not closed, an option that it ignores.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Warnings {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
