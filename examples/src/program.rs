//! The frame around a program.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::terminal::warn;

/// Reads the command line, runs `program` on a runtime, and turns its result into an exit status: 0; 1 with one line
/// that says what went wrong; 2 with one line when the command line makes no sense.
pub fn main<O, F>(program: impl FnOnce(O) -> F) -> ExitCode
where
    O: Parser,
    F: Future<Output = io::Result<()>>,
{
    blocking_main(|options| pollywog_net::run(program(options)).and_then(|result| result))
}

/// The same for a program without a runtime.
pub fn blocking_main<O: Parser>(program: impl FnOnce(O) -> io::Result<()>) -> ExitCode {
    let options = match O::try_parse() {
        Ok(options) => options,
        Err(error) if !error.use_stderr() => {
            // `--help` was asked for; whoever closed the terminal does not want it any more.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            warn(format_args!("{} (--help explains)", one_line(&error)));
            return ExitCode::from(2);
        }
    };
    match program(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(plain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Clap's message without the usage that follows it: its first paragraph, on one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// An error without the number that std appends: `Connection refused (os error 111)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}

/// `error`, after what it is about: `cannot listen on 127.0.0.1:7007: Address already in use`.
pub fn explain(what: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {}", plain(error)))
}

/// A number on a command line that is at least 1.
///
/// # Errors
///
/// When it is none.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a number from 1 on is needed".to_owned())
}

/// A time on a command line, in seconds.
///
/// # Errors
///
/// When it is no number, or negative.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "seconds are a number, as in 30 or 0.5".to_owned())
}

/// Checks the form of an address on a command line: whether it exists is found out when it is used.
///
/// # Errors
///
/// When it is not `HOST:PORT`.
pub fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("an address is HOST:PORT, as in 127.0.0.1:7007".to_owned()),
    }
}
