//! Builds the book and checks it.
//!
//! The book shows nothing that does not run: each listing is the source text of an item of a compiled file, found by
//! name. mdBook does the rendering, as a library; this crate stands in front of it and behind it.
//!
//! ```text
//!  src/*.md ──► chapter (fence, figure, listing ◄── source, item, name ◄── executor/ net/ examples/)
//!                  │ preprocessor
//!                  ▼
//!               mdBook ──► out/ ──► check (pages, links, loads), browser
//! ```
//!
//! # What a page may hold
//!
//! | a fence of the kind | its lines | in the book |
//! |---|---|---|
//! | `rust,item` | `executor/src/mailbox.rs Mailbox::post`, or only the path | the text of the item, or the file |
//! | `rust,item,nodoc` | the same | without the doc comments |
//! | `rust,exercise` | `book/exercises/tests/chapter-2.rs name` | the stub, and the solution folded away |
//! | `python,item` | `examples/python/select_server.py serve`, or only the path | the function or class, or the file |
//! | `text,file` | `deploy/haproxy.cfg`, or a shell script and a function of it | the file, or the function |
//! | `text,recorded NAME` | none | `book/recorded/NAME.txt` |
//! | `text,excerpt NAME` | lines of `book/recorded/NAME.txt` | as they are, if they are there |
//! | `console`, `console TERMINAL` | commands and what they print | as they are; `check --walk` runs them |
//! | `toml` | a manifest | as it is, if it parses |
//! | `text,diagram` | a drawing in characters | as it is |
//!
//! Every other kind is refused, so nothing in the book is unchecked. `{{#figure figures/layers.svg The caption}}`, alone
//! on its line, draws a figure into the page.
//!
//! An item is called `Type` (or any function, constant, static, macro by its name), `Type::method`, `Trait::method`,
//! `<Type as Trait>::method`, `Trait for Type`, `impl Type`, `mod name`, and `name::…` inside an inline module. What a
//! macro call like `pin_project! { … }` holds is called as if it stood alone; `pin_project! Type` is the call itself.
//! Generics may be left out where the name is clear without. What only tests compile has no name here.
//!
//! Whatever is wrong becomes a [`Fault`]: one line that says where, what was looked for and what would do.

#![forbid(unsafe_code)]

mod browser;
mod build;
mod chapter;
mod check;
mod console;
mod coverage;
mod exercise;
mod exercises;
mod fault;
mod fence;
mod figure;
mod item;
mod listing;
mod matching;
mod name;
mod preprocessor;
mod recorded;
mod sandbox;
mod script;
mod source;
mod walk;
mod workspace;

pub use browser::{BrowserOptions, check_in_browser};
pub use build::build;
pub use chapter::{Expander, Shown};
pub use check::check;
pub use coverage::{Coverage, FileCoverage, coverage};
pub use exercises::check_exercises;
pub use fault::{Fault, Faults};
pub use item::Item;
pub use preprocessor::Listings;
pub use recorded::{check_recorded, record};
pub use source::{Docs, Excerpt, SourceFile};
pub use walk::{Walked, walk, walk_page};
pub use workspace::Workspace;
