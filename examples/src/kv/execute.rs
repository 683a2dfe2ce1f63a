//! From a command to its reply.

use std::fmt::Write;
use std::time::Instant;

use super::commands::{COMMANDS, Spec};
use super::db::Db;
use super::decode::Args;
use super::memory::Full;
use super::reply::Reply;
use super::session::Client;

/// The longest name of a command, and then some: what is longer is none.
const LONGEST_NAME: usize = 24;
/// Bytes of a command that the complaint about it repeats.
const REPEATED: usize = 128;

/// What a command works with.
pub(super) struct Call<'a> {
    pub(super) db: &'a mut Db,
    pub(super) client: &'a mut Client,
    pub(super) args: Args<'a>,
    pub(super) now: Instant,
}

/// Does what a command says. The reply borrows from the database and from the command.
pub fn execute<'a>(db: &'a mut Db, client: &'a mut Client, args: Args<'a>, now: Instant) -> Reply<'a> {
    if args.is_empty() {
        return Reply::NOTHING;
    }
    db.counts.commands += 1;
    let Some(spec) = find(args.get(0)) else {
        client.leaves |= is_http(args.get(0));
        return unknown(args);
    };
    if !spec.takes(args.len()) {
        return wrong_number(spec.name);
    }
    if client.is_subscriber() && !spec.listens {
        return Reply::error(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context",
            spec.name
        ));
    }
    (spec.run)(Call { db, client, args, now }).unwrap_or_else(|error| error.into_reply(spec.name))
}

/// The command of a name, in capitals or not.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut lower = [0; LONGEST_NAME];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let place = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower)).ok()?;
    Some(&COMMANDS[place])
}

/// A browser can be made to send a request to any port, with commands in its body. It says one of these before, and then
/// nothing more is read, as by Redis.
fn is_http(name: &[u8]) -> bool {
    [&b"post"[..], b"host:"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

pub(super) fn wrong_number(name: &str) -> Reply<'static> {
    Reply::error(format!("ERR wrong number of arguments for '{name}' command"))
}

fn unknown(args: Args<'_>) -> Reply<'static> {
    let shown = |text: &[u8], most: usize| String::from_utf8_lossy(&text[..text.len().min(most)]).into_owned();
    let mut repeated = String::new();
    for arg in args.rest(1) {
        if repeated.len() >= REPEATED {
            break;
        }
        let _ = write!(repeated, "'{}' ", shown(arg, REPEATED - repeated.len()));
    }
    let name = shown(args.get(0), REPEATED);
    Reply::error(format!("ERR unknown command '{name}', with args beginning with: {repeated}"))
}

/// Why a command did nothing.
#[derive(Debug)]
pub(super) enum Refused {
    Syntax,
    NotANumber,
    /// A number that is one, and makes no sense as a time to live.
    ExpireTime,
    Arguments,
    TooLarge,
    Full,
    Other(String),
}

impl Refused {
    pub(super) fn into_reply(self, command: &str) -> Reply<'static> {
        Reply::error(match self {
            Self::Syntax => "ERR syntax error",
            Self::NotANumber => "ERR value is not an integer or out of range",
            Self::TooLarge => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::Full => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::ExpireTime => return Reply::error(format!("ERR invalid expire time in '{command}' command")),
            Self::Arguments => return wrong_number(command),
            Self::Other(text) => return Reply::error(text),
        })
    }
}

impl From<Full> for Refused {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}
