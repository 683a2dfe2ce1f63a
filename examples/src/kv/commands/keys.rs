//! Keys, and how long they live.

use std::time::{Duration, Instant};

use super::super::execute::{Call, Refused};
use super::super::reply::Reply;
use super::Outcome;

/// What Redis adds to a time to live before it looks whether the number is too large: the milliseconds since 1970.
const SINCE_1970: i64 = 1 << 41;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// The moment when what lives so long, from `now` on, expires; `now` for what should have expired before.
pub(super) fn time_to_live(time: i64, unit: Unit, now: Instant) -> Result<Instant, Refused> {
    let milliseconds = match unit {
        Unit::Seconds => time.checked_mul(1_000),
        Unit::Milliseconds => Some(time),
    };
    let milliseconds = milliseconds.filter(|milliseconds| milliseconds.checked_add(SINCE_1970).is_some());
    let milliseconds = milliseconds.ok_or(Refused::ExpireTime)?.max(0) as u64;
    now.checked_add(Duration::from_millis(milliseconds)).ok_or(Refused::ExpireTime)
}

pub(super) fn del(call: Call<'_>) -> Outcome<'_> {
    let Call { db, args, now, .. } = call;
    Ok(Reply::count(args.rest(1).filter(|key| db.store.remove(key, now)).count()))
}

/// A key that is named twice counts twice.
pub(super) fn exists(call: Call<'_>) -> Outcome<'_> {
    let Call { db, args, now, .. } = call;
    Ok(Reply::count(args.rest(1).filter(|key| db.store.get(key, now).is_some()).count()))
}

pub(super) fn expire(call: Call<'_>) -> Outcome<'_> {
    set_deadline(call, Unit::Seconds)
}

pub(super) fn pexpire(call: Call<'_>) -> Outcome<'_> {
    set_deadline(call, Unit::Milliseconds)
}

fn set_deadline(call: Call<'_>, unit: Unit) -> Outcome<'_> {
    let (key, store) = (call.args.get(1), &mut call.db.store);
    let time = super::integer(call.args.get(2)).ok_or(Refused::NotANumber)?;
    let deadline = time_to_live(time, unit, call.now)?;
    // A time in the past is a way to delete it.
    let was_there =
        if deadline <= call.now { store.remove(key, call.now) } else { store.expire(key, deadline, call.now)? };
    Ok(Reply::Integer(was_there.into()))
}

pub(super) fn persist(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::Integer(call.db.store.persist(call.args.get(1), call.now).into()))
}

pub(super) fn ttl(call: Call<'_>) -> Outcome<'_> {
    // To the nearest second, as in Redis.
    Ok(Reply::Integer(rest(call, |rest| (rest + 500) / 1_000)))
}

pub(super) fn pttl(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::Integer(rest(call, |rest| rest)))
}

/// -2 where there is no such key, -1 where it does not expire.
fn rest(call: Call<'_>, unit: impl FnOnce(i64) -> i64) -> i64 {
    match call.db.store.deadline(call.args.get(1), call.now) {
        None => -2,
        Some(None) => -1,
        // Rounded up: what is not over yet has at least one left.
        Some(Some(deadline)) => unit((deadline - call.now).as_nanos().div_ceil(1_000_000) as i64),
    }
}
