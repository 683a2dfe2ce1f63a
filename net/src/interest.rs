//! What can be waited for, and what was reported.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use mio::event::Event;

use crate::sources::Direction;

/// What to wait for, as in [`TcpStream::ready`](crate::TcpStream::ready).
///
/// # Examples
///
/// ```
/// use pollywog_net::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable() && !both.is_priority());
/// assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Something to read, the end of the stream included.
    pub const READABLE: Self = Self(1);
    /// Room to write, a closed peer included.
    pub const WRITABLE: Self = Self(2);
    /// Urgent data, or what else the system calls exceptional. It is reported on Linux and Android only.
    pub const PRIORITY: Self = Self(4);
    /// An error on the socket alone.
    pub const ERROR: Self = Self(8);

    const NAMES: [(Self, &str); 4] = [
        (Self::READABLE, "READABLE"),
        (Self::WRITABLE, "WRITABLE"),
        (Self::PRIORITY, "PRIORITY"),
        (Self::ERROR, "ERROR"),
    ];

    /// Both of two interests: `|`, for constants.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it asks for reading.
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether it asks for writing.
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether it asks for urgent data.
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether it asks for errors.
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// What fulfils it.
    pub(crate) fn mask(self) -> Ready {
        let bits = |asked: bool, bits: Ready| if asked { bits } else { Ready::EMPTY };
        bits(self.is_readable(), Ready::READABLE | Ready::READ_CLOSED)
            | bits(self.is_writable(), Ready::WRITABLE | Ready::WRITE_CLOSED)
            | bits(self.is_priority(), Ready::PRIORITY | Ready::READ_CLOSED)
            | bits(self.is_error(), Ready::ERROR)
    }

    /// The directions that report it: errors come on both.
    pub(crate) fn directions(self) -> impl Iterator<Item = Direction> {
        let write = self.is_writable();
        let read = self.is_readable() || self.is_priority() || (self.is_error() && !write);
        read.then_some(Direction::Read).into_iter().chain(write.then_some(Direction::Write))
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        names(f, Self::NAMES.map(|(interest, name)| (self.0 & interest.0 != 0, name)))
    }
}

/// What was reported of a socket and not found wrong since.
///
/// # Examples
///
/// ```
/// use pollywog_net::Ready;
///
/// let ready = Ready::READ_CLOSED | Ready::WRITABLE;
/// assert!(ready.is_readable(), "a read gives the end of the stream");
/// assert!(!ready.is_write_closed());
/// assert_eq!(format!("{ready:?}"), "WRITABLE | READ_CLOSED");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// There is something to read.
    pub const READABLE: Self = Self(1);
    /// There is room to write.
    pub const WRITABLE: Self = Self(2);
    /// The peer sends no more, or reading was shut down here.
    pub const READ_CLOSED: Self = Self(4);
    /// The peer is gone, or writing was shut down here.
    pub const WRITE_CLOSED: Self = Self(8);
    /// There is urgent data.
    pub const PRIORITY: Self = Self(16);
    /// The socket has an error.
    pub const ERROR: Self = Self(32);
    /// All of them.
    pub const ALL: Self = Self(63);

    const NAMES: [(Self, &str); 6] = [
        (Self::READABLE, "READABLE"),
        (Self::WRITABLE, "WRITABLE"),
        (Self::READ_CLOSED, "READ_CLOSED"),
        (Self::WRITE_CLOSED, "WRITE_CLOSED"),
        (Self::PRIORITY, "PRIORITY"),
        (Self::ERROR, "ERROR"),
    ];

    /// Whether nothing is ready.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a read is worth a try: it also says that the stream ended.
    pub const fn is_readable(self) -> bool {
        self.0 & (Self::READABLE.0 | Self::READ_CLOSED.0) != 0
    }

    /// Whether a write is worth a try: it also says that the peer is gone.
    pub const fn is_writable(self) -> bool {
        self.0 & (Self::WRITABLE.0 | Self::WRITE_CLOSED.0) != 0
    }

    /// Whether nothing more comes.
    pub const fn is_read_closed(self) -> bool {
        self.0 & Self::READ_CLOSED.0 != 0
    }

    /// Whether nothing more can be sent.
    pub const fn is_write_closed(self) -> bool {
        self.0 & Self::WRITE_CLOSED.0 != 0
    }

    /// Whether there is urgent data.
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether there is an error.
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// What an event says of one direction. Half-close is not close: that nothing more comes leaves writing alone. An
    /// error concerns both, and an operation of either gives it.
    pub(crate) fn of(event: &Event, direction: Direction) -> Self {
        let bit = |set: bool, bit: Self| if set { bit } else { Self::EMPTY };
        let one_way = match direction {
            Direction::Read => {
                bit(event.is_readable(), Self::READABLE)
                    | bit(event.is_read_closed(), Self::READ_CLOSED)
                    | bit(event.is_priority(), Self::PRIORITY)
            }
            Direction::Write => {
                bit(event.is_writable(), Self::WRITABLE) | bit(event.is_write_closed(), Self::WRITE_CLOSED)
            }
        };
        one_way | bit(event.is_error(), Self::ERROR | Self::open(direction))
    }

    /// All that an operation of `direction` tells about, by blocking: not of urgent data, nor of errors.
    pub(crate) fn of_operation(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::READABLE | Self::READ_CLOSED,
            Direction::Write => Self::WRITABLE | Self::WRITE_CLOSED,
        }
    }

    /// That an operation of `direction` may be tried, and nothing else.
    pub(crate) fn open(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::READABLE,
            Direction::Write => Self::WRITABLE,
        }
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        names(f, Self::NAMES.map(|(ready, name)| (self.0 & ready.0 != 0, name)))
    }
}

fn names<const N: usize>(f: &mut fmt::Formatter<'_>, names: [(bool, &str); N]) -> fmt::Result {
    let mut set = names.into_iter().filter_map(|(is_set, name)| is_set.then_some(name));
    f.write_str(set.next().unwrap_or("EMPTY"))?;
    set.try_for_each(|name| write!(f, " | {name}"))
}
