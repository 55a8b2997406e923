//! Sessions: their rules, and what the store keeps of one and says about one.

use crate::id::Id;

/// How long sessions and their tokens live. All times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Of an access token.
    pub access_seconds: u64,
    /// Of a refresh token; at least as long as the access token's.
    pub refresh_seconds: u64,
    /// Whether a refresh spends the refresh token and gives a new one.
    pub rotation: bool,
    /// How long a spent refresh token still gives its one successor.
    pub grace_seconds: u64,
    /// How long a session lives at the most, however often it is refreshed; `None` for ever.
    pub max_age_seconds: Option<u64>,
    /// A sign-in beyond this ends the user's oldest session.
    pub max_sessions: usize,
}

/// A session that is being opened by a sign-in.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session's id.
    pub sid: Id,
    /// Becomes the user's epoch if the user has none: tokens live only while their session's epoch is the user's.
    pub epoch: Id,
    /// The `jti` of the session's refresh token.
    pub refresh_id: Id,
    /// Where the sign-in came from.
    pub origin: Origin,
}

/// Where a sign-in came from, to be recognized by a person.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub ip: String,
    /// What the client calls itself, cut to 256 characters.
    pub user_agent: String,
}

/// A live session, for its owner's eyes.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session's id: public, opens nothing.
    pub sid: Id,
    /// Of the sign-in, in seconds since the Unix epoch.
    pub created_at: u64,
    /// Of the last sign-in or refresh, in seconds since the Unix epoch.
    pub last_used_at: u64,
    /// Where the sign-in came from.
    pub origin: Origin,
}

/// What a refresh found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The session lives on.
    Live {
        /// What is left of the new access token's life, in seconds.
        access_seconds: u64,
        /// With rotation on: the refresh token that is now the session's.
        successor: Option<Successor>,
    },
    /// There is no such session any more.
    Gone,
    /// The token was spent before: the session is ended.
    Reused,
}

/// The refresh token that takes a spent one's place; signed from these, it is the same text every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// Its `jti`.
    pub refresh_id: Id,
    /// Its `iat`, by the store's clock.
    pub iat: u64,
    /// Its `exp`.
    pub exp: u64,
}

/// What an operation on behalf of a session's owner came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Nothing is done: what it was to be done to is not there, or has changed since it was read.
    NotThere,
    /// Nothing is done: the session on whose behalf it was asked for lives no more.
    Refused,
}
