//! The use case of resource servers that ask about a token.

use auth_service_records::{error::Error, refusal::Refusal};
use auth_service_token::Claims;

use super::service::Auth;

/// The answer about a token.
pub enum Introspection {
    /// A live access token: a protected route would accept it now.
    Active {
        /// The claims of the token.
        claims: Claims,
        /// The email of the user.
        email: String,
    },
    /// Any other text. A refresh token is one, because no resource server may accept it.
    Inactive(Refusal),
}

impl Auth {
    /// Tells whether a token is a live access token. Asks the store for each genuine token.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, Error> {
        let claims = match self.parts.tokens.access.verify(token, self.now()) {
            Ok(claims) => claims,
            Err(error) => return Ok(Introspection::Inactive(Refusal::Unverified(error))),
        };
        let access = self.store.check_access(claims.tag, claims.sid).await?;
        Ok(match access {
            Some(access) => Introspection::Active { claims, email: access.email },
            None => Introspection::Inactive(self.why_gone(claims.exp)),
        })
    }
}
