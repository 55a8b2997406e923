//! Key names. The braces make a user's tag the cluster hash tag, so that all of one user's keys share a slot.
//!
//! A user who is signed in has three keys: a key costs Redis some 130 bytes before the first of its value, and each that
//! a script reads or writes is a call more. So there is no index of sessions beside the epoch, no entry for access tokens
//! beside the session, and known addresses stand behind the record. Values are text, for whoever looks with redis-cli.

use crate::{id::Id, throttle::Counter};

/// User record, and in a second line the addresses that the account signed in from, see `scripts/known.lua`; never expires.
pub(super) fn user(tag: Id) -> String {
    ["as:{", tag.as_str(), "}:u"].concat()
}

/// There while a sign-up has not reached as many replicas as it must: it may be repeated.
pub(super) fn unacknowledged(tag: Id) -> String {
    ["as:{", tag.as_str(), "}:w"].concat()
}

/// Written for a moment, so that there is something to wait for.
pub(super) fn waited_for(tag: Id) -> String {
    ["as:{", tag.as_str(), "}:m"].concat()
}

/// The user's epoch and the ids of its sessions, see `scripts/session.lua`; expires with the last of the user's tokens.
pub(super) fn epoch(tag: Id) -> String {
    ["as:{", tag.as_str(), "}:e"].concat()
}

/// A session, see `scripts/session.lua`; expires with the last of its tokens.
pub(super) fn session(tag: Id, sid: Id) -> String {
    ["as:{", tag.as_str(), "}:s:", sid.as_str()].concat()
}

/// The account's failed tries, a hash: `n` how many in a row, `t` no other try before this time.
pub(super) fn failures(tag: Id) -> String {
    ["as:{", tag.as_str(), "}:f"].concat()
}

/// A count for an address.
pub(super) fn counter(counter: Counter, address: Id) -> String {
    ["as:{", address.as_str(), "}:n:", counter.name()].concat()
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
