//! Frames out of bytes (feature `codec`): the crate [asynchronous-codec](https://docs.rs/asynchronous-codec), under our
//! roof.
//!
//! A [`Decoder`] says where a frame ends, an [`Encoder`] writes one, and [`Framed`] makes a stream and a sink of frames of
//! a connection, or of anything else that has the traits of `futures::io`.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use futures::{SinkExt, TryStreamExt};
//! use pollywog_net::codec::{Framed, LinesCodec};
//! use pollywog_net::{TcpListener, TcpStream, spawn};
//!
//! pollywog_net::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     spawn(async move {
//!         let mut lines = Framed::new(listener.accept().await?.0, LinesCodec);
//!         while let Some(line) = lines.try_next().await? {
//!             lines.send(line.to_uppercase()).await?;
//!         }
//!         std::io::Result::Ok(())
//!     });
//!     let mut lines = Framed::new(TcpStream::connect(addr).await?, LinesCodec);
//!     lines.send("one\n".to_owned()).await?;
//!     lines.send("two\n".to_owned()).await?;
//!     assert_eq!(lines.try_next().await?.as_deref(), Some("ONE\n")); // the end of the line is part of it
//!     assert_eq!(lines.try_next().await?.as_deref(), Some("TWO\n"));
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # What to know
//!
//! - The codecs that come with it have no limit: a peer that sends no end of line, or the length of something huge, makes
//!   the buffer grow for as long as it sends. Between you and people you do not trust, write a `Decoder` that gives up:
//!   it is one function.
//! - Waiting for a frame is cancel safe: what has come is kept in the `Framed`. A `send` that is dropped has either not
//!   taken the frame, or taken it whole; the next `send` or `flush` goes on with it.
//! - Its last release, 0.7.0, is of October 2023. It is small, finished and widely used (libp2p stands on it), and it is
//!   built on the traits of `futures::io`, which is why it is here. tokio-util's `codec` is the more active project, and
//!   its `LinesCodec::new_with_max_length` has the limit; over the feature `tokio-io` it works on our sockets too.

#[doc(no_inline)]
pub use asynchronous_codec::*;
