//! The errors that a client can get. `http/problem.rs` maps each error to a status, a code and a sentence.

use std::{borrow::Cow, fmt};

use auth_service_token::{NoSigningKey, TokenError};

use crate::refusal::Refusal;

/// Why a use case failed.
#[derive(Debug)]
pub enum Error {
    /// Sign-up: the email already belongs to an account.
    EmailTaken,
    /// Sign-in: the email is unknown or the password is wrong. The error does not tell which of the two (OWASP ASVS 5.0
    /// clause 6.3.8).
    InvalidCredentials,
    /// A protected use case was called without an access token.
    TokenMissing,
    /// A token that is malformed, forged or of the wrong kind, or an access token without an entry in the store.
    TokenInvalid(Refusal),
    /// A genuine token whose `exp` has passed, or a renewal whose refresh token has no entry in the store.
    TokenExpired(Refusal),
    /// A genuine and unexpired refresh token that is not in the store.
    RefreshTokenNotFound,
    /// The user has no tokens in the store.
    TokenNotFound,
    /// A refresh token that was already spent. Its session has ended.
    TokenReused,
    /// A new password is too easy to guess, or has leaked.
    WeakPassword {
        /// The field that holds the password.
        field: &'static str,
        /// Why, and how to choose a better password, as the rest of a sentence that starts with the name of the field.
        problem: String,
    },
    /// The password that confirms a change is wrong.
    WrongPassword,
    /// Sign-in: the password is right, and the account has a second factor.
    MfaRequired(MfaChallenge),
    /// An mfa token that is malformed, forged or expired, or whose password or second factor has changed.
    InvalidMfaToken(Refusal),
    /// Sign-in: the code of the second factor is wrong, or was used before.
    InvalidCode,
    /// The code that confirms a change is wrong, or was used before.
    WrongCode,
    /// The account already has a second factor.
    TotpAlreadyEnabled,
    /// The account has no second factor.
    TotpNotEnabled,
    /// No second factor waits for its first code.
    TotpNotStarted,
    /// A token from a mail that is malformed, forged, of another kind, spent, replaced or expired.
    InvalidMailToken,
    /// Sign-in: the password is right, but the owner has not verified the address yet.
    EmailNotVerified,
    /// The server sends no mail, because the settings name no mail server.
    MailNotConfigured,
    /// The caller has no such session.
    SessionNotFound,
    /// Too many attempts. The next attempt is possible after this many seconds.
    Throttled(u64),
    /// There is no such user, or the token belongs to another user.
    UserNotFound,
    /// The token is valid but belongs to another user.
    NotOwner,
    /// The server has more hashes or more writes than it can finish before the deadline. Nothing has changed.
    Overloaded,
    /// A hashing thread has died and has not been replaced yet.
    HashingUnavailable,
    /// No ES256 key may sign an access token now: the key set could not be read for a while, or has no such key yet.
    NoSigningKey,
    /// The store gave no usable answer. A write may or may not have happened.
    Unavailable(Outage),
    /// The write has happened, but too few replicas confirmed it in time. A failover may undo the write.
    NotReplicated,
    /// A fault of the server. The text goes to the log, never to the client.
    Internal(String),
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let refusal = Refusal::Unverified(error);
        if refusal == Refusal::EXPIRED { Self::TokenExpired(refusal) } else { Self::TokenInvalid(refusal) }
    }
}

impl From<NoSigningKey> for Error {
    fn from(_: NoSigningKey) -> Self {
        Self::NoSigningKey
    }
}

/// What a client needs for the second step of a sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaChallenge {
    /// The mfa token.
    pub token: String,
    /// How long the mfa token is valid, in seconds.
    pub expires_in: u64,
}

/// Never shows the token.
impl fmt::Debug for MfaChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MfaChallenge(..)")
    }
}

/// What is wrong with one field of a request. The message never contains text from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    /// What to correct, as the rest of a sentence that starts with the field's name.
    pub message: Cow<'static, str>,
}

/// Why the store cannot serve right now. A later request may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// There is no connection to the store.
    Unreachable,
    /// The store did not answer in time.
    Timeout,
    /// The store is reading its data from disk.
    Loading,
    /// The store is a replica, or a demoted primary.
    ReadOnly,
    /// The store has no memory left for writes.
    OutOfMemory,
    /// The store cannot write to its disk.
    DiskFailed,
    /// Too few replicas are connected for the store to accept writes.
    NotReplicated,
    /// The store refused the connection: its user name, password, database or address.
    Refused,
    /// The store does not permit a command, or the use of a key.
    NotPermitted,
    /// The store is busy: a script runs too long, or too many clients are connected.
    Busy,
    /// A part of the cluster has no primary, or is moving.
    ClusterDown,
    /// The store holds a value that a later version of this program wrote.
    NewerVersion,
}

impl Outage {
    /// Every outage.
    pub const ALL: [Self; 12] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Loading,
        Self::ReadOnly,
        Self::OutOfMemory,
        Self::DiskFailed,
        Self::NotReplicated,
        Self::Refused,
        Self::NotPermitted,
        Self::Busy,
        Self::ClusterDown,
        Self::NewerVersion,
    ];

    /// The stable name for programs: the `code` of a 503 answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "store_unreachable",
            Self::Timeout => "store_timeout",
            Self::Loading => "store_loading",
            Self::ReadOnly => "store_read_only",
            Self::OutOfMemory => "store_out_of_memory",
            Self::DiskFailed => "store_disk_failed",
            Self::NotReplicated => "store_not_replicated",
            Self::Refused => "store_refused",
            Self::NotPermitted => "store_not_permitted",
            Self::Busy => "store_busy",
            Self::ClusterDown => "store_cluster_down",
            Self::NewerVersion => "store_newer_version",
        }
    }

    /// Whether the store may still serve reads, such as token checks.
    #[must_use]
    pub fn spares_reads(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::DiskFailed | Self::NotReplicated | Self::NotPermitted)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the store cannot be reached",
            Self::Timeout => "the store did not answer in time",
            Self::Loading => "the store is still loading its data",
            Self::ReadOnly => "the store is read-only",
            Self::OutOfMemory => "the store is out of memory",
            Self::DiskFailed => "the store cannot write to its disk",
            Self::NotReplicated => "the store has too few replicas to accept a write",
            Self::Refused => "the store refused the user name, password, database or address of this server",
            Self::NotPermitted => "the store does not permit the command to this server's user",
            Self::Busy => "the store is busy",
            Self::ClusterDown => "a part of the store's cluster has no primary",
            Self::NewerVersion => "a later version of auth-service wrote this value; upgrade this replica",
        })
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Internal(format!("the operating system gave no randomness: {error}"))
    }
}
