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
//! | `text,file` | `deploy/haproxy.cfg` | the file |
//! | `text,recorded NAME` | none | `book/recorded/NAME.txt` |
//! | `toml` | a manifest | as it is, if it parses |
//! | `text`, `console` | words, commands | as they are |
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
mod coverage;
mod fault;
mod fence;
mod figure;
mod item;
mod listing;
mod name;
mod preprocessor;
mod source;
mod workspace;

pub use browser::{BrowserOptions, check_in_browser};
pub use build::build;
pub use chapter::{Expander, Shown};
pub use check::check;
pub use coverage::{Coverage, FileCoverage, coverage};
pub use fault::{Fault, Faults};
pub use item::Item;
pub use preprocessor::Listings;
pub use source::{Docs, Excerpt, SourceFile};
pub use workspace::Workspace;
