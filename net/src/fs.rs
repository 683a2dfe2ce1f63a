//! Files (feature `fs`): the crate [async-fs](https://docs.rs/async-fs), under our roof.
//!
//! It has the names of `std::fs`, each function async, and a [`File`] with the traits of `futures::io`. A file on a disk
//! is always 'ready', so no reactor can wait for it: every operation runs on a thread of the pool that
//! [`spawn_blocking`](crate::spawn_blocking) uses too, and the loop turns meanwhile.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use futures::AsyncWriteExt;
//! use pollywog_net::fs;
//!
//! pollywog_net::run(async {
//!     let path = std::env::temp_dir().join(format!("pollywog-fs-{}", std::process::id()));
//!     let mut file = fs::File::create(&path).await?;
//!     file.write_all(b"one line\n").await?;
//!     file.close().await?; // what was written is on its way until then
//!     assert_eq!(fs::read_to_string(&path).await?, "one line\n");
//!     fs::remove_file(&path).await
//! })?
//! # }
//! ```
//!
//! # What to know
//!
//! - Flush or close what you write: a write only hands its bytes over, and its error comes with the next operation.
//! - Dropping a future does not stop what a thread has begun: a file may be removed after all.
//! - A [paused](crate::time::pause) clock does not know of these operations and moves on while one runs, so a `timeout`
//!   around it fires at once. [`time::hold`](crate::time::hold) keeps it, and `spawn_blocking` does so by itself.
//! - Each call is a trip to another thread and back. For several calls in a row, such as reading a folder and all that
//!   is in it, one `spawn_blocking` with `std::fs` inside is simpler and faster.

#[doc(no_inline)]
pub use async_fs::*;
