//! Use cases of sessions, each on behalf of their owner.

use auth_service_records::{
    error::Error,
    session::{Outcome, Page, Renewed, Session},
};
use auth_service_token::{Claims, Id};

use super::{authorize::Authorized, service::Auth};
use crate::audit::{Caller, Event, Subject};

/// A page of the caller's sessions.
pub struct SessionList {
    /// Newest first. The flag marks the session of the request.
    pub sessions: Vec<(Session, bool)>,
    /// The `after` of the next page, if there is one.
    pub next: Option<Id>,
}

impl Auth {
    /// The caller's live sessions, newest first.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn sessions(&self, by: &Authorized, page: Page) -> Result<SessionList, Error> {
        let Claims { tag, sid, .. } = by.claims;
        // One session beyond the page shows whether there is another page.
        let one_more = Page { limit: page.limit + 1, ..page };
        let found = self.store.list_sessions(tag, Some(sid), one_more).await?;
        let mut found = found.ok_or_else(|| self.refused(by))?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().map(|session| session.sid).filter(|_| more);
        let with_current = |session: Session| {
            let current = session.sid == sid;
            (session, current)
        };
        Ok(SessionList { sessions: found.into_iter().map(with_current).collect(), next })
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], also for the session of another user and for a malformed id (`None`);
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn end_session(&self, caller: &Caller, by: &Authorized, sid: Option<Id>) -> Result<(), Error> {
        // The error of an invalid token takes precedence over that of a malformed id.
        let Some(sid) = sid else {
            let access = self.store.check_access(by.claims.tag, by.claims.sid).await?;
            return Err(if access.is_some() { Error::SessionNotFound } else { self.refused(by) });
        };
        match self.store.end_session(by.claims.tag, sid, Some(by.claims.sid)).await? {
            Outcome::Done => {}
            Outcome::NotThere => return Err(Error::SessionNotFound),
            Outcome::Refused => return Err(self.refused(by)),
        }
        self.record(Event::SessionEnded, caller, Subject::session(by.claims.sub, sid)).await
    }

    /// Ends all of the caller's sessions.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or an error of the store.
    pub async fn end_sessions(&self, caller: &Caller, by: &Authorized) -> Result<(), Error> {
        match self.store.end_sessions(by.claims.tag, by.claims.sid).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(self.refused(by)),
        }
        self.record(Event::TokensRemoved, caller, by.subject()).await
    }

    /// Ends all of the caller's sessions except the session of the request. Returns the caller with a new access token.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::NoSigningKey`], or an error of the store.
    pub async fn end_other_sessions(&self, caller: &Caller, by: Authorized) -> Result<Authorized, Error> {
        self.check_signing()?;
        let epoch = Id::random()?;
        match self.store.keep_only(by.claims.tag, by.claims.sid, epoch, None).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(self.refused(&by)),
        }
        let subject = Subject { user_id: Some(by.claims.sub), ..Subject::default() };
        self.record(Event::SessionEnded, caller, subject).await?;
        self.moved(by, epoch)
    }

    /// Ends the sessions of all genuine tokens of the request, expired or not. It is not an error if a session has
    /// already ended, or if only one of two tokens is genuine.
    ///
    /// # Errors
    /// [`Error::TokenMissing`], [`Error::TokenInvalid`] if no token is genuine, or an error of the store.
    pub async fn sign_out(
        &self,
        caller: &Caller,
        access_token: Option<&str>,
        refresh_token: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.now();
        let refresh = &self.parts.tokens.refresh;
        let access = access_token.map(|token| self.verify_expired(token)).transpose();
        let refresh = refresh_token.map(|token| refresh.verify_expired(token, now)).transpose();
        let (access, refresh) = match (access, refresh) {
            (Ok(None), Ok(None)) => return Err(Error::TokenMissing),
            (Err(error), Ok(None) | Err(_)) => return Err(error),
            (Ok(None), Err(error)) => return Err(error.into()),
            (access, refresh) => (access.ok().flatten(), refresh.ok().flatten()),
        };
        if let Some(claims) = refresh {
            self.sign_out_by_refresh_token(caller, claims).await?;
        }
        // Usually both tokens are of one session.
        let Some(claims) = access.filter(|access| refresh.is_none_or(|refresh| refresh.sid != access.sid)) else {
            return Ok(());
        };
        self.sign_out_of(caller, claims).await
    }

    /// Ends the session of a genuine token of either kind, expired or not (RFC 7009). Any other text changes nothing, and
    /// is not an error, because its sender could do nothing about it (section 2.2).
    ///
    /// # Errors
    /// An error of the store.
    pub async fn revoke(&self, caller: &Caller, token: &str) -> Result<(), Error> {
        let now = self.now();
        if let Ok(claims) = self.parts.tokens.refresh.verify_expired(token, now) {
            return self.sign_out_by_refresh_token(caller, claims).await;
        }
        match self.verify_expired(token) {
            Ok(claims) => self.sign_out_of(caller, claims).await,
            Err(error @ Error::Unavailable(_)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// A spent refresh token counts as reuse at sign-out too, and reuse has its own event in the audit trail.
    async fn sign_out_by_refresh_token(&self, caller: &Caller, claims: Claims) -> Result<(), Error> {
        let Claims { sub, tag, sid, jti, .. } = claims;
        if self.parts.policy.rotation && self.store.renew(tag, sid, jti).await? == Renewed::Reused {
            self.record(Event::TokenReused, caller, Subject::session(sub, sid)).await?;
            return Ok(());
        }
        self.sign_out_of(caller, claims).await
    }

    async fn sign_out_of(&self, caller: &Caller, claims: Claims) -> Result<(), Error> {
        let Claims { sub, tag, sid, .. } = claims;
        if self.store.end_session(tag, sid, None).await? == Outcome::Done {
            self.record(Event::SessionEnded, caller, Subject::session(sub, sid)).await?;
        }
        Ok(())
    }
}
