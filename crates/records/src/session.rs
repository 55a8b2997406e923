//! Sessions: how long they live, and the data that the store keeps and returns about a session.

use auth_service_token::Id;

/// How long sessions and their tokens live. All times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// The life of an access token.
    pub access_seconds: u64,
    /// The life of a refresh token, which is at least that of an access token.
    pub refresh_seconds: u64,
    /// Whether a refresh spends the refresh token and returns a new one.
    pub rotation: bool,
    /// How long a spent refresh token still yields its successor, even if the successor has been used.
    pub grace_seconds: u64,
    /// The longest life of a session, no matter how often it is refreshed. `None` for no limit.
    pub max_age_seconds: Option<u64>,
    /// The maximum number of sessions of a user. A sign-in beyond this number ends the oldest session.
    pub max_sessions: usize,
}

/// A session that a sign-in opens.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session's id.
    pub sid: Id,
    /// Becomes the user's epoch if the user has none. A token is valid only while its session has the user's epoch.
    pub epoch: Id,
    /// The `jti` of the session's refresh token.
    pub refresh_id: Id,
    /// Where the sign-in came from.
    pub origin: Origin,
}

/// The `eid` of access tokens with this epoch. Verifiers elsewhere refuse the tokens of an epoch by its `eid`. A digest,
/// so that the feed of revocations does not show what the store holds.
#[must_use]
pub fn eid(epoch: Id) -> Id {
    Id::digest(epoch.as_str().as_bytes())
}

/// Where a sign-in came from, so that a person can recognise a session.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub ip: String,
    /// The `User-Agent` header, cut to [`USER_AGENT_MAX_BYTES`].
    pub user_agent: String,
}

/// The maximum length of a stored user agent, in bytes.
pub const USER_AGENT_MAX_BYTES: usize = 256;

/// A live session, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session's id. It is public and grants no access.
    pub sid: Id,
    /// The time of the sign-in, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The time of the last sign-in or refresh, in seconds since the Unix epoch.
    pub last_used_at: u64,
    /// Where the sign-in came from.
    pub origin: Origin,
}

/// Which sessions a list shows, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The list starts after this session. `None` starts with the newest session.
    pub after: Option<Id>,
    /// The maximum number of sessions.
    pub limit: usize,
}

/// The profile that a token check returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The email in the spelling of the sign-up.
    pub email: String,
    /// When the account was created, in seconds since the Unix epoch.
    pub created_at: u64,
    /// Whether the owner has proved that mail to this address reaches them.
    pub email_verified: bool,
    /// Whether the account has a second factor.
    pub totp_enabled: bool,
}

/// The outcome of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The session lives on.
    Live {
        /// Life of the new access token, in seconds.
        access_seconds: u64,
        /// The epoch of the session.
        epoch: Id,
        /// With rotation: the refresh token that replaces the spent one.
        successor: Option<Successor>,
    },
    /// The session does not exist or has ended.
    Gone,
    /// The token was already spent, and its session has now ended.
    Reused,
}

/// The refresh token that replaces a spent one. The same values always give the same token text, so a repeated refresh
/// returns the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// The `jti` of the token.
    pub refresh_id: Id,
    /// The `iat` of the token, by the clock of the store.
    pub iat: u64,
    /// The `exp` of the token.
    pub exp: u64,
}

/// The outcome of a renewal: a protected request with an expired access token and a refresh token gets a new access
/// token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The session lives on.
    Live {
        /// Life of the new access token, in seconds.
        access_seconds: u64,
        /// The epoch of the session.
        epoch: Id,
    },
    /// The session does not exist or has ended.
    Gone,
    /// The refresh token was already spent, and its session has now ended.
    Reused,
}

/// The outcome of a write that may require a live session of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The operation was done.
    Done,
    /// Nothing has changed: the account, the session or the tokens do not exist, or the account has changed since it
    /// was read.
    NotThere,
    /// Nothing has changed: the session of the caller has no live access entry.
    Refused,
}
