//! Listening, and stopping.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::future::{Either, select};
use pollywog_net::TcpListener;
use pollywog_net::server::Inherited;
use pollywog_net::signal::{SignalKind, signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::limits::{allow_descriptors, spare};
use crate::program::explain;
use crate::terminal::{never_wait, say, warn};
use crate::trace::show_warnings;

/// What a server should be able to serve at once.
const CONNECTIONS: u64 = 1_024;

/// Listens on `addr`, and says so on standard output: with port 0, that is how to find out which port it is. What
/// Pollywog warns of goes to standard error from then on.
///
/// Where the process was started with a listening socket (`LISTEN_FDS`), it is that one instead, wherever it listens.
///
/// # Errors
///
/// When the address is in use, not of this machine, or not permitted. When what the process was started with is no TCP
/// socket that listens.
pub async fn listen(addr: &str) -> io::Result<TcpListener> {
    prepare();
    let inherited = Inherited::from_env().tcp(0).map_err(|error| explain("cannot listen", &error))?;
    let listener = match inherited {
        Some(listener) => listener,
        None => {
            let bound = TcpListener::bind(addr).await;
            bound.map_err(|error| explain(format_args!("cannot listen on {addr}"), &error))?
        }
    };
    listening_on(listener.local_addr()?);
    Ok(listener)
}

/// Says where it listens. Somebody waits for that line, so there has to be room for it; for what is said after it, there
/// may be none.
pub fn listening_on(addr: impl Display) {
    say(format_args!("listening on {addr}"));
    never_wait();
}

/// What [`listen`] does before: it shows what Pollywog warns of, allows itself descriptors, and warns where those are few.
pub fn prepare() {
    show_warnings();
    let descriptors = allow_descriptors();
    if descriptors < CONNECTIONS {
        let connections = spare(descriptors);
        warn(format_args!("{descriptors} descriptors are allowed: about {connections} connections (`ulimit -n`)"));
    }
}

/// Runs `server`, which does not end by itself, until `interrupted` is ready: see [`interrupted`].
///
/// # Errors
///
/// That of the server.
pub async fn until_interrupted(
    interrupted: impl Future<Output = ()>,
    server: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    match select(pin!(server), pin!(interrupted)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Ok(()),
    }
}

/// Ready at Ctrl-C (SIGINT, and SIGTERM too), from this call on. A second one kills the process.
///
/// A server calls it before it says that it listens: whoever reads that may end it at once.
///
/// # Errors
///
/// When the system refuses a signal handler or its sockets.
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    a_second_one_kills()?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        select(pin!(interrupt.recv()), pin!(terminate.recv())).await;
    })
}

/// Also where the loop no longer turns: the handler itself does it.
fn a_second_one_kills() -> io::Result<()> {
    let is_second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order, which is that of the handler: the first signal is not to kill.
        flag::register_conditional_default(signal, is_second.clone())?;
        flag::register(signal, is_second.clone())?;
    }
    Ok(())
}
