//! What happened, counted: a run that did nothing must not pass.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $name { $($variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

names! {
    /// What can be done to a stream.
    Kind {
        Read,
        ReadVectored,
        ReadBuf,
        TryRead,
        TryReadVectored,
        Peek,
        ReadWith,
        Readable,
        Write,
        WriteVectored,
        TryWrite,
        TryWriteVectored,
        Writable,
    }
}

names! {
    /// What can become of an operation.
    Fate {
        Done,
        Waited,
        Dropped,
        DroppedWhenWoken,
        PolledInVain,
        TimedOut,
        Raced,
        Carried,
        CarriedToNew,
    }
}

names! {
    /// What else can happen.
    Happening {
        Whole,
        Shared,
        Halves,
        ThroughStd,
        Reunited,
        TwoReaders,
        TwoWriters,
        Moved,
        MovedToNew,
        CarriedOn,
        TakenOver,
        Paused,
        UsedTheBudgetUp,
        Settled,
        WrotePart,
        KeptAll,
        Empty,
        ShutDown,
        Closed,
        HalfDropped,
        HalfForgotten,
        WroteAfterTheEnd,
        LeftUnread,
        EndLeft,
        Cut,
        End,
        EndAgain,
        ReadBroken,
        WriteBroken,
        Vanished,
    }
}

impl Kind {
    pub(super) fn is_read(self) -> bool {
        (self as usize) < Self::Write as usize
    }
}

impl Fate {
    /// It is to be seen with each kind of operation, and not only with some.
    fn is_common(self) -> bool {
        matches!(self, Self::Done | Self::Waited | Self::Raced | Self::Carried | Self::CarriedToNew)
    }
}

const KINDS: usize = Kind::ALL.len();
const FATES: usize = Fate::ALL.len();
const HAPPENINGS: usize = Happening::ALL.len();

/// The counters of a case that runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    operations: [[AtomicU64; FATES]; KINDS],
    happenings: [AtomicU64; HAPPENINGS],
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn operation(&self, kind: Kind, fate: Fate) {
        self.operations[kind as usize][fate as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn happened(&self, what: Happening) {
        self.happened_often(what, 1);
    }

    pub(super) fn happened_often(&self, what: Happening, times: u64) {
        self.happenings[what as usize].fetch_add(times, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn stats(&self, took: Duration) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            cases: 1,
            longest: took,
            operations: self.operations.each_ref().map(|row| row.each_ref().map(load)),
            happenings: self.happenings.each_ref().map(load),
            bytes: load(&self.bytes),
        }
    }
}

/// What happened in a number of cases.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    cases: u64,
    longest: Duration,
    operations: [[u64; FATES]; KINDS],
    happenings: [u64; HAPPENINGS],
    bytes: u64,
}

impl Stats {
    /// How many cases ran.
    pub fn cases(&self) -> u64 {
        self.cases
    }

    /// How many operations came to their end.
    pub fn done(&self) -> u64 {
        self.operations.iter().map(|row| row[Fate::Done as usize]).sum()
    }

    /// How many bytes arrived.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds what happened in other cases.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.longest = self.longest.max(other.longest);
        self.bytes += other.bytes;
        for (mine, theirs) in self.operations.iter_mut().flatten().zip(other.operations.iter().flatten()) {
            *mine += theirs;
        }
        for (mine, theirs) in self.happenings.iter_mut().zip(&other.happenings) {
            *mine += theirs;
        }
    }

    /// What never happened, of what does happen within seconds.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for fate in Fate::ALL {
            let count = |kind: &Kind| self.operations[*kind as usize][*fate as usize];
            if fate.is_common() {
                let never = Kind::ALL.iter().filter(|kind| count(kind) == 0);
                missing.extend(never.map(|kind| format!("{kind:?} {fate:?}")));
                continue;
            }
            for is_read in [true, false] {
                if Kind::ALL.iter().filter(|kind| kind.is_read() == is_read).all(|kind| count(kind) == 0) {
                    missing.push(format!("{fate:?} of {}", if is_read { "a read" } else { "a write" }));
                }
            }
        }
        // It takes luck for the kernel to lose a reset.
        for what in Happening::ALL.iter().filter(|what| **what != Happening::Vanished) {
            if self.happenings[*what as usize] == 0 {
                missing.push(format!("{what:?}"));
            }
        }
        missing
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = String::new();
        for fate in Fate::ALL {
            write!(head, " {:>16}", format!("{fate:?}"))?;
        }
        let (cases, bytes, longest) = (self.cases, self.bytes, self.longest);
        writeln!(f, "{cases} cases, the longest {longest:.1?}; {} operations, {bytes} bytes", self.done())?;
        writeln!(f, "{:16}{head}", "")?;
        for kind in Kind::ALL {
            write!(f, "{:16}", format!("{kind:?}"))?;
            for count in self.operations[*kind as usize] {
                write!(f, " {count:16}")?;
            }
            writeln!(f)?;
        }
        for what in Happening::ALL {
            write!(f, "{what:?} {}  ", self.happenings[*what as usize])?;
        }
        Ok(())
    }
}
