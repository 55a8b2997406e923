//! Use cases of tokens: sign-in, refresh, removal.

use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    refusal::Refusal,
    session::{NewSession, Origin, Outcome, Refreshed, eid},
    throttle::{Counter, known_address_name},
    user::Email,
};
use auth_service_token::{Amr, Claims, Id};
use uuid::Uuid;

use super::{authorize::Authorized, guard::Verified, service::Auth};
use crate::audit::{Caller, Event, Subject};

/// The maximum number of tries of a sign-in, if the account changes between the password check and the opening of the
/// session.
const SIGN_IN_TRIES: usize = 3;

/// The tokens of a sign-in.
pub struct SignedIn {
    /// The token for protected requests.
    pub access_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// The token that gives new access tokens.
    pub refresh_token: String,
    /// Life of the refresh token, in seconds.
    pub refresh_expires_in: u64,
}

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
    /// Opens a session for a caller who knows the password.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown email and for a wrong password, after the same work for both;
    /// [`Error::Throttled`] before that work, also the same for both; [`Error::Overloaded`], usually before any call of
    /// the store; [`Error::NoSigningKey`]; or an error of the store.
    pub async fn authenticate(
        &self,
        caller: &Caller,
        user_agent: &str,
        email: &Email,
        password: &Password,
    ) -> Result<SignedIn, Error> {
        self.check_signing()?;
        let tag = email.tag();
        let origin = Origin { ip: caller.address.to_string(), user_agent: user_agent.to_owned() };
        let (sid, refresh_id) = (Id::random()?, Id::random()?);
        let session = NewSession { sid, epoch: Id::random()?, refresh_id, origin };
        for _ in 0..SIGN_IN_TRIES {
            let verified = self.verify_password(caller, Some(email), tag, password).await?;
            let (user_id, guess) = (verified.stored.user.id, verified.guess);
            // Reads the clock before the store sets the expiry of the entries, so that no token outlives its entry.
            let now = self.now();
            match self.open_session(caller, tag, &verified, &session).await {
                Ok(Some(epoch)) => {
                    self.succeeded(guess).await;
                    let subject = Subject { email: Some(email), ..Subject::session(user_id, sid) };
                    self.record(Event::SignedIn, caller, subject).await?;
                    return self.issue_both(user_id, tag, sid, epoch, refresh_id, now);
                }
                Ok(None) => self.withdraw(guess).await,
                Err(error) => {
                    self.withdraw(guess).await;
                    return Err(error);
                }
            }
        }
        Err(Error::Overloaded)
    }

    /// Opens the session, and returns its epoch. Also updates the account: a stronger hash if there is one, and the
    /// address once a day.
    async fn open_session(
        &self,
        caller: &Caller,
        tag: Id,
        verified: &Verified,
        session: &NewSession,
    ) -> Result<Option<Id>, Error> {
        let Verified { stored, upgrade, guess } = verified;
        let mut user = stored.user.clone();
        let mut changed = user.known_addresses.remember(known_address_name(user.id, caller.address), self.now());
        if let Some(password_hash) = upgrade {
            user.password_hash.clone_from(password_hash);
            changed = true;
        }
        self.store.open_session(tag, stored, changed.then_some(&user), session, guess.known).await
    }

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

    fn issue_both(&self, sub: Uuid, tag: Id, sid: Id, epoch: Id, refresh_id: Id, now: u64) -> Result<SignedIn, Error> {
        let policy = self.parts.policy;
        let longest = policy.max_age_seconds.unwrap_or(u64::MAX);
        let (expires_in, refresh_expires_in) =
            (policy.access_seconds.min(longest), policy.refresh_seconds.min(longest));
        let (eid, exp) = (Some(eid(epoch)), now + expires_in);
        let (jti, amr, auth_time) = (Id::random()?, Amr::PASSWORD, Some(now));
        let access = Claims { sub, tag, sid, eid, jti, iat: now, exp, amr, auth_time };
        let refresh = Claims { eid: None, jti: refresh_id, exp: now + refresh_expires_in, ..access };
        Ok(SignedIn {
            access_token: self.parts.tokens.access.issue(&access)?,
            expires_in,
            refresh_token: self.parts.tokens.refresh.issue(&refresh),
            refresh_expires_in,
        })
    }
}
