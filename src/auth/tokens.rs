//! Use cases of tokens: sign-in, refresh, removal.

use uuid::Uuid;

use super::{Auth, Authorized, Verified};
use crate::{
    audit::{Caller, Event, Subject},
    error::Error,
    id::Id,
    password::Password,
    session::{NewSession, Origin, Outcome, Refreshed},
    throttle::Counter,
    token::Claims,
    user::{Email, User},
};

/// How often a sign-in starts over when the account changes between its check and its session.
const SIGN_IN_TRIES: usize = 3;

/// What a sign-in gives.
pub struct SignedIn {
    /// For protected requests.
    pub access_token: String,
    /// In seconds.
    pub expires_in: u64,
    /// For more access tokens.
    pub refresh_token: String,
    /// In seconds.
    pub refresh_expires_in: u64,
}

/// What a refresh gives.
pub struct RefreshedTokens {
    /// For protected requests.
    pub access_token: String,
    /// In seconds.
    pub expires_in: u64,
    /// With rotation on: the refresh token to use from now on, and the seconds it lives.
    pub refresh: Option<(String, u64)>,
}

impl Auth {
    /// Opens a session of its own for whoever knows the password; `user_agent` tells it from others.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown email and for a wrong password, after the same work;
    /// [`Error::Throttled`] before it, the same for both; [`Error::Overloaded`], or the store's.
    pub async fn authenticate(
        &self,
        caller: &Caller,
        user_agent: &str,
        email: &Email,
        password: &Password,
    ) -> Result<SignedIn, Error> {
        let tag = email.tag();
        let address = self.shared.addresses.of(caller.address);
        for _ in 0..SIGN_IN_TRIES {
            let verified = self.verify_password(caller, Some(email), tag, password).await?;
            let Verified { stored, upgrade, admission } = verified;
            let upgraded = upgrade.map(|phc| User { phc, ..stored.user.clone() });
            let origin = Origin { ip: caller.address.to_string(), user_agent: user_agent.to_owned() };
            let (sid, refresh_id) = (Id::random()?, Id::random()?);
            let session = NewSession { sid, epoch: Id::random()?, refresh_id, origin };
            // Read first, so that the entries outlive the tokens: one that ended by itself is then known to be expired.
            let now = self.now();
            if self.store.open_session(tag, &stored, upgraded.as_ref(), &session, address).await? {
                let user_id = stored.user.id;
                let subject = Subject { email: Some(email), ..Subject::session(user_id, sid) };
                self.shared.audit.record(Event::SignedIn, caller, subject);
                return self.issue_both(user_id, tag, sid, refresh_id, now);
            }
            self.withdraw(tag, admission).await;
        }
        Err(Error::Overloaded)
    }

    /// A new access token for a refresh token, and with rotation on a new refresh token in its place.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] for anything but one of our refresh tokens, [`Error::TokenExpired`],
    /// [`Error::TokenNotFound`] when it was removed before its time, [`Error::TokenReused`] when it was spent before, or
    /// the store's.
    pub async fn refresh_access_token(&self, caller: &Caller, refresh_token: &str) -> Result<RefreshedTokens, Error> {
        let now = self.now();
        let Claims { sub, tag, sid, jti, exp, .. } = self.shared.tokens.refresh.verify(refresh_token, now)?;
        let subject = Subject::session(sub, sid);
        let next_id = if self.shared.policy.rotation { Some(Id::random()?) } else { None };
        match self.store.refresh(tag, sid, jti, exp, next_id).await? {
            Refreshed::Live { access_seconds, successor } => {
                self.shared.audit.record(Event::Refreshed, caller, subject);
                let claims = Claims { sub, tag, sid, jti: Id::random()?, iat: now, exp: now + access_seconds };
                let access_token = self.shared.tokens.access.issue(&claims)?;
                let refresh = successor.map(|next| {
                    let claims = Claims { sub, tag, sid, jti: next.refresh_id, iat: next.iat, exp: next.exp };
                    self.shared.tokens.refresh.issue(&claims).map(|token| (token, next.exp.saturating_sub(now)))
                });
                Ok(RefreshedTokens { access_token, expires_in: access_seconds, refresh: refresh.transpose()? })
            }
            Refreshed::Reused => {
                self.shared.audit.record(Event::TokenReused, caller, subject);
                Err(Error::TokenReused)
            }
            // The entry may have ended by itself, within the leeway or just now: then the token has expired, and was not
            // removed.
            Refreshed::Gone => Err(if exp <= self.now() { Error::TokenExpired } else { Error::TokenNotFound }),
        }
    }

    /// Removes all tokens of `email`, for a caller who shows none; counted for each address.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] when none lived, [`Error::Throttled`], or the store's.
    pub async fn remove_access_token(&self, caller: &Caller, email: &Email) -> Result<(), Error> {
        self.spend(caller, Counter::Removals, self.failure_limit()).await?;
        match self.store.remove_tokens(email.tag(), None).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(Error::TokenNotFound),
        }
        let subject = Subject { email: Some(email), ..Subject::default() };
        self.shared.audit.record(Event::TokensRemoved, caller, subject);
        Ok(())
    }

    /// Removes all tokens of the caller. `email`, if given, must be the caller's own.
    ///
    /// # Errors
    /// [`Error::NotOwner`], those of tokens, or the store's.
    pub async fn remove_own_access_token(
        &self,
        caller: &Caller,
        by: &Authorized,
        email: Option<&Email>,
    ) -> Result<(), Error> {
        let Claims { tag, sid, .. } = by.claims;
        if email.is_some_and(|email| email.tag() != tag) {
            // Asked for somebody else's, the caller must still be who it says.
            let lives = self.store.check_access(tag, sid).await?;
            return Err(if lives { Error::NotOwner } else { self.refused(by) });
        }
        match self.store.remove_tokens(tag, Some(sid)).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Err(self.refused(by)),
        }
        self.shared.audit.record(Event::TokensRemoved, caller, by.subject());
        Ok(())
    }

    fn issue_both(&self, sub: Uuid, tag: Id, sid: Id, refresh_id: Id, now: u64) -> Result<SignedIn, Error> {
        let policy = self.shared.policy;
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let (expires_in, refresh_expires_in) =
            (policy.access_seconds.min(longest), policy.refresh_seconds.min(longest));
        let access = Claims { sub, tag, sid, jti: Id::random()?, iat: now, exp: now + expires_in };
        let refresh = Claims { jti: refresh_id, exp: now + refresh_expires_in, ..access };
        Ok(SignedIn {
            access_token: self.shared.tokens.access.issue(&access)?,
            expires_in,
            refresh_token: self.shared.tokens.refresh.issue(&refresh)?,
            refresh_expires_in,
        })
    }
}
