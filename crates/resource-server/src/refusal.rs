//! Why a token is not accepted.

use std::fmt;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No access token of this issuer for this audience: malformed, forged, signed with an unknown key, and so on.
    /// HTTP 401.
    Invalid,
    /// A genuine token that expired more than five seconds ago. HTTP 401.
    Expired,
    /// A genuine token whose session has ended, or whose user's tokens were removed. HTTP 401.
    Revoked,
    /// Nobody can tell right now: the feed is older than its bound, and the server did not answer either. HTTP 503,
    /// never 401, because a client throws its refresh token away after a 401.
    Unavailable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the token is not valid",
            Self::Expired => "the token has expired",
            Self::Revoked => "the token has been revoked",
            Self::Unavailable => "the token cannot be checked right now",
        })
    }
}

impl std::error::Error for Refusal {}
