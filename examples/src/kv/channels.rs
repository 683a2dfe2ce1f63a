//! Who listens to what.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::memory::{Full, Memory};
use super::outbox::Outbox;
use super::reply::{Reply, encode};

/// What a subscription takes, beside the name of the channel.
const SUBSCRIPTION: usize = 192;

/// The subscribers of each channel, by the number of their connection.
#[derive(Debug, Default)]
pub(super) struct Channels {
    subscribers: HashMap<Rc<[u8]>, BTreeMap<u64, Rc<Outbox>>>,
}

impl Channels {
    /// Gives the name that they share; `Full` where the names take too much.
    pub(super) fn subscribe(
        &mut self,
        channel: &[u8],
        id: u64,
        outbox: &Rc<Outbox>,
        memory: &mut Memory,
    ) -> Result<Rc<[u8]>, Full> {
        // Counted for each of them, though the name is there once: what leaves gives back what it took.
        memory.claim(SUBSCRIPTION + channel.len())?;
        let name = match self.subscribers.get_key_value(channel) {
            Some((name, _)) => name.clone(),
            None => channel.into(),
        };
        self.subscribers.entry(name.clone()).or_default().insert(id, outbox.clone());
        Ok(name)
    }

    pub(super) fn unsubscribe(&mut self, channel: &[u8], id: u64, memory: &mut Memory) {
        let Some(subscribers) = self.subscribers.get_mut(channel) else { return };
        if subscribers.remove(&id).is_some() {
            memory.release(SUBSCRIPTION + channel.len());
        }
        if subscribers.is_empty() {
            self.subscribers.remove(channel);
        }
    }

    /// How many get it. Who is to be woken comes into `wakers`.
    pub(super) fn publish(&self, channel: &[u8], message: &[u8], wakers: &mut Vec<Waker>) -> usize {
        let Some(subscribers) = self.subscribers.get(channel) else { return 0 };
        let message = encoded(channel, message);
        wakers.extend(subscribers.values().filter_map(|outbox| outbox.push(&message)));
        subscribers.len()
    }
}

/// Written once for all of them.
fn encoded(channel: &[u8], message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    encode(&Reply::Array(vec![Reply::Bulk(b"message"), Reply::Bulk(channel), Reply::Bulk(message)]), &mut out);
    out.freeze()
}
