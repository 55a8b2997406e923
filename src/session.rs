//! What the store keeps of a session.

use crate::id::Id;

/// How long the entries behind the tokens live, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of an access token and its entry.
    pub access_seconds: u64,
    /// Of a refresh token and its entry; at least as long as the access token's.
    pub refresh_seconds: u64,
}

/// A session that is being opened by a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSession {
    /// The session's id.
    pub sid: Id,
    /// Becomes the user's epoch if the user has none: tokens live only while their session's epoch is the user's.
    pub epoch: Id,
}
