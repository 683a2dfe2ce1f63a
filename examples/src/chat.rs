//! The parts of the program `chat`.
//!
//! | file | what it holds |
//! |---|---|
//! | `hall.rs` | the rooms of this node, and who is in them: [`Hall`] |
//! | `seat.rs` | a member's name and place; leaving |
//! | `member.rs` | the queue of lines to a member |
//! | `conversation.rs` | one connection: [`attend`] |
//! | `lines.rs` | bytes to lines and back |
//! | `event.rs` | what a member does: the line that others read, and the text that other nodes get |
//! | `bridge.rs` | what is on its way through Redis: [`Bridge`] |
//! | `channels.rs` | which rooms are listened to |
//! | `link.rs` | the connections to Redis, and what happens when they break: [`Link`] |
//! | `pauses.rs` | how long to wait before the next attempt |

mod bridge;
mod channels;
mod conversation;
mod event;
mod hall;
mod lines;
mod link;
mod member;
mod pauses;
mod seat;

pub use self::bridge::Bridge;
pub use self::conversation::attend;
pub use self::hall::Hall;
pub use self::lines::is_word;
pub use self::link::Link;
