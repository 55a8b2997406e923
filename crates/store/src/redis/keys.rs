//! Key names. The braces make a user's tag the cluster hash tag, so that all of one user's keys share a slot.
//!
//! A user who is signed in has three keys: a key costs Redis some 130 bytes before the first of its value, and each that
//! a script reads or writes is a call more. So there is no index of sessions beside the epoch, no entry for access tokens
//! beside the session, and known addresses stand behind the record. Values are text, for whoever looks with redis-cli.

use std::io::Write as _;

use redis::{RedisWrite, ToRedisArgs};

use crate::{id::Id, throttle::Counter};

/// A name that is put together where it is sent from: as a text of its own each would be an allocation more.
pub(super) struct Key {
    tag: Id,
    kind: &'static str,
    of: Option<Id>,
}

impl ToRedisArgs for Key {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut name = out.writer_for_next_arg();
        for part in ["as:{", self.tag.as_str(), "}:", self.kind, self.of.as_ref().map_or("", Id::as_str)] {
            // Into memory, which does not fail.
            let _ = name.write_all(part.as_bytes());
        }
    }
}

fn of_user(tag: Id, kind: &'static str) -> Key {
    Key { tag, kind, of: None }
}

/// User record, and in a second line the addresses that the account signed in from, see `scripts/known.lua`; never expires.
pub(super) fn user(tag: Id) -> Key {
    of_user(tag, "u")
}

/// There while a sign-up has not reached as many replicas as it must: it may be repeated.
pub(super) fn unacknowledged(tag: Id) -> Key {
    of_user(tag, "w")
}

/// Written for a moment, so that there is something to wait for.
pub(super) fn waited_for(tag: Id) -> Key {
    of_user(tag, "m")
}

/// The user's epoch and the ids of its sessions, see `scripts/session.lua`; expires with the last of the user's tokens.
pub(super) fn epoch(tag: Id) -> Key {
    of_user(tag, "e")
}

/// A session, see `scripts/session.lua`; expires with the last of its tokens.
pub(super) fn session(tag: Id, sid: Id) -> Key {
    Key { tag, kind: "s:", of: Some(sid) }
}

/// The account's failed tries, a hash: `n` how many in a row, `t` no other try before this time.
pub(super) fn failures(tag: Id) -> Key {
    of_user(tag, "f")
}

/// A count for an address.
pub(super) fn counter(counter: Counter, address: Id) -> Key {
    let kind = match counter {
        Counter::Failures => "n:f",
        Counter::Removals => "n:d",
        Counter::SignUps => "n:s",
    };
    Key { tag: address, kind, of: None }
}

/// Written by each readiness check, to see that writes succeed.
pub(super) const PROBE: &str = "as:probe";

/// Likewise, on a cluster's node that has these slots.
pub(super) fn probe_between(first: u16, last: u16) -> String {
    // There is one among some multiples of the 16,384 slots.
    let mut tags = (0..1_000_000).map(|n: u32| n.to_string());
    let tag = tags.find(|tag| (first..=last).contains(&super::slots::slot_of(tag))).unwrap_or_default();
    format!("as:{{{tag}}}:probe")
}
