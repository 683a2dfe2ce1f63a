//! The table of commands. Each file below has some of them, as functions from a call to a reply.

mod client;
mod keys;
mod messages;
mod server;
mod strings;

use super::execute::{Call, Refused};
use super::number::integer;
use super::reply::Reply;

/// What a command gives.
pub(super) type Outcome<'a> = Result<Reply<'a>, Refused>;

/// What is known of a command before it runs.
#[derive(Debug)]
pub(super) struct Spec {
    /// In small letters.
    pub(super) name: &'static str,
    /// How many arguments it takes, with its name; below zero, at least so many.
    pub(super) arity: i8,
    /// Where its keys are: the first, the last (-1 is the last argument), and the step between them.
    pub(super) keys: (i8, i8, i8),
    /// Whether a subscriber may use it.
    pub(super) listens: bool,
    pub(super) run: for<'a> fn(Call<'a>) -> Outcome<'a>,
}

impl Spec {
    pub(super) fn takes(&self, arguments: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { arguments >= arity } else { arguments == arity }
    }
}

/// A command of one key, of all that follow, or of none.
const ONE: (i8, i8, i8) = (1, 1, 1);
const ALL: (i8, i8, i8) = (1, -1, 1);
const NONE: (i8, i8, i8) = (0, 0, 0);

const fn spec(name: &'static str, arity: i8, keys: (i8, i8, i8), run: for<'a> fn(Call<'a>) -> Outcome<'a>) -> Spec {
    Spec { name, arity, keys, listens: false, run }
}

const fn listening(name: &'static str, arity: i8, run: for<'a> fn(Call<'a>) -> Outcome<'a>) -> Spec {
    Spec { name, arity, keys: NONE, listens: true, run }
}

/// In the order of their names.
pub(super) static COMMANDS: &[Spec] = &[
    spec("append", 3, ONE, strings::append),
    spec("client", -2, NONE, client::client),
    spec("command", -1, NONE, server::command),
    spec("config", -2, NONE, server::config),
    spec("dbsize", 1, NONE, server::dbsize),
    spec("decr", 2, ONE, strings::decr),
    spec("decrby", 3, ONE, strings::decrby),
    spec("del", -2, ALL, keys::del),
    spec("echo", 2, NONE, server::echo),
    spec("exists", -2, ALL, keys::exists),
    spec("expire", 3, ONE, keys::expire),
    spec("flushall", -1, NONE, server::flush),
    spec("flushdb", -1, NONE, server::flush),
    spec("get", 2, ONE, strings::get),
    spec("hello", -1, NONE, client::hello),
    spec("incr", 2, ONE, strings::incr),
    spec("incrby", 3, ONE, strings::incrby),
    spec("info", -1, NONE, server::info),
    spec("mget", -2, ALL, strings::mget),
    spec("mset", -3, (1, -1, 2), strings::mset),
    spec("persist", 2, ONE, keys::persist),
    spec("pexpire", 3, ONE, keys::pexpire),
    listening("ping", -1, client::ping),
    spec("pttl", 2, ONE, keys::pttl),
    spec("publish", 3, NONE, messages::publish),
    listening("quit", -1, client::quit),
    listening("reset", 1, client::reset),
    spec("select", 2, NONE, client::select),
    spec("set", -3, ONE, strings::set),
    spec("strlen", 2, ONE, strings::strlen),
    listening("subscribe", -2, messages::subscribe),
    spec("ttl", 2, ONE, keys::ttl),
    listening("unsubscribe", -1, messages::unsubscribe),
];

impl Call<'_> {
    /// The argument `index` as a number.
    fn integer(&self, index: usize) -> Result<i64, Refused> {
        integer(self.args.get(index)).ok_or(Refused::NotANumber)
    }
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn the_table_is_sorted() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(COMMANDS.iter().all(|spec| spec.name.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
