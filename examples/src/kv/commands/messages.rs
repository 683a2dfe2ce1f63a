//! Channels.

use super::super::execute::{Call, Refused};
use super::super::memory::Full;
use super::super::reply::Reply;
use super::Outcome;

pub(super) fn publish(call: Call<'_>) -> Outcome<'_> {
    Ok(Reply::count(call.db.publish(call.args.get(1), call.args.get(2))))
}

/// A reply for each channel.
pub(super) fn subscribe(call: Call<'_>) -> Outcome<'_> {
    let Call { db, client, args, .. } = call;
    let mut replies = Vec::with_capacity(args.len() - 1);
    for channel in args.rest(1) {
        if let Err(Full) = client.subscribe(channel, db) {
            // After the confirmations of those before it.
            replies.push(Refused::Full.into_reply("subscribe"));
            break;
        }
        replies.push(confirmation("subscribe", Reply::Bulk(channel), client.subscriptions()));
    }
    Ok(Reply::Each(replies))
}

/// Without channels: from all of them.
pub(super) fn unsubscribe(call: Call<'_>) -> Outcome<'_> {
    let Call { db, client, args, .. } = call;
    if args.len() > 1 {
        let replies = args.rest(1).map(|channel| {
            client.unsubscribe(channel, db);
            confirmation("unsubscribe", Reply::Bulk(channel), client.subscriptions())
        });
        return Ok(Reply::Each(replies.collect()));
    }
    let channels = client.unsubscribe_all(db);
    if channels.is_empty() {
        return Ok(confirmation("unsubscribe", Reply::Null, 0));
    }
    let left = (0..channels.len()).rev();
    let replies = channels.iter().zip(left);
    Ok(Reply::Each(
        replies.map(|(channel, left)| confirmation("unsubscribe", Reply::Owned(channel.to_vec()), left)).collect(),
    ))
}

fn confirmation<'a>(what: &'static str, channel: Reply<'a>, subscriptions: usize) -> Reply<'a> {
    Reply::Array(vec![Reply::Bulk(what.as_bytes()), channel, Reply::count(subscriptions)])
}
