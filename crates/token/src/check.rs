//! Check values: they tell whether two servers have the same secrets, and reveal no more about the secrets than a token
//! does.

use ring::hmac::{self, Key};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// What a check value signs. No token can be this text, because a token starts with a header in base64url.
const LABEL: &[u8] = b"auth-service: check value of a signing secret";

/// The check values of the secrets of one kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCheck {
    /// Of the secret that signs.
    pub signs: Id,
    /// Of the secret that only verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies: Option<Id>,
}

/// The check values of the secrets of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretsCheck {
    /// For access tokens.
    pub access: KindCheck,
    /// For refresh tokens.
    pub refresh: KindCheck,
}

impl KindCheck {
    /// Whether a server with these secrets accepts the tokens that the secret of `signs` has signed.
    #[must_use]
    pub fn accepts(&self, signs: Id) -> bool {
        self.signs == signs || self.verifies == Some(signs)
    }
}

/// HMAC with SHA-256, whose key cannot be found faster than by trying all keys (RFC 2104, section 6). A token reveals
/// as much.
pub(crate) fn check_value(key: &Key) -> Id {
    Id::digest(hmac::sign(key, LABEL).as_ref())
}
