//! The use cases, one method each. Knows neither HTTP nor a store's driver.

mod accounts;
mod sessions;
mod tokens;

use std::sync::Arc;

use crate::{
    audit::{Audit, Caller, Event, Subject},
    error::Error,
    id::Id,
    password::{Password, Passwords},
    session::SessionPolicy,
    store::{Store, StoredUser},
    throttle::{AddressDigest, Admission, Counter, FORGET_SECONDS, Limit},
    token::{Claims, Tokens},
    user::Email,
};

pub use self::tokens::{RefreshedTokens, SignedIn};

/// Seconds since the Unix epoch.
pub type Clock = fn() -> u64;

/// What all runtimes share; see [`Auth::new`].
#[derive(Clone)]
pub struct Shared {
    /// Both kinds of token.
    pub tokens: Arc<Tokens>,
    /// The hashing threads.
    pub passwords: Passwords,
    /// How long sessions and tokens live.
    pub policy: SessionPolicy,
    /// Names client addresses.
    pub addresses: Arc<AddressDigest>,
    /// Failed sign-ins and open removals of one address in 15 minutes; 0 for no limit.
    pub address_limit: u64,
    /// Sign-ups of one address in an hour; 0 for no limit.
    pub signup_limit_per_hour: u64,
    /// Where security events go.
    pub audit: Audit,
    /// The time.
    pub clock: Clock,
}

/// The use cases, over one runtime's store.
pub struct Auth {
    store: Store,
    shared: Shared,
}

/// What a right password led to.
struct Verified {
    stored: StoredUser,
    /// A stronger hash to store, see [`crate::password::Verdict`].
    upgrade: Option<String>,
    admission: Admission,
}

/// A caller who has shown an access token that was genuine, and lives as far as the token itself tells; or, if it had
/// just expired, a refresh token that lives. The store has the last word, in the operation itself.
pub struct Authorized {
    claims: Claims,
    /// A new access token, when the caller's had expired.
    pub renewed: Option<String>,
}

impl Auth {
    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Store, shared: Shared) -> Self {
        Self { store, shared }
    }

    /// How long sessions and tokens live.
    #[must_use]
    pub fn policy(&self) -> SessionPolicy {
        self.shared.policy
    }

    /// Whether the store takes writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store.ready().await
    }

    /// Looks at the caller's tokens. An expired access token is replaced when a refresh token of the same session that
    /// lives comes with it; nothing is written otherwise.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], or the store's.
    pub async fn authorize(&self, access_token: &str, refresh_token: Option<&str>) -> Result<Authorized, Error> {
        let now = self.now();
        let claims = self.shared.tokens.access.verify_expired(access_token, now)?;
        match refresh_token.filter(|_| claims.exp <= now) {
            None => {
                claims.check_expiry(now)?;
                Ok(Authorized { claims, renewed: None })
            }
            // On the heap, as it is seldom needed.
            Some(refresh_token) => Box::pin(self.renew(&claims, refresh_token, now)).await,
        }
    }

    async fn renew(&self, claims: &Claims, refresh_token: &str, now: u64) -> Result<Authorized, Error> {
        let refresh = self.shared.tokens.refresh.verify(refresh_token, now)?;
        if (refresh.sub, refresh.sid) != (claims.sub, claims.sid) {
            return Err(Error::TokenInvalid);
        }
        let seconds = self.store.renew(claims.tag, claims.sid, refresh.jti).await?.ok_or(Error::TokenExpired)?;
        let claims = Claims { jti: Id::random()?, iat: now, exp: now + seconds, ..*claims };
        Ok(Authorized { claims, renewed: Some(self.shared.tokens.access.issue(&claims)?) })
    }

    /// What the store's refusal means for the caller: a token whose entry ended with its `exp` has expired.
    fn refused(&self, by: &Authorized) -> Error {
        if by.claims.exp <= self.now() { Error::TokenExpired } else { Error::TokenInvalid }
    }

    fn now(&self) -> u64 {
        (self.shared.clock)()
    }

    /// Compares a password with what `tag` has, under the limits on guessing, which treat an unknown account alike.
    /// A right password must end in a store operation that forgets the failures, or in [`Auth::withdraw`].
    ///
    /// # Errors
    /// [`Error::Throttled`] before any work, [`Error::InvalidCredentials`] after the same work for both reasons,
    /// [`Error::Overloaded`], or the store's.
    async fn verify_password(
        &self,
        caller: &Caller,
        email: Option<&Email>,
        tag: Id,
        password: &Password,
    ) -> Result<Verified, Error> {
        let address = self.shared.addresses.of(caller.address);
        let (over_limit, admission, stored) = tokio::join!(
            self.count(Counter::Failures, address, self.failure_limit(), 0),
            self.store.admit(tag, address),
            self.store.find_user(tag),
        );
        let (over_limit, admission, stored) = (over_limit?, admission?, stored?);
        let user_id = stored.as_ref().map(|stored| stored.user.id);
        let subject = Subject { user_id, email, ..Subject::default() };
        let wait = match (over_limit, admission) {
            (Some(seconds), admission) => {
                self.withdraw(tag, admission).await;
                Some(seconds)
            }
            (None, Admission::Wait(seconds)) => Some(seconds),
            (None, Admission::Known | Admission::Counted) => None,
        };
        if let Some(seconds) = wait {
            self.shared.audit.record(Event::Throttled, caller, subject);
            return Err(Error::Throttled(seconds));
        }
        let phc = stored.as_ref().map(|stored| stored.user.phc.as_str());
        let verdict = match self.shared.passwords.verify(password.clone(), phc).await {
            Ok(verdict) => verdict,
            Err(error) => {
                self.withdraw(tag, admission).await;
                return Err(error);
            }
        };
        match stored {
            Some(stored) if verdict.matches => Ok(Verified { stored, upgrade: verdict.upgrade, admission }),
            _ => {
                self.shared.audit.record(Event::SignInFailed, caller, subject);
                self.count(Counter::Failures, address, self.failure_limit(), 1).await?;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Counts a call that `limit` allows an address; refuses one beyond it.
    async fn spend(&self, caller: &Caller, counter: Counter, limit: Limit) -> Result<(), Error> {
        let address = self.shared.addresses.of(caller.address);
        match self.count(counter, address, limit, 1).await? {
            None => Ok(()),
            Some(seconds) => {
                self.shared.audit.record(Event::Throttled, caller, Subject::default());
                Err(Error::Throttled(seconds))
            }
        }
    }

    async fn count(&self, counter: Counter, address: Id, limit: Limit, add: u64) -> Result<Option<u64>, Error> {
        if limit.count == 0 { Ok(None) } else { self.store.count(counter, address, limit, add).await }
    }

    /// A failure to take a try back leaves it counted, which errs on the safe side.
    async fn withdraw(&self, tag: Id, admission: Admission) {
        if admission == Admission::Counted {
            let _ = self.store.withdraw(tag).await;
        }
    }

    fn failure_limit(&self) -> Limit {
        Limit { count: self.shared.address_limit, seconds: FORGET_SECONDS }
    }
}
