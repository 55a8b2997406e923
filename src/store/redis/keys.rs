//! Key names. The braces make a user's tag the cluster hash tag, so that all of one user's keys share a slot.

use crate::{id::Id, throttle::Counter};

/// User record; never expires.
pub(super) fn user(tag: Id) -> String {
    format!("as:{{{tag}}}:u")
}

/// The user's epoch; expires with the last of the user's tokens.
pub(super) fn epoch(tag: Id) -> String {
    format!("as:{{{tag}}}:e")
}

/// A session's access entry: the epoch that it belongs to.
pub(super) fn access(tag: Id, sid: Id) -> String {
    format!("as:{{{tag}}}:a:{sid}")
}

/// A session's refresh entry, a hash: `e` epoch, `j` id of its refresh token, `p` id of the one spent for it, `t` when
/// that was, `n` its refresh token's end, `c` created, `l` last used, `i` ip, `u` user agent, `x` the session's end or 0. Times in Unix seconds.
pub(super) fn session(tag: Id, sid: Id) -> String {
    format!("as:{{{tag}}}:r:{sid}")
}

/// The user's session ids, by the time of sign-in.
pub(super) fn index(tag: Id) -> String {
    format!("as:{{{tag}}}:s")
}

/// The account's failed tries, a hash: `n` how many in a row, `t` no other try before this time.
pub(super) fn failures(tag: Id) -> String {
    format!("as:{{{tag}}}:f")
}

/// Digests of the addresses that the account signed in from, by the time of the last sign-in.
pub(super) fn known_addresses(tag: Id) -> String {
    format!("as:{{{tag}}}:k")
}

/// A count for an address.
pub(super) fn counter(counter: Counter, address: Id) -> String {
    format!("as:{{{address}}}:n:{}", counter.name())
}

/// Written by each readiness check, to see that writes succeed.
pub(super) const PROBE: &str = "as:probe";
