//! The connections to Redis, and what happens when they break.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select, try_join};
use pollywog_net::{JoinHandle, spawn, task, time};

use super::bridge::{Bridge, Command, ON_THE_WAY};
use super::event::Notice;
use super::hall::{CUT_OFF, Hall};
use super::pauses::Pauses;
use crate::program::explain;
use crate::redis::{Commands, Place, Replies, Reply, granted};
use crate::terminal::warn;

/// What a room's channel is called, before its name.
const CHANNELS: &str = "chat:";
/// How long Redis may say nothing. A machine that has vanished says nothing either.
const SILENCE: Duration = Duration::from_secs(6);
/// How often it is asked to say something.
const PING: Duration = Duration::from_secs(2);
/// What is published at once, at most.
const BATCH: usize = 64;
/// How long the last lines may take when the node ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// What keeps the bridge of a hall.
#[derive(Debug)]
pub struct Link {
    hall: Rc<Hall>,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects the hall's bridge to a Redis, and again whenever that breaks. It returns after the first attempt: where
    /// Redis cannot be reached, the node serves its own members for the time being.
    pub async fn open(hall: Rc<Hall>, place: Place) -> Self {
        let (tried, is_tried) = oneshot::channel();
        let keeper = Keeper { place, tried: Cell::new(Some(tried)), in_trouble: Cell::new(false) };
        let task = spawn({
            let hall = hall.clone();
            async move {
                if let Some(bridge) = hall.bridge() {
                    keeper.keep(&hall, bridge).await;
                }
            }
        });
        // An error is that there is no bridge.
        let _ = is_tried.await;
        Self { hall, task }
    }

    /// Publishes what is still to be published, if Redis takes it in time.
    pub async fn close(self) {
        if let Some(bridge) = self.hall.bridge().filter(|bridge| bridge.stands()) {
            // The queue ends with what stands in it.
            bridge.publish_into(None);
            let _ = time::timeout(PATIENCE, self.task).await;
        }
    }
}

struct Keeper {
    place: Place,
    /// To be told after the first attempt.
    tried: Cell<Option<oneshot::Sender<()>>>,
    /// Everybody has been told that Redis is gone.
    in_trouble: Cell<bool>,
}

impl Keeper {
    async fn keep(&self, hall: &Hall, bridge: &Bridge) {
        let mut pauses = Pauses::default();
        loop {
            let begun = time::now();
            // Without an error, the node has ended.
            let Err(error) = self.session(hall, bridge).await else { return };
            let authors = hall.tell_what_is_on_the_way().await;
            bridge.tear_down();
            for (author, count) in authors.into_iter().filter(|(_, count)| *count > 0) {
                author.tell(format!("* the other nodes may have missed your last lines: {count}"));
            }
            if !self.in_trouble.replace(true) {
                warn(format_args!("{}; trying again", explain(format_args!("Redis at {}", self.place), &error)));
                hall.tell_all(CUT_OFF);
            }
            self.tried.take();
            time::sleep(pauses.after(time::now() - begun)).await;
        }
    }

    /// From connecting to the end of a connection.
    async fn session(&self, hall: &Hall, bridge: &Bridge) -> io::Result<()> {
        let (hearing, publishing) = within(try_join(self.connect(), self.connect())).await?;
        let (queue, commands) = mpsc::channel(ON_THE_WAY);
        let hearing = try_join(ask(bridge, hearing.0), self.hear(hall, bridge, hearing.1, queue));
        match select(pin!(hearing), pin!(publish(publishing, commands))).await {
            Either::Left((result, _)) => result.map(drop),
            Either::Right((result, _)) => result,
        }
    }

    /// A connection on which Redis has said something.
    async fn connect(&self) -> io::Result<(Commands, Replies)> {
        let (mut commands, mut replies) = self.place.connect().await?;
        commands.add(&["PING"]);
        commands.send().await?;
        granted(replies.next().await?)?;
        Ok((commands, replies))
    }

    /// Every room with members is listened to.
    fn stands(&self, hall: &Hall, bridge: &Bridge, queue: Option<mpsc::Sender<Command>>) {
        bridge.publish_into(queue);
        self.tried.take();
        if self.in_trouble.replace(false) {
            warn(format_args!("Redis at {} is back", self.place));
            hall.tell_all("* the other nodes are in reach again");
        }
    }

    /// Takes what comes for the rooms. The bridge stands once all of them are listened to.
    async fn hear(
        &self,
        hall: &Hall,
        bridge: &Bridge,
        mut replies: Replies,
        queue: mpsc::Sender<Command>,
    ) -> io::Result<()> {
        let mut queue = Some(queue);
        loop {
            if queue.is_some() && bridge.channels.are_confirmed() {
                self.stands(hall, bridge, queue.take());
            }
            if let Reply::Array(parts) = granted(within(replies.next()).await?)? {
                take(hall, bridge, &parts);
            }
            // A hundred messages may have come at once: those who listen get their turn between them.
            task::yield_now().await;
        }
    }
}

/// What Redis tells who has subscribed.
fn take(hall: &Hall, bridge: &Bridge, parts: &[Reply]) {
    let [Reply::BulkString(kind), Reply::BulkString(channel), rest] = parts else { return };
    let channel = String::from_utf8_lossy(channel);
    let Some(room) = channel.strip_prefix(CHANNELS) else { return };
    match (kind.as_slice(), rest) {
        (b"subscribe", _) => bridge.channels.confirm(room),
        (b"message", Reply::BulkString(text)) => {
            let Some(notice) = Notice::parse(text) else { return };
            match bridge.is_back(&notice) {
                Some(Some(told)) => hall.tell_here(&told),
                // It was told when a connection broke.
                Some(None) => {}
                None => {
                    let line = notice.event.line(&notice.name, &format!("@{}", notice.node));
                    hall.tell(room, None, &line.into());
                }
            }
        }
        _ => {}
    }
}

/// Tells Redis which rooms this node listens to.
async fn ask(bridge: &Bridge, mut redis: Commands) -> io::Result<()> {
    loop {
        match time::timeout(PING, bridge.channels.changes()).await {
            Ok(changes) => {
                for (room, is_wanted) in changes {
                    redis.add(&[if is_wanted { "SUBSCRIBE" } else { "UNSUBSCRIBE" }, &channel(&room)]);
                }
            }
            Err(_) => redis.add(&["PING"]),
        }
        redis.send().await?;
    }
}

/// Publishes what is in the queue, until it ends.
async fn publish((mut redis, mut replies): (Commands, Replies), mut queue: mpsc::Receiver<Command>) -> io::Result<()> {
    loop {
        let mut batch = Vec::new();
        match time::timeout(PING, queue.next()).await {
            Ok(Some(command)) => batch.push(command),
            Ok(None) => return Ok(()),
            Err(_) => batch.push(Command::Ping),
        }
        while batch.len() < BATCH
            && let Ok(command) = queue.try_recv()
        {
            batch.push(command);
        }
        for command in &batch {
            match command {
                Command::Ping => redis.add(&["PING"]),
                Command::Publish { room, text } => redis.add(&["PUBLISH", &channel(room), text]),
                Command::Nodes { room, .. } => redis.add(&["PUBSUB", "NUMSUB", &channel(room)]),
            }
        }
        within(redis.send()).await?;
        for command in batch {
            match (command, within(replies.next()).await?) {
                // Who asked may be gone; and not everything that speaks Redis's protocol knows the answer.
                (Command::Nodes { answer, .. }, Reply::Array(parts)) => {
                    if let [_, Reply::Integer(count)] = parts.as_slice() {
                        let _ = answer.send(count.unsigned_abs());
                    }
                }
                (Command::Nodes { .. }, _) => {}
                (_, reply) => drop(granted(reply)?),
            }
        }
    }
}

fn channel(room: &str) -> String {
    format!("{CHANNELS}{room}")
}

async fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match time::timeout(SILENCE, future).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it has said nothing for {SILENCE:?}"))),
    }
}
