//! The caller of a protected request: the access token, and its renewal by a refresh token.

use auth_service_records::{error::Error, session::Renewed};
use auth_service_token::{Claims, Id};

use super::service::Auth;
use crate::audit::{Caller, Event, Subject};

/// A caller whose access token is genuine and unexpired. The store has the last word, in the operation itself.
pub struct Authorized {
    /// What the access token says.
    pub claims: Claims,
    /// The new access token, if the one that came had expired.
    pub renewed: Option<String>,
}

/// What an access token alone allows.
pub enum Authorization {
    /// The request may go on.
    Granted(Authorized),
    /// The token is genuine but has expired. [`Auth::renew`] may renew it.
    Expired(Claims),
}

impl Authorized {
    pub(super) fn subject(&self) -> Subject<'static> {
        Subject::session(self.claims.sub, self.claims.sid)
    }
}

impl Auth {
    /// Verifies an access token, without asking the store. An expired token is [`Authorization::Expired`] if the caller
    /// brought a refresh token and so `may_renew`.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`].
    pub fn authorize(&self, access_token: &str, may_renew: bool) -> Result<Authorization, Error> {
        let now = self.now();
        let claims = self.parts.tokens.access.verify_expired(access_token, now)?;
        // Without the leeway: a token that may have ended in the store already is better renewed.
        if may_renew && claims.exp <= now {
            return Ok(Authorization::Expired(claims));
        }
        claims.check_expiry(now)?;
        Ok(Authorization::Granted(Authorized { claims, renewed: None }))
    }

    /// Mints an access token in place of the expired one that `claims` come from.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] for a refresh token of another session, [`Error::TokenExpired`] for one that has ended,
    /// [`Error::TokenReused`] for one that was spent before, or the store's.
    pub async fn renew(&self, caller: &Caller, claims: &Claims, refresh_token: &str) -> Result<Authorized, Error> {
        let now = self.now();
        let refresh = self.parts.tokens.refresh.verify(refresh_token, now)?;
        if (refresh.sub, refresh.sid) != (claims.sub, claims.sid) {
            return Err(Error::TokenInvalid);
        }
        let subject = Subject::session(claims.sub, claims.sid);
        match self.store.renew(claims.tag, claims.sid, refresh.jti).await? {
            Renewed::Live { access_seconds } => {
                let claims = Claims { jti: Id::random()?, iat: now, exp: now + access_seconds, ..*claims };
                self.parts.audit.record(Event::Renewed, caller, subject);
                Ok(Authorized { claims, renewed: Some(self.parts.tokens.access.issue(&claims)) })
            }
            Renewed::Gone => Err(Error::TokenExpired),
            Renewed::Reused => {
                self.parts.audit.record(Event::TokenReused, caller, subject);
                Err(Error::TokenReused)
            }
        }
    }

    /// What it means that the store has no live access entry for the caller. An entry that ended together with its token
    /// has expired.
    pub(super) fn refused(&self, by: &Authorized) -> Error {
        if by.claims.exp <= self.now() { Error::TokenExpired } else { Error::TokenInvalid }
    }
}
