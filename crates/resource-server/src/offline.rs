//! The check of a token without the feed and without the server: its signature and its claims.

use auth_service_token::{Claims, Es256Verifier, Keys, Parties, SeenTokens, TokenError};

use crate::{refusal::Refusal, verified::VerifiedToken};

/// Threads that verify different tokens rarely wait for each other.
const SHARDS: usize = 8;

/// What the check says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offline {
    Accepted(VerifiedToken),
    Refused(Refusal),
    /// An access token in the form of the server, but its key is not known.
    UnknownKey,
    /// Only the server can tell.
    Stale,
}

/// Verifies tokens with the keys of the server.
pub(crate) struct Tokens {
    verifier: Es256Verifier,
    seen: [SeenTokens; SHARDS],
}

impl Tokens {
    pub(crate) fn new(parties: Parties, keys: Keys) -> Self {
        Self { verifier: Es256Verifier::new(parties, keys), seen: std::array::from_fn(|_| SeenTokens::default()) }
    }

    /// Verifies a token at the time `now`, in seconds since the Unix epoch.
    pub(crate) fn verify(&self, token: &str, now: u64) -> Offline {
        // The last character of a signature has only 16 values, so the one before is a better choice.
        let letter = token.bytes().rev().nth(1).unwrap_or_default();
        let refused = match self.verifier.verify(token, now, &self.seen[usize::from(letter) % SHARDS]) {
            // The feed could not tell of the removal of a token without `eid`.
            Ok(Claims { eid: None, .. }) => Refusal::Invalid,
            Ok(Claims { sub, sid, eid: Some(eid), jti, iat, exp, amr, auth_time, .. }) => {
                return Offline::Accepted(VerifiedToken { sub, sid, eid, jti, iat, exp, amr, auth_time });
            }
            Err(TokenError::UnknownKey) => return Offline::UnknownKey,
            Err(TokenError::Expired) => Refusal::Expired,
            Err(_) => Refusal::Invalid,
        };
        Offline::Refused(refused)
    }
}
