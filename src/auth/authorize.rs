//! The caller of a protected request: the access token, and its renewal by a refresh token.

use auth_service_records::{
    error::Error,
    refusal::Refusal,
    session::{Renewed, eid},
};
use auth_service_token::{Claims, Id};

use super::service::Auth;
use crate::audit::{Caller, Event, Subject};

/// A caller whose access token is genuine and unexpired. The store checks the session in the operation itself.
pub struct Authorized {
    /// The claims of the access token.
    pub claims: Claims,
    /// The new access token, if the one in the request had expired, or if the request has moved the session to another
    /// epoch.
    pub renewed: Option<String>,
}

/// The result of a check of the access token without the store.
pub enum Authorization {
    /// The request may continue.
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
    /// Verifies an access token, without asking the store. `may_renew` says whether the request has a refresh token.
    /// If so, an expired access token gives [`Authorization::Expired`].
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`].
    pub fn authorize(&self, access_token: &str, may_renew: bool) -> Result<Authorization, Error> {
        let now = self.now();
        let claims = self.verify_expired(access_token)?;
        // Ignores the leeway, because the entry of such a token may already have expired in the store.
        if may_renew && claims.exp <= now {
            return Ok(Authorization::Expired(claims));
        }
        claims.check_expiry(now)?;
        Ok(Authorization::Granted(Authorized { claims, renewed: None }))
    }

    /// Mints an access token to replace the expired one with these `claims`.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] for a refresh token of another session, [`Error::TokenExpired`] for an expired or
    /// removed one, [`Error::TokenReused`] for one that was already spent, [`Error::NoSigningKey`], or an error of the
    /// store.
    pub async fn renew(&self, caller: &Caller, claims: &Claims, refresh_token: &str) -> Result<Authorized, Error> {
        let now = self.now();
        let refresh = self.parts.tokens.refresh.verify(refresh_token, now)?;
        if (refresh.sub, refresh.sid) != (claims.sub, claims.sid) {
            return Err(Error::TokenInvalid(Refusal::OtherSession));
        }
        self.check_signing()?;
        let subject = Subject::session(claims.sub, claims.sid);
        match self.store.renew(claims.tag, claims.sid, refresh.jti).await? {
            Renewed::Live { access_seconds, epoch } => {
                let (eid, exp) = (Some(eid(epoch)), now + access_seconds);
                let Claims { amr, auth_time, .. } = refresh;
                let claims = Claims { eid, jti: Id::random()?, iat: now, exp, amr, auth_time, ..*claims };
                self.parts.audit.record(Event::Renewed, caller, subject);
                Ok(Authorized { claims, renewed: Some(self.parts.tokens.access.issue(&claims)?) })
            }
            Renewed::Gone => Err(Error::TokenExpired(self.why_gone(refresh.exp))),
            Renewed::Reused => {
                self.record(Event::TokenReused, caller, subject).await?;
                Err(Error::TokenReused)
            }
        }
    }

    /// The caller with an access token of the new `epoch`, to which the store has moved the session. Verifiers elsewhere
    /// refuse the tokens of the former epoch. The token expires with the one that it replaces.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`].
    pub(super) fn moved(&self, mut by: Authorized, epoch: Id) -> Result<Authorized, Error> {
        by.claims.eid = Some(eid(epoch));
        by.claims.iat = self.now().min(by.claims.exp);
        by.claims.jti = Id::random()?;
        by.renewed = Some(self.parts.tokens.access.issue(&by.claims)?);
        Ok(by)
    }

    /// The error if the store has no live access entry for the caller. If the token has expired, its entry has expired
    /// with it. Otherwise the entry was removed.
    pub(super) fn refused(&self, by: &Authorized) -> Error {
        match self.why_gone(by.claims.exp) {
            Refusal::Removed => Error::TokenInvalid(Refusal::Removed),
            expired => Error::TokenExpired(expired),
        }
    }

    /// Why the store has no entry for a genuine token. The entry expires together with its token.
    pub(super) fn why_gone(&self, exp: u64) -> Refusal {
        if exp <= self.now() { Refusal::EXPIRED } else { Refusal::Removed }
    }
}
