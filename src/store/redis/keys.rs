//! Key names. The braces make a user's tag the cluster hash tag, so that all of one user's keys share a slot.

use crate::id::Id;

/// User record; never expires.
pub(super) fn user(tag: Id) -> String {
    format!("as:{{{tag}}}:u")
}

/// The user's epoch; expires with the last of the user's tokens.
pub(super) fn epoch(tag: Id) -> String {
    format!("as:{{{tag}}}:e")
}

/// A session's access entry: the epoch that it was opened in.
pub(super) fn access(tag: Id, sid: Id) -> String {
    format!("as:{{{tag}}}:a:{sid}")
}

/// A session's refresh entry: the epoch that it was opened in.
pub(super) fn refresh(tag: Id, sid: Id) -> String {
    format!("as:{{{tag}}}:r:{sid}")
}

/// Written by each readiness check, to see that writes succeed.
pub(super) const PROBE: &str = "as:probe";
