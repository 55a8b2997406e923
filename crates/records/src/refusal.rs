//! Why a token is refused.

use auth_service_token::TokenError;

/// Why a token is refused. The reason goes to the log, and never to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The check without the store has failed.
    Unverified(TokenError),
    /// The token is genuine and unexpired, but its entry was removed from the store.
    Removed,
    /// The access token and the refresh token belong to different sessions.
    OtherSession,
}

impl Refusal {
    /// Every reason.
    pub fn all() -> impl Iterator<Item = Self> {
        TokenError::ALL.map(Self::Unverified).into_iter().chain([Self::Removed, Self::OtherSession])
    }

    /// The reason to refuse a genuine token after its `exp`.
    pub const EXPIRED: Self = Self::Unverified(TokenError::Expired);

    /// A stable name for log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified(error) => error.name(),
            Self::Removed => "removed",
            Self::OtherSession => "other_session",
        }
    }
}
