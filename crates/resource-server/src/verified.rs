//! The identity that a verified token gives to a request.

use auth_service_token::{Amr, CLIENT_ID, Id};
use uuid::Uuid;

/// The claims of a verified access token (RFC 9068, section 2.2). The layer puts them into the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedToken {
    /// The user's id. It never changes, even if the user's email changes.
    pub sub: Uuid,
    /// The session. Each sign-in opens another session.
    pub sid: Id,
    /// A digest of the user's epoch. The removal of all tokens of a user ends the epoch.
    pub eid: Id,
    /// The id of the token.
    pub jti: Id,
    /// When the token was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When the token expires, in seconds since the Unix epoch.
    pub exp: u64,
    /// How the user signed in (RFC 8176). A refresh does not change it. Empty for a server without this claim.
    pub amr: Amr,
    /// When the user signed in, in seconds since the Unix epoch. A refresh does not change it. `None` for a server
    /// without this claim.
    pub auth_time: Option<u64>,
}

impl VerifiedToken {
    /// The `client_id` of the token. auth-service issues all tokens to its one client.
    #[must_use]
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// Whether the user signed in with a second factor.
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.amr.contains("mfa")
    }
}
