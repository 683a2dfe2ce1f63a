//! The frame around a server model: the command line and the listener that all of them share, so that the file of a
//! model holds nothing but the model.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use clap::{Args, Parser};

use crate::limits::allow_descriptors;
use crate::program::{address, blocking_main, explain};
use crate::terminal::say;

/// Listens where the command line says, says so, and runs `serve` until it fails or a signal ends the process. The
/// listener blocks: a model that must not wait for it says so itself.
pub fn model(serve: impl FnOnce(TcpListener) -> io::Result<()>) -> ExitCode {
    model_with(|listener, NoMore {}| serve(listener))
}

/// The same for a model with options of its own.
pub fn model_with<O: Args>(serve: impl FnOnce(TcpListener, O) -> io::Result<()>) -> ExitCode {
    blocking_main(|options: Options<O>| {
        allow_descriptors();
        let listener = TcpListener::bind(&options.addr)
            .map_err(|error| explain(format_args!("cannot listen on {}", options.addr), &error))?;
        say(format_args!("listening on {}", listener.local_addr()?));
        serve(listener, options.own)
    })
}

#[derive(Args)]
struct NoMore {}

/// A server that sends back what it gets, until Ctrl-C.
#[derive(Parser)]
#[command(after_help = "Try it: `nc 127.0.0.1 7007`, and type a line.")]
// The options of a model may be called as they like.
#[group(skip)]
struct Options<O: Args> {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,

    #[command(flatten)]
    own: O,
}
