//! The server: what it is, and what it has.

use std::fmt::Write;

use super::super::execute::{Call, Refused, find, wrong_number};
use super::super::reply::Reply;
use super::super::{MAX_ARGUMENT, db::Db};
use super::client::unknown_subcommand;
use super::{COMMANDS, Outcome, Spec};

/// Which Redis this behaves like: clients go by it.
pub(super) const REDIS_VERSION: &str = "7.0.15";

pub(super) fn echo(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::Bulk(call.args.get(1)))
}

pub(super) fn dbsize(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::count(call.db.store.len()))
}

/// At once, also where it is asked to do it later.
pub(super) fn flush(call: Call<'_>) -> Outcome<'_> {
    let how = call.args.rest(1);
    if how.len() > 1 || how.clone().any(|how| !how.eq_ignore_ascii_case(b"async") && !how.eq_ignore_ascii_case(b"sync"))
    {
        return Err(Refused::Syntax);
    }
    call.db.store.clear();
    Ok(Reply::OK)
}

/// What clients ask for when they start: all commands, how many there are, some of them. There is no documentation of
/// them to be had, which is an empty answer.
pub(super) fn command(call: Call<'_>) -> Outcome<'_> {
    if call.args.len() == 1 {
        return Ok(Reply::Array(COMMANDS.iter().map(describe).collect()));
    }
    let name = call.args.get(1);
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    Ok(match call.args.len() {
        2 if is("count") => Reply::count(COMMANDS.len()),
        _ if is("count") => wrong_number("command|count"),
        _ if is("docs") => Reply::Array(Vec::new()),
        2 if is("info") => Reply::Array(COMMANDS.iter().map(describe).collect()),
        _ if is("info") => {
            Reply::Array(call.args.rest(2).map(|name| find(name).map_or(Reply::Null, describe)).collect())
        }
        _ => unknown_subcommand(name, "COMMAND"),
    })
}

fn describe(spec: &Spec) -> Reply<'static> {
    let number = |number: i8| Reply::Integer(number.into());
    let (first, last, step) = spec.keys;
    let name = Reply::Bulk(spec.name.as_bytes());
    Reply::Array(vec![name, number(spec.arity), Reply::Array(Vec::new()), number(first), number(last), number(step)])
}

/// Some settings, by their names. None can be changed.
pub(super) fn config(call: Call<'_>) -> Outcome<'_> {
    let (name, wanted) = (call.args.get(1), call.args.rest(2));
    if !name.eq_ignore_ascii_case(b"get") {
        return Ok(unknown_subcommand(name, "CONFIG"));
    }
    if wanted.len() == 0 {
        return Ok(wrong_number("config|get"));
    }
    let settings = [
        ("appendonly", "no".to_owned()),
        ("databases", "1".to_owned()),
        ("maxmemory", call.db.store.memory.most().to_string()),
        ("maxmemory-policy", "noeviction".to_owned()),
        ("proto-max-bulk-len", MAX_ARGUMENT.to_string()),
        ("save", String::new()),
    ];
    let is_wanted =
        |setting: &str| wanted.clone().any(|wanted| wanted == b"*" || wanted.eq_ignore_ascii_case(setting.as_bytes()));
    let found = settings.into_iter().filter(|(name, _)| is_wanted(name));
    Ok(Reply::Array(found.flat_map(|(name, value)| [Reply::Bulk(name.as_bytes()), Reply::text(value)]).collect()))
}

pub(super) fn info(call: Call<'_>) -> Outcome<'_> {
    let Call { db, args, now, .. } = call;
    let mut text = String::new();
    for (section, facts) in sections(db, db.uptime(now)) {
        let is_wanted = |wanted: &[u8]| {
            [section, "default", "all", "everything"].iter().any(|name| wanted.eq_ignore_ascii_case(name.as_bytes()))
        };
        if args.len() > 1 && !args.rest(1).any(is_wanted) {
            continue;
        }
        let line_between = if text.is_empty() { "" } else { "\r\n" };
        let _ = write!(text, "{line_between}# {section}\r\n");
        for (name, value) in facts {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    Ok(Reply::text(text))
}

fn sections(db: &Db, uptime: u64) -> [(&'static str, Vec<(&'static str, String)>); 5] {
    let (counts, store) = (&db.counts, &db.store);
    let mut keyspace = Vec::new();
    if store.len() > 0 {
        keyspace.push(("db0", format!("keys={},expires={},avg_ttl=0", store.len(), store.expiring())));
    }
    [
        (
            "Server",
            vec![
                ("redis_version", REDIS_VERSION.to_owned()),
                ("redis_mode", "standalone".to_owned()),
                ("pollywog_version", env!("CARGO_PKG_VERSION").to_owned()),
                ("process_id", std::process::id().to_string()),
                ("uptime_in_seconds", uptime.to_string()),
            ],
        ),
        ("Clients", vec![("connected_clients", counts.clients.to_string())]),
        (
            "Memory",
            vec![
                ("used_memory", store.memory.used().to_string()),
                ("maxmemory", store.memory.most().to_string()),
                ("maxmemory_policy", "noeviction".to_owned()),
            ],
        ),
        (
            "Stats",
            vec![
                ("total_connections_received", counts.connections.to_string()),
                ("total_commands_processed", counts.commands.to_string()),
                ("expired_keys", counts.expired.to_string()),
                ("keyspace_hits", counts.hits.to_string()),
                ("keyspace_misses", counts.misses.to_string()),
            ],
        ),
        ("Keyspace", keyspace),
    ]
}
