//! Sends back every datagram that it gets.
//!
//! ```text
//! cargo run --release --example udp_echo
//! nc -u 127.0.0.1 7007                     # type a line: it comes back
//! ```
//!
//! What to look at: there are no connections, so one socket and one task serve everybody, and the sender's address is
//! all that is known of a peer. What cannot be sent back is counted and forgotten: one peer's trouble must not end the
//! service for the others. While the task is busy, the kernel queues datagrams, and drops what does not fit into the
//! queue; nobody is told.
//!
//! It is for a machine's own use: where strangers can reach it, a forged sender makes two such servers talk to each
//! other for ever.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use pollywog_examples::{address, explain, interrupted, listening_on, say, until_interrupted};
use pollywog_net::UdpSocket;

/// Room for any datagram: what is longer than the buffer would be cut off.
const LARGEST: usize = 65_535;

async fn serve(options: Options) -> io::Result<()> {
    let interrupted = interrupted()?;
    let addr = &options.addr;
    let socket =
        UdpSocket::bind(addr).await.map_err(|error| explain(format_args!("cannot listen on {addr}"), &error))?;
    listening_on(socket.local_addr()?);

    let (mut sent_back, mut lost) = (0_u64, 0_u64);
    until_interrupted(interrupted, async {
        let mut buffer = vec![0; LARGEST];
        loop {
            let (count, peer) = socket.recv_from(&mut buffer).await?;
            match socket.send_to(&buffer[..count], peer).await {
                Ok(_) => sent_back += 1,
                Err(_) => lost += 1,
            }
        }
    })
    .await?;
    say(format_args!("sent back {sent_back} datagrams, could not send {lost}"));
    Ok(())
}

/// Sends back every datagram that it gets, until Ctrl-C.
#[derive(Parser)]
#[command(name = "udp_echo", after_help = "Try it: `nc -u 127.0.0.1 7007`, and type a line.")]
struct Options {
    /// Where to listen; port 0 has the system pick one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7007", value_parser = address)]
    addr: String,
}

fn main() -> ExitCode {
    pollywog_examples::main(serve)
}
