//! What is made of streams, whoever made them: everything here is generic over the traits of `futures::io`.

mod copy_bidirectional;
mod lent;

pub use self::copy_bidirectional::copy_bidirectional;
pub(crate) use self::lent::{Lent, exchange, with_lent};
