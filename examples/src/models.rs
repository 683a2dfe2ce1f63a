//! The server models, in the order in which the book tells them.

/// A server that sends back what it gets.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What it is called; for a program in Rust, also the name of the example.
    pub name: &'static str,
    /// How it is started.
    pub program: Program,
    /// How many clients it serves at once.
    pub clients: usize,
}

/// What runs a model.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// An example of this package, with these arguments.
    Example(&'static [&'static str]),
    /// A file in `examples/python`, and the module beyond Python's own that it needs.
    Python(&'static str, Option<&'static str>),
}

/// As many as there are descriptors.
pub const ANY: usize = usize::MAX;

/// All of them.
pub const MODELS: &[Model] = &[
    Model { name: "iterative", program: Program::Example(&[]), clients: 1 },
    Model { name: "forking", program: Program::Example(&[]), clients: ANY },
    Model { name: "threaded", program: Program::Example(&[]), clients: ANY },
    Model { name: "pooled", program: Program::Example(&["--threads", "8"]), clients: 8 },
    Model { name: "spinning", program: Program::Example(&[]), clients: ANY },
    Model { name: "select", program: Program::Example(&[]), clients: 1000 },
    Model { name: "poll", program: Program::Example(&[]), clients: ANY },
    Model { name: "epoll_level", program: Program::Example(&[]), clients: ANY },
    Model { name: "epoll_edge", program: Program::Example(&[]), clients: ANY },
    Model { name: "mio_loop", program: Program::Example(&[]), clients: ANY },
];
