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
    Model { name: "signal_driven", program: Program::Example(&[]), clients: ANY },
    Model { name: "io_uring", program: Program::Example(&[]), clients: ANY },
    Model { name: "callbacks", program: Program::Example(&[]), clients: ANY },
    Model { name: "fibers", program: Program::Example(&[]), clients: ANY },
    Model { name: "select in Python", program: Program::Python("select_server.py", None), clients: 1000 },
    Model { name: "poll in Python", program: Program::Python("poll_server.py", None), clients: ANY },
    Model { name: "epoll in Python", program: Program::Python("epoll_server.py", None), clients: ANY },
    Model { name: "greenlet", program: Program::Python("greenlet_server.py", Some("greenlet")), clients: ANY },
    Model { name: "gevent", program: Program::Python("gevent_server.py", Some("gevent")), clients: ANY },
    Model { name: "eventlet", program: Program::Python("eventlet_server.py", Some("eventlet")), clients: ANY },
    Model { name: "echo", program: Program::Example(&[]), clients: ANY },
];
