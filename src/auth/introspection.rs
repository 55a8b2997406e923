//! The use cases of resource servers, which ask about a token or about revocations.

use auth_service_records::{
    error::{Error, Outage},
    refusal::Refusal,
    session::Access,
};
use auth_service_token::{Algorithm, Claims, Jwk, NoSigningKey, Parties};

use super::{revocations::Revocations, service::Auth};

/// The answer about a token.
pub enum Introspection {
    /// A live access token: a protected route would accept it now.
    Active {
        /// The claims of the token.
        claims: Claims,
        /// The email of the user.
        email: String,
        /// Whether the user has shown that the email is theirs. `None` if accounts do not verify their emails.
        email_verified: Option<bool>,
    },
    /// Any other text. A refresh token is one, because no resource server may accept it.
    Inactive(Refusal),
}

impl Auth {
    /// What was revoked after `cursor`, which an earlier answer has given. Without a cursor, everything that matters.
    ///
    /// # Errors
    /// [`Error::Unavailable`] before the first read of the feed.
    pub fn revocations(&self, cursor: Option<&str>) -> Result<Revocations, Error> {
        self.parts.revocations.after(cursor).ok_or(Error::Unavailable(Outage::Unreachable))
    }

    /// The public keys that verify access tokens, for verifiers elsewhere. None with HS256, whose secret verifies.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`] if this server signs with ES256 and has not read the keys yet. A cache would keep an empty
    /// set.
    pub fn public_keys(&self) -> Result<Vec<Jwk>, Error> {
        let keys = &self.parts.tokens.access.keys();
        if self.parts.tokens.access.algorithm() == Algorithm::Hs256 {
            return Ok(Vec::new());
        }
        if keys.read_at().is_none() {
            return Err(NoSigningKey.into());
        }
        Ok(keys.current().jwks().to_vec())
    }

    /// The issuer and the audience of access tokens.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        self.parts.tokens.access.parties()
    }

    /// Tells whether a token is a live access token. Asks the store for each genuine token.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, Error> {
        let claims = match self.parts.tokens.access.verify(token, self.now(), &self.seen) {
            Ok(claims) => claims,
            Err(error) => {
                return match self.refusal(error) {
                    error @ Error::Unavailable(_) => Err(error),
                    _ => Ok(Introspection::Inactive(Refusal::Unverified(error))),
                };
            }
        };
        let access = self.store.check_access(claims.tag, claims.sid).await?;
        Ok(match access {
            Some(Access { email, email_verified, .. }) => {
                let email_verified = self.shows_email_verified().then_some(email_verified);
                Introspection::Active { claims, email, email_verified }
            }
            None => Introspection::Inactive(self.why_gone(claims.exp)),
        })
    }
}
