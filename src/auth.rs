//! The use cases, one method each. Knows neither HTTP nor a store's driver.

use std::sync::Arc;

use crate::{
    error::Error,
    id::Id,
    password::{Password, Passwords},
    session::{Lifetimes, NewSession},
    store::Store,
    token::{Claims, Tokens},
    user::{Email, Profile, User},
};

use uuid::Uuid;

/// Seconds since the Unix epoch.
pub type Clock = fn() -> u64;

/// How often a sign-in starts over when the account changes between its check and its session.
const SIGN_IN_TRIES: usize = 3;

/// The use cases, over one runtime's store.
pub struct Auth {
    store: Store,
    tokens: Arc<Tokens>,
    passwords: Passwords,
    lifetimes: Lifetimes,
    clock: Clock,
}

/// What a sign-in gives.
pub struct SignedIn {
    /// For protected requests.
    pub access_token: String,
    /// For more access tokens.
    pub refresh_token: String,
}

impl Auth {
    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Store, tokens: Arc<Tokens>, passwords: Passwords, lifetimes: Lifetimes, clock: Clock) -> Self {
        Self { store, tokens, passwords, lifetimes, clock }
    }

    /// How long the tokens live.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::Overloaded`], or the store's.
    pub async fn sign_up(&self, email: Email, password: Password) -> Result<(), Error> {
        let tag = email.tag();
        // Looked up first, so that a taken email costs no hash; create_user decides.
        if self.store.find_user(tag).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let phc = self.passwords.hash(password).await?;
        let email = email.as_str().to_owned();
        let user = User { id: Uuid::new_v4(), email, created_at: (self.clock)(), phc };
        if self.store.create_user(tag, &user).await? { Ok(()) } else { Err(Error::EmailTaken) }
    }

    /// Opens a session of its own for whoever knows the password.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown email and for a wrong password, after the same work;
    /// [`Error::Overloaded`], or the store's.
    pub async fn authenticate(&self, email: &Email, password: &Password) -> Result<SignedIn, Error> {
        let tag = email.tag();
        for _ in 0..SIGN_IN_TRIES {
            let stored = self.store.find_user(tag).await?;
            let phc = stored.as_ref().map(|stored| stored.user.phc.as_str());
            let verdict = self.passwords.verify(password.clone(), phc).await?;
            let Some(stored) = stored.filter(|_| verdict.matches) else {
                return Err(Error::InvalidCredentials);
            };
            let upgraded = verdict.upgrade.map(|phc| User { phc, ..stored.user.clone() });
            let session = NewSession { sid: Id::random()?, epoch: Id::random()? };
            // Read first, so that the entries outlive the tokens: one that ended by itself is then known to be expired.
            let now = (self.clock)();
            if self.store.open_session(tag, &stored, upgraded.as_ref(), session).await? {
                return self.issue_both(stored.user.id, tag, session.sid, now);
            }
        }
        Err(Error::Overloaded)
    }

    /// The profile of the access token's owner. `email`, if given, must be the owner's: a token opens no other profile.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::UserNotFound`], or the store's.
    pub async fn current_user(&self, access_token: &str, email: Option<&Email>) -> Result<Profile, Error> {
        let now = (self.clock)();
        let Claims { tag, sid, exp, .. } = self.tokens.access.verify(access_token, now)?;
        let profile =
            self.store.profile(tag, sid).await?.ok_or_else(|| without_entry(exp, now, Error::TokenInvalid))?;
        match email {
            Some(email) if email.tag() != tag => Err(Error::UserNotFound),
            _ => Ok(profile),
        }
    }

    /// A new access token for a refresh token.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] for anything but one of our refresh tokens, [`Error::TokenExpired`],
    /// [`Error::TokenNotFound`] when it was removed before its time, or the store's.
    pub async fn refresh_access_token(&self, refresh_token: &str) -> Result<String, Error> {
        let now = (self.clock)();
        let Claims { sub, tag, sid, exp, .. } = self.tokens.refresh.verify(refresh_token, now)?;
        if self.store.refresh(tag, sid).await? {
            return self.issue_access(sub, tag, sid, now);
        }
        Err(without_entry(exp, now, Error::TokenNotFound))
    }

    /// Removes all tokens of `email`.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] when none lived, or the store's.
    pub async fn remove_access_token(&self, email: &Email) -> Result<(), Error> {
        self.remove_tokens(email.tag()).await
    }

    /// Removes all tokens of the access token's owner. `email`, if given, must be the owner's.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::NotOwner`], or the store's.
    pub async fn remove_own_access_token(&self, access_token: &str, email: Option<&Email>) -> Result<(), Error> {
        let now = (self.clock)();
        let Claims { tag, sid, exp, .. } = self.tokens.access.verify(access_token, now)?;
        if !self.store.check_access(tag, sid).await? {
            return Err(without_entry(exp, now, Error::TokenInvalid));
        }
        match email {
            Some(email) if email.tag() != tag => Err(Error::NotOwner),
            _ => self.remove_tokens(tag).await,
        }
    }

    /// Whether the store takes writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store.ready().await
    }

    async fn remove_tokens(&self, tag: Id) -> Result<(), Error> {
        if self.store.remove_tokens(tag).await? { Ok(()) } else { Err(Error::TokenNotFound) }
    }

    fn issue_both(&self, sub: Uuid, tag: Id, sid: Id, iat: u64) -> Result<SignedIn, Error> {
        let exp = iat + self.lifetimes.refresh_seconds;
        let refresh_token = self.tokens.refresh.issue(&Claims { sub, tag, sid, jti: Id::random()?, iat, exp })?;
        Ok(SignedIn { access_token: self.issue_access(sub, tag, sid, iat)?, refresh_token })
    }

    fn issue_access(&self, sub: Uuid, tag: Id, sid: Id, iat: u64) -> Result<String, Error> {
        let exp = iat + self.lifetimes.access_seconds;
        self.tokens.access.issue(&Claims { sub, tag, sid, jti: Id::random()?, iat, exp })
    }
}

/// What to say of a token that verified but has no entry: within the leeway the entry has ended by itself, before that
/// it was removed.
fn without_entry(exp: u64, now: u64, removed: Error) -> Error {
    if exp <= now { Error::TokenExpired } else { removed }
}
