//! Values.

use std::io::Write;

use super::super::execute::{Call, Refused};
use super::super::number::integer;
use super::super::reply::Reply;
use super::super::store::Expiry;
use super::super::{MAX_ARGUMENT, MAX_REPLY};
use super::Outcome;
use super::keys::{Unit, time_to_live};

pub(super) fn get(call: Call<'_>) -> Outcome<'_> {
    let value = call.db.store.get(call.args.get(1), call.now);
    match value {
        Some(_) => call.db.counts.hits += 1,
        None => call.db.counts.misses += 1,
    }
    Ok(Reply::bulk(value))
}

/// What may follow the value of `SET`.
#[derive(Default)]
struct Options<'a> {
    time: Option<(&'a [u8], Unit)>,
    keeps_time: bool,
    only: Option<Only>,
    gives_old: bool,
}

/// Which keys are set: those that are not there, or those that are.
#[derive(PartialEq, Eq)]
enum Only {
    New,
    Old,
}

impl<'a> Options<'a> {
    /// As Redis has it: the same twice is fine, what contradicts itself is not.
    fn read(call: &Call<'a>) -> Result<Self, Refused> {
        let mut options = Self::default();
        let mut rest = call.args.rest(3);
        while let Some(option) = rest.next() {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let unit = if is("ex") { Unit::Seconds } else { Unit::Milliseconds };
            if is("nx") && options.only != Some(Only::Old) {
                options.only = Some(Only::New);
            } else if is("xx") && options.only != Some(Only::New) {
                options.only = Some(Only::Old);
            } else if is("get") {
                options.gives_old = true;
            } else if is("keepttl") && options.time.is_none() {
                options.keeps_time = true;
            } else if (is("ex") || is("px"))
                && !options.keeps_time
                && options.time.is_none_or(|(_, before)| before == unit)
            {
                options.time = Some((rest.next().ok_or(Refused::Syntax)?, unit));
            } else {
                return Err(Refused::Syntax);
            }
        }
        Ok(options)
    }

    fn expiry(&self, call: &Call<'_>) -> Result<Expiry, Refused> {
        match self.time {
            Some((time, unit)) => {
                let time = integer(time).ok_or(Refused::NotANumber)?;
                if time <= 0 {
                    return Err(Refused::ExpireTime);
                }
                Ok(Expiry::At(time_to_live(time, unit, call.now)?))
            }
            None if self.keeps_time => Ok(Expiry::Keep),
            None => Ok(Expiry::Never),
        }
    }
}

pub(super) fn set(call: Call<'_>) -> Outcome<'_> {
    let options = Options::read(&call)?;
    let expiry = options.expiry(&call)?;
    let (key, value, store) = (call.args.get(1), call.args.get(2), &mut call.db.store);
    if options.only.is_none() && !options.gives_old {
        store.set(key, value, expiry, call.now)?;
        return Ok(Reply::OK);
    }
    let old = store.get(key, call.now);
    let is_set = options.only.is_none_or(|only| (only == Only::Old) == old.is_some());
    let old = old.filter(|_| options.gives_old).map(<[u8]>::to_vec);
    if is_set {
        store.set(key, value, expiry, call.now)?;
    }
    Ok(match old {
        Some(old) => Reply::Owned(old),
        None if is_set && !options.gives_old => Reply::OK,
        None => Reply::Null,
    })
}

pub(super) fn append(call: Call<'_>) -> Outcome<'_> {
    let (key, more) = (call.args.get(1), call.args.get(2));
    let length = call.db.store.get(key, call.now).map_or(0, <[u8]>::len);
    if length + more.len() > MAX_ARGUMENT {
        return Err(Refused::TooLarge);
    }
    Ok(Reply::count(call.db.store.append(key, more, call.now)?))
}

pub(super) fn strlen(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::count(call.db.store.get(call.args.get(1), call.now).map_or(0, <[u8]>::len)))
}

pub(super) fn incr(call: Call<'_>) -> Outcome<'_> {
    add(call, 1)
}

pub(super) fn decr(call: Call<'_>) -> Outcome<'_> {
    add(call, -1)
}

pub(super) fn incrby(call: Call<'_>) -> Outcome<'_> {
    let number = call.integer(2)?;
    add(call, number)
}

pub(super) fn decrby(call: Call<'_>) -> Outcome<'_> {
    let Some(number) = call.integer(2)?.checked_neg() else {
        return Err(Refused::Other("ERR decrement would overflow".to_owned()));
    };
    add(call, number)
}

fn add(call: Call<'_>, number: i64) -> Outcome<'_> {
    let (key, store) = (call.args.get(1), &mut call.db.store);
    let old = match store.get(key, call.now) {
        Some(old) => integer(old).ok_or(Refused::NotANumber)?,
        None => 0,
    };
    let Some(new) = old.checked_add(number) else {
        return Err(Refused::Other("ERR increment or decrement would overflow".to_owned()));
    };
    let mut digits = [0; 20];
    let mut rest = &mut digits[..];
    // The longest is that of `i64::MIN`, and it fits.
    let _ = write!(rest, "{new}");
    let unused = rest.len();
    store.set(key, &digits[..digits.len() - unused], Expiry::Keep, call.now)?;
    Ok(Reply::Integer(new))
}

pub(super) fn mget(call: Call<'_>) -> Outcome<'_> {
    let Call { db, args, now, .. } = call;
    let (mut size, mut missing) = (0, 0);
    let values: Vec<_> = args.rest(1).map(|key| db.store.get(key, now)).collect();
    for value in &values {
        size += value.map_or(0, <[u8]>::len);
        missing += u64::from(value.is_none());
    }
    db.counts.misses += missing;
    db.counts.hits += values.len() as u64 - missing;
    if size > MAX_REPLY {
        return Err(Refused::Other(format!("ERR the values have more than {MAX_REPLY} bytes: ask for fewer at once")));
    }
    Ok(Reply::Array(values.into_iter().map(Reply::bulk).collect()))
}

pub(super) fn mset(call: Call<'_>) -> Outcome<'_> {
    let Call { db, args, now, .. } = call;
    if args.len() % 2 == 0 {
        return Err(Refused::Arguments);
    }
    let pairs = args.rest(1).step_by(2).zip(args.rest(2).step_by(2));
    // All of them or none.
    if !db.store.has_room_for(pairs.clone()) {
        return Err(Refused::Full);
    }
    for (key, value) in pairs {
        db.store.set(key, value, Expiry::Never, now)?;
    }
    Ok(Reply::OK)
}
