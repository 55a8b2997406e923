//! The claims of a token, and the reasons to refuse a token.

use std::fmt;

use uuid::Uuid;

use crate::{amr::Amr, id::Id};

/// The tolerated difference between the clocks of two machines, in seconds (RFC 7519, sections 4.1.4 and 4.1.5).
pub const LEEWAY_SECONDS: u64 = 5;

/// The claims to sign, or the verified claims of a token (RFC 7519, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The user's tag, which names the user's keys in the store.
    pub tag: Id,
    /// The session that the token belongs to.
    pub sid: Id,
    /// Names the user's tokens until the next removal of all of them: a hash of the user's epoch. The revocation feed
    /// lists it. Refresh tokens have none.
    pub eid: Option<Id>,
    /// The id of the token, which makes each token unique.
    pub jti: Id,
    /// When the token was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When the token expires, in seconds since the Unix epoch.
    pub exp: u64,
    /// How the user signed in. Every later token of the session has the same value (RFC 9068, section 2.2.1).
    pub amr: Amr,
    /// When the user signed in, in seconds since the Unix epoch. Every later token of the session has the same value. A
    /// token of a version without this claim has none.
    pub auth_time: Option<u64>,
}

impl Claims {
    /// The claims of a user. The caller sets the others.
    #[must_use]
    pub fn of(sub: Uuid, tag: Id) -> Self {
        Self { sub, tag, sid: tag, eid: None, jti: tag, iat: 0, exp: 0, amr: Amr::default(), auth_time: None }
    }

    /// Compares `exp` with the time `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TokenError::Expired`] when `exp` is [`LEEWAY_SECONDS`] or more in the past.
    pub fn check_expiry(&self, now: u64) -> Result<(), TokenError> {
        if self.exp.saturating_add(LEEWAY_SECONDS) <= now { Err(TokenError::Expired) } else { Ok(()) }
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The text is not a token, or its claims cannot be read.
    Malformed,
    /// A token with another header than those of this service: another `alg`, a `jku`, and so on.
    UnknownHeader,
    /// An access token in the place of a refresh token, or the reverse.
    WrongKind,
    /// An ES256 token whose `kid` names no key of this service.
    UnknownKey,
    /// No key of this service made the signature.
    BadSignature,
    /// The token names another issuer.
    WrongIssuer,
    /// The token names another audience.
    WrongAudience,
    /// `nbf` is more than [`LEEWAY_SECONDS`] in the future.
    NotYetValid,
    /// Everything else is valid, but `exp` has passed.
    Expired,
}

impl TokenError {
    /// Every error.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::UnknownHeader,
        Self::WrongKind,
        Self::UnknownKey,
        Self::BadSignature,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::NotYetValid,
        Self::Expired,
    ];

    /// A stable name for log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownHeader => "unknown_header",
            Self::WrongKind => "wrong_kind",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for TokenError {}
