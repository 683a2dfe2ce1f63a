//! One connection: what it says and what it is told, side by side.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use pollywog_net::server::Connection;
use pollywog_net::{task, time};

use super::hall::{CUT_OFF, Hall, THE_END};
use super::lines::{read_line, write_lines};
use super::member::Member;
use super::seat::Seat;

/// Where everybody comes in.
const LOBBY: &str = "lobby";
/// How long a member who leaves may take to read what stands in the queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of a connection waits for the member to close it, too.
const LINGER: Duration = Duration::from_secs(1);
/// A member may be silent. After this time the system asks whether it is still there, and if it gets no answer, again and
/// again: nine times on Linux, and then the connection is broken.
const SILENCE: Duration = Duration::from_secs(60);
const PROBES: Duration = Duration::from_secs(10);

/// Serves one member, from the first line, which is the name, to the last. The name has to come within `patience`.
///
/// # Errors
///
/// When the connection breaks.
pub async fn attend(connection: Connection, hall: Rc<Hall>, patience: Duration) -> io::Result<()> {
    connection.get_ref().set_keepalive_times(SILENCE, PROBES)?;
    let (me, lines) = Member::new();
    let telling = pin!(write_lines(&connection, lines, &me));
    let talking = async {
        let shutdown = connection.shutdown_token();
        if shutdown.run_until_cancelled(converse(&connection, &hall, &me, patience)).await.is_none() {
            me.tell(THE_END);
        }
        me.close();
    };
    match select(pin!(talking), telling).await {
        // It has left its room. The last lines are still to be written.
        Either::Left(((), telling)) => time::timeout(PATIENCE, telling).await.unwrap_or(Ok(()))?,
        Either::Right((result, _)) => result?,
    }
    part(&connection).await
}

/// A socket that is closed with something unread resets the connection, and takes along what the member has not read.
async fn part(mut connection: &Connection) -> io::Result<()> {
    connection.close().await?;
    let _ = time::timeout(LINGER, async {
        while connection.read(&mut [0; 512]).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
    Ok(())
}

async fn converse(connection: &Connection, hall: &Hall, me: &Member, patience: Duration) -> io::Result<()> {
    me.tell("* hello! What is your name?");
    let mut seat = match time::timeout(patience, take_a_seat(connection, hall, me)).await {
        Ok(Ok(Some(seat))) => seat,
        Ok(result) => return result.map(drop),
        Err(_) => {
            me.tell(format!("* no name in {patience:?}: goodbye"));
            return Ok(());
        }
    };
    seat.join(LOBBY).await.expect("its name is one word");
    me.tell(format!("* welcome, {}. In the room: {}", seat.name(), hall.who(LOBBY)));
    if hall.is_cut_off() {
        me.tell(CUT_OFF);
    }
    while let Some(line) = read_line(connection).await? {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("", "") => {}
            ("/quit", _) => break,
            ("/who", _) => me.tell(who(hall, seat.room()).await),
            ("/rooms", _) => me.tell(format!("* rooms: {}", hall.rooms())),
            ("/nick", name) => me.tell(match seat.rename(name) {
                Ok(()) => format!("* you are {} now", seat.name()),
                Err(reason) => format!("* {reason}"),
            }),
            ("/join", room) => me.tell(match seat.join(room).await {
                Ok(()) => format!("* you are in {} now. In the room: {}", seat.room(), hall.who(seat.room())),
                Err(reason) => format!("* {reason}"),
            }),
            (command, _) if command.starts_with('/') => {
                me.tell("* there are /who, /nick NEW, /join ROOM, /rooms and /quit");
            }
            _ => {
                if seat.say(line).is_err() {
                    me.tell("* too much is on its way to the other nodes: nobody has read that line");
                }
            }
        }
        // A hundred lines may have come at once: those who listen get their turn between them.
        task::yield_now().await;
    }
    me.tell("* goodbye");
    Ok(())
}

/// Asks until a name is free. `None` is the end of the connection.
async fn take_a_seat<'a>(connection: &Connection, hall: &'a Hall, me: &'a Member) -> io::Result<Option<Seat<'a>>> {
    while let Some(name) = read_line(connection).await? {
        match Seat::take(hall, me, &name) {
            Ok(seat) => return Ok(Some(seat)),
            Err(reason) => me.tell(format!("* {reason}. Another name?")),
        }
    }
    Ok(None)
}

async fn who(hall: &Hall, room: &str) -> String {
    let nodes = match hall.bridge() {
        Some(bridge) => bridge.nodes(room).await,
        None => None,
    };
    let nodes = match nodes {
        Some(nodes) => format!("; other nodes that share it: {}", nodes.saturating_sub(1)),
        None if hall.is_cut_off() => "; the other nodes are out of reach".to_owned(),
        None => String::new(),
    };
    format!("* in the room: {}{nodes}", hall.who(room))
}
