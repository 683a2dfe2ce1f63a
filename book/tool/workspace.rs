//! Where things are.

use std::path::{Path, PathBuf};

/// The directories that the tool reads and writes.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from. The current directory plays no part.
    pub fn here() -> Self {
        let book = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: book.parent().unwrap_or(book).to_path_buf() }
    }

    /// A workspace somewhere else, for tests.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of the crates; listings are named from here.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of book.toml.
    pub fn book(&self) -> PathBuf {
        self.root.join("book")
    }

    /// The markdown and the figures.
    pub fn text(&self) -> PathBuf {
        self.book().join("src")
    }

    /// The recorded outputs.
    pub fn recorded(&self) -> PathBuf {
        self.book().join("recorded")
    }

    /// The rendered book.
    pub fn out(&self) -> PathBuf {
        self.book().join("out")
    }
}
