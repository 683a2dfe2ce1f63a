//! The inside of the program `compare`: every server model under the same probes.
//!
//! | file | what it holds |
//! |---|---|
//! | `contenders.rs` | [`contenders`]: what is measured, built and found |
//! | `child.rs` | [`become_server`]: the first step of a server's process |
//! | `server.rs` | [`Server`]: a server that runs, and that is gone when its value is |
//! | `signals.rs` | [`end_servers_at_a_signal`]: none outlives this program |
//! | `counters.rs` | processor time, context switches and memory of all processes of a server |
//! | `load.rs` | many connections that ask as fast as they are answered |
//! | `neighbour.rs` | one client that asks while others are slow |
//! | `calls.rs` | system calls per request, by strace |
//! | `rounds.rs` | [`Plan`]: the probes, one round after the other |
//! | `results.rs` | [`Results`]: what was measured, and its medians |
//! | `machine.rs` | [`Machine`], [`Cores`] |
//! | `table.rs`, `report.rs`, `words.rs` | the tables, and how numbers are written |
//! | `charts.rs`, `panels.rs`, `svg.rs` | the charts |

mod calls;
mod charts;
mod child;
mod contenders;
mod counters;
mod load;
mod machine;
mod neighbour;
mod panels;
mod report;
mod results;
mod rounds;
mod server;
mod signals;
mod svg;
mod table;
mod words;

pub use self::charts::charts;
pub use self::child::become_server;
pub use self::contenders::{Contender, Language, contenders};
pub use self::machine::{Cores, Machine};
pub use self::report::{markdown, terminal};
pub use self::results::{Calls, Entry, Latency, Medians, Neighbour, Problem, Results, Round, Settings, Throughput};
pub use self::rounds::Plan;
pub use self::server::Server;
pub use self::signals::end_servers_at_a_signal;

/// How many connections ask at once.
pub const CONNECTIONS: [usize; 3] = [1, 50, 1_000];
/// How many connections are idle at once, when memory is looked at.
pub const IDLE: [usize; 2] = [50, 1_000];
/// Over how many connections system calls are counted.
pub const TRACED: [usize; 2] = [1, 50];
/// Bytes of a line, with its end.
pub const LINE: usize = 64;
