//! The identity behind an access token, for a proxy that asks before it passes a request on.

use std::borrow::Cow;

use auth_service_records::{error::Error, refusal::Refusal, user::Email};
use auth_service_token::Id;
use uuid::Uuid;

use super::{
    authorize::{Authorization, Authorized},
    service::Auth,
};

/// Who sends a request, as the application behind a proxy learns it.
#[derive(Debug)]
pub struct Identity {
    /// The user's UUID.
    pub user_id: Uuid,
    /// The email in the spelling of the sign-up, with the domain in the ASCII form of DNS. The whole text is visible
    /// ASCII, so it fits in a header.
    pub email: String,
    /// The id of the session.
    pub session_id: Id,
}

impl Auth {
    /// The identity behind an access token whose session lives. Never renews a token, because the answer goes to a proxy,
    /// which would have to pass the new token on.
    ///
    /// # Errors
    /// [`Error::TokenMissing`] for `None`, [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn forward_auth(&self, access_token: Option<&str>) -> Result<Identity, Error> {
        let by = match self.authorize(access_token.ok_or(Error::TokenMissing)?, false)? {
            Authorization::Granted(by) => by,
            Authorization::Expired(_) => return Err(Error::TokenExpired(Refusal::EXPIRED)),
        };
        let profile = self.current_user(&by, None).await?;
        let Authorized { claims, .. } = by;
        let email = Email::ascii_form(&profile.email).map(Cow::into_owned);
        // Never happens, because the store has only emails that parse.
        let email = email.ok_or_else(|| Error::Internal("the store has an email that is not valid".to_owned()))?;
        Ok(Identity { user_id: claims.sub, email, session_id: claims.sid })
    }
}
