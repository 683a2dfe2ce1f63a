//! The connection itself.

use super::super::MAX_NAME;
use super::super::execute::{Call, Refused, wrong_number};
use super::super::number::integer;
use super::super::reply::Reply;
use super::Outcome;

/// A subscriber gets it as a message: that is what it waits for.
pub(super) fn ping(call: Call<'_>) -> Outcome<'_> {
    let text = match call.args.len() {
        1 => None,
        2 => Some(call.args.get(1)),
        _ => return Err(Refused::Arguments),
    };
    Ok(match text {
        text if call.client.is_subscriber() => {
            Reply::Array(vec![Reply::Bulk(b"pong"), Reply::Bulk(text.unwrap_or_default())])
        }
        None => Reply::Simple("PONG"),
        Some(text) => Reply::Bulk(text),
    })
}

pub(super) fn quit(call: Call<'_>) -> Outcome<'_> {
    call.client.leaves = true;
    Ok(Reply::OK)
}

/// As if it had just come.
pub(super) fn reset(call: Call<'_>) -> Outcome<'_> {
    call.client.unsubscribe_all(call.db);
    call.client.name.clear();
    Ok(Reply::Simple("RESET"))
}

/// There is one database.
pub(super) fn select(call: Call<'_>) -> Outcome<'_> {
    match call.integer(1)? {
        0 => Ok(Reply::OK),
        _ => Err(Refused::Other("ERR DB index is out of range".to_owned())),
    }
}

pub(super) fn client(call: Call<'_>) -> Outcome<'_> {
    let (name, arguments) = (call.args.get(1), call.args.len());
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    Ok(match () {
        () if is("id") && arguments == 2 => Reply::Integer(call.client.id as i64),
        () if is("getname") && arguments == 2 => {
            Reply::bulk(Some(&call.client.name[..]).filter(|name| !name.is_empty()))
        }
        () if is("setname") && arguments == 3 => {
            call.client.set_name(call.args.get(2))?;
            Reply::OK
        }
        // Which library it is: nobody asks.
        () if is("setinfo") && arguments == 4 => Reply::OK,
        () => match ["getname", "id", "setinfo", "setname"].into_iter().find(|name| is(name)) {
            Some(name) => wrong_number(&format!("client|{name}")),
            None => unknown_subcommand(name, "CLIENT"),
        },
    })
}

/// What `COMMAND SUBCOMMAND` is told that does not exist.
pub(super) fn unknown_subcommand(name: &[u8], command: &str) -> Reply<'static> {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
    Reply::error(format!("ERR unknown subcommand '{name}'. Try {command} HELP."))
}

/// Which protocol it wants to speak: there is the second.
pub(super) fn hello(call: Call<'_>) -> Outcome<'_> {
    if call.args.len() > 1 {
        match integer(call.args.get(1)) {
            Some(2) => {}
            Some(_) => return Err(Refused::Other("NOPROTO unsupported protocol version".to_owned())),
            None => {
                let text = "ERR Protocol version is not an integer or out of range";
                return Err(Refused::Other(text.to_owned()));
            }
        }
    }
    let mut rest = call.args.rest(2);
    while let Some(option) = rest.next() {
        match rest.next() {
            Some(name) if option.eq_ignore_ascii_case(b"setname") => call.client.set_name(name)?,
            _ => {
                let option = String::from_utf8_lossy(&option[..option.len().min(128)]);
                return Err(Refused::Other(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        }
    }
    let facts = [
        ("server", Reply::Bulk(b"redis")),
        ("version", Reply::Bulk(super::server::REDIS_VERSION.as_bytes())),
        ("proto", Reply::Integer(2)),
        ("id", Reply::Integer(call.client.id as i64)),
        ("mode", Reply::Bulk(b"standalone")),
        ("role", Reply::Bulk(b"master")),
        ("modules", Reply::Array(Vec::new())),
    ];
    Ok(Reply::Array(facts.into_iter().flat_map(|(name, fact)| [Reply::Bulk(name.as_bytes()), fact]).collect()))
}

impl super::super::session::Client {
    fn set_name(&mut self, name: &[u8]) -> Result<(), Refused> {
        if name.len() > MAX_NAME {
            return Err(Refused::Other(format!("ERR Client names cannot have more than {MAX_NAME} bytes.")));
        }
        if name.iter().any(|byte| !byte.is_ascii_graphic()) {
            let text = "ERR Client names cannot contain spaces, newlines or special characters.";
            return Err(Refused::Other(text.to_owned()));
        }
        self.name.clear();
        self.name.extend_from_slice(name);
        Ok(())
    }
}
