//! One member's WebSocket, from its first message to its close frame.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::frame::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes, error::ProtocolError};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use hyper::upgrade::Upgraded;
use pollywog_net::cancel::CancelToken;
use pollywog_net::hyper::PollywogIo;
use pollywog_net::{task, time};
use serde::Deserialize;

use crate::room::{Member, Room, Seat, Told};

type Stream = PollywogIo<Upgraded>;

/// Bytes of a message that a member may send.
const LONGEST: usize = 4 << 10;
/// How long each step of a goodbye may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a member says, as JSON with the variant's name as `type`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Heard {
    /// First of all, and again to change it.
    Name {
        name: String,
    },
    Say {
        text: String,
    },
}

/// What one connection may cost, as small as it can be.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
        // It is there from the start.
        .read_buffer_size(LONGEST)
        .write_buffer_size(0)
        // Whoever sends pings and never reads would fill it with the answers.
        .max_write_buffer_size(16 * LONGEST)
}

/// Serves a member until one of the two sides ends it.
pub(crate) async fn attend(stream: Stream, room: &Room, ping: Duration, shutdown: &CancelToken) -> io::Result<()> {
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits())).await;
    let (mut sender, mut receiver) = socket.split();
    let end = {
        let (me, messages, missed) = Member::new();
        let mut telling = pin!(tell(&mut sender, messages, room, &missed, ping));
        let end = {
            let listening = listen(&mut receiver, room, me, 2 * ping);
            let listening = pin!(shutdown.run_until_cancelled(listening));
            match select(listening, telling.as_mut()).await {
                Either::Left((Some(end), _)) => end,
                Either::Left((None, _)) => End::new(CloseCode::Away, "the server ends", Ok(())),
                Either::Right((result, _)) => return result,
            }
        };
        // It has left the room, so that its queue ends. What is in it is told before the close frame.
        let _ = time::timeout(PATIENCE, telling).await;
        end
    };
    let _ = time::timeout(PATIENCE, sender.close(end.frame)).await;
    if let Ok(socket) = WebSocketStream::reunite(sender, receiver) {
        let _ = time::timeout(PATIENCE, part(socket.into_inner())).await;
    }
    end.result
}

/// Reads what still comes, for nobody: a socket that is closed with something unread resets the connection, and takes
/// the close frame with it.
async fn part(mut stream: Stream) -> io::Result<()> {
    stream.close().await?;
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// How it ended: what the member is told, and what the server's count is told.
struct End {
    frame: Option<CloseFrame>,
    result: io::Result<()>,
}

impl End {
    fn new(code: CloseCode, reason: &'static str, result: io::Result<()>) -> Self {
        Self { frame: Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }), result }
    }

    fn fault(code: CloseCode, reason: &'static str) -> Self {
        Self::new(code, reason, Err(io::Error::new(io::ErrorKind::InvalidData, reason)))
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Self::fault(CloseCode::Size, "a message has 4096 bytes at most"),
            Error::Utf8(_) => Self::fault(CloseCode::Invalid, "a text has to be UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self { frame: None, result: Err(io::ErrorKind::UnexpectedEof.into()) }
            }
            Error::Protocol(_) => Self::fault(CloseCode::Protocol, "that is no WebSocket"),
            error => Self { frame: None, result: Err(into_io(error)) },
        }
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// Hears what a member says, until it says nothing for `patience`: even who has nothing to say answers pings.
async fn listen(receiver: &mut WebSocketReceiver<Stream>, room: &Room, mut me: Member, patience: Duration) -> End {
    let mut seat = None;
    loop {
        match time::timeout(patience, receiver.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                if let Err(reason) = hear(&text, room, &mut seat, &mut me) {
                    me.tell(Told::Refused { reason }.message());
                }
            }
            Ok(Some(Ok(Message::Binary(_)))) => return End::fault(CloseCode::Unsupported, "text is all that there is"),
            // tungstenite answers them; after a close there is nothing more.
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return error.into(),
            Ok(None) => return End { frame: None, result: Ok(()) },
            Err(_) => {
                let reason = "no answer to a ping";
                return End::new(CloseCode::Policy, reason, Err(io::Error::new(io::ErrorKind::TimedOut, reason)));
            }
        }
        // A hundred messages may have come at once: those who listen get their turn between them.
        task::yield_now().await;
    }
}

fn hear(text: &str, room: &Room, seat: &mut Option<Seat>, me: &mut Member) -> Result<(), &'static str> {
    match (serde_json::from_str(text), seat) {
        (Ok(Heard::Name { name }), Some(seat)) => seat.rename(name.trim(), me)?,
        (Ok(Heard::Name { name }), seat) => *seat = Some(Seat::take(room, name.trim(), me)?),
        (Ok(Heard::Say { text }), Some(seat)) => seat.say(text.trim()),
        (Ok(Heard::Say { .. }), None) => return Err("a name comes first"),
        (Err(_), _) => return Err("that is no message of this chat"),
    }
    Ok(())
}

/// Sends a member what waits for it, and a ping every now and then.
async fn tell(
    sender: &mut WebSocketSender<Stream>,
    mut messages: mpsc::Receiver<Utf8Bytes>,
    room: &Room,
    missed: &Cell<u64>,
    ping: Duration,
) -> io::Result<()> {
    let mut pings = time::interval(ping);
    loop {
        // In this order: a member for whom there is always something more is to be asked too.
        let message = match select(pin!(pings.tick()), messages.next()).await {
            Either::Left(_) => Message::Ping(Bytes::new()),
            Either::Right((Some(message), _)) => Message::Text(message),
            Either::Right((None, _)) => return Ok(()),
        };
        sender.send(message).await.map_err(into_io)?;
        let count = missed.take();
        if count > 0 {
            let message = Told::Missed { count, members: room.members() }.message();
            sender.send(Message::Text(message)).await.map_err(into_io)?;
        }
    }
}
