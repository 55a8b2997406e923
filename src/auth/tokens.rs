//! Use cases of tokens: refresh, removal.

use auth_service_records::{
    error::Error,
    refusal::Refusal,
    session::{Outcome, Refreshed, eid},
    throttle::Counter,
    user::Email,
};
use auth_service_token::{Claims, Id};

use super::{authorize::Authorized, service::Auth};
use crate::audit::{Caller, Event, Subject};

/// The tokens of a refresh.
pub struct RefreshedTokens {
    /// The token for protected requests.
    pub access_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// With rotation: the next refresh token, and its life in seconds.
    pub refresh: Option<(String, u64)>,
}

impl Auth {
    /// Mints an access token for a refresh token. With rotation, also replaces the refresh token.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] for anything except one of our refresh tokens, [`Error::TokenExpired`],
    /// [`Error::RefreshTokenNotFound`] if the token was removed before it expired, [`Error::TokenReused`] if the token
    /// was already spent, [`Error::NoSigningKey`], or an error of the store.
    pub async fn refresh_access_token(&self, caller: &Caller, refresh_token: &str) -> Result<RefreshedTokens, Error> {
        let now = self.now();
        let presented = self.parts.tokens.refresh.verify(refresh_token, now)?;
        let Claims { sub, tag, sid, jti, exp, .. } = presented;
        let subject = Subject::session(sub, sid);
        self.check_signing()?;
        let next_id = if self.parts.policy.rotation { Some(Id::random()?) } else { None };
        match self.store.refresh(tag, sid, jti, next_id).await? {
            Refreshed::Live { access_seconds, epoch, successor } => {
                self.parts.audit.record(Event::Refreshed, caller, subject);
                let (eid, exp) = (Some(eid(epoch)), now + access_seconds);
                let claims = Claims { eid, jti: Id::random()?, iat: now, exp, ..presented };
                let access_token = self.parts.tokens.access.issue(&claims)?;
                let refresh = successor.map(|next| {
                    let claims = Claims { jti: next.refresh_id, iat: next.iat, exp: next.exp, ..presented };
                    (self.parts.tokens.refresh.issue(&claims), next.exp.saturating_sub(now))
                });
                Ok(RefreshedTokens { access_token, expires_in: access_seconds, refresh })
            }
            Refreshed::Reused => {
                self.record(Event::TokenReused, caller, subject).await?;
                Err(Error::TokenReused)
            }
            // If `exp` has passed, the entry has expired: `verify` allows a leeway, and time has passed since.
            // Otherwise the entry was removed.
            Refreshed::Gone => Err(match self.why_gone(exp) {
                Refusal::Removed => Error::RefreshTokenNotFound,
                expired => Error::TokenExpired(expired),
            }),
        }
    }

    /// Removes all tokens of `email`, for a caller without a token. The number of such calls from one address is
    /// limited.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] if the user has no tokens, [`Error::Throttled`], or an error of the store.
    pub async fn remove_access_token(&self, caller: &Caller, email: &Email) -> Result<(), Error> {
        self.count_call(caller, Counter::Removals, self.address_limit()).await?;
        let tag = email.tag();
        // Both at the same time. The account is only for the audit trail, so the removal does not depend on it.
        let (removed, stored) = tokio::join!(self.store.remove_tokens(tag, None), self.store.find_user(tag));
        match removed? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(Error::TokenNotFound),
        }
        let user_id = stored.ok().flatten().map(|stored| stored.user.id);
        let subject = Subject { user_id, email: Some(email), ..Subject::default() };
        self.record(Event::TokensRemoved, caller, subject).await
    }

    /// Removes all tokens of the caller. `email`, if given, must be the caller's own.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn remove_own_access_token(
        &self,
        caller: &Caller,
        by: &Authorized,
        email: Option<&Email>,
    ) -> Result<(), Error> {
        let Claims { tag, sid, .. } = by.claims;
        if email.is_some_and(|email| email.tag() != tag) {
            // The error of an invalid token takes precedence over that of another user's email.
            let access = self.store.check_access(tag, sid).await?;
            return Err(if access.is_some() { Error::NotOwner } else { self.refused(by) });
        }
        match self.store.remove_tokens(tag, Some(sid)).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(self.refused(by)),
        }
        self.record(Event::TokensRemoved, caller, by.subject()).await
    }
}
