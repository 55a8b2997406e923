//! Use cases of accounts.

use uuid::Uuid;

use super::{Auth, Authorized, Verified};
use crate::{
    audit::{Caller, Event, Subject},
    error::Error,
    id::Id,
    password::Password,
    session::Outcome,
    throttle::{Admission, Counter, Limit},
    user::{Email, Profile, User},
};

impl Auth {
    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::WeakPassword`], [`Error::Throttled`], [`Error::Overloaded`], or the store's.
    pub async fn sign_up(&self, caller: &Caller, email: Email, password: Password) -> Result<(), Error> {
        let limit = Limit { count: self.shared.signup_limit_per_hour, seconds: 60 * 60 };
        self.spend(caller, Counter::SignUps, limit).await?;
        let tag = email.tag();
        // Looked up first, so that a taken email costs no hash; create_user decides.
        if self.store.find_user(tag).await?.is_some() {
            return self.sign_up_again(caller, &email, &password).await;
        }
        let phc = self.shared.passwords.hash(password.clone(), email.as_str()).await?;
        let user = User { id: Uuid::new_v4(), email: email.as_str().to_owned(), created_at: self.now(), phc };
        if self.store.create_user(tag, &user).await? {
            return self.signed_up(caller, &email, user.id);
        }
        // The same sign-up may have been made while this one hashed: a client that was not answered sends it again.
        self.sign_up_again(caller, &email, &password).await
    }

    fn signed_up(&self, caller: &Caller, email: &Email, user_id: Uuid) -> Result<(), Error> {
        let subject = Subject { user_id: Some(user_id), email: Some(email), ..Subject::default() };
        self.shared.audit.record(Event::SignedUp, caller, subject);
        Ok(())
    }

    /// A sign-up that was made but not acknowledged succeeds when it is sent again with the same password, which is
    /// guessed no more freely here than at sign-in.
    async fn sign_up_again(&self, caller: &Caller, email: &Email, password: &Password) -> Result<(), Error> {
        let tag = email.tag();
        if !self.store.is_unacknowledged(tag).await? {
            return Err(Error::EmailTaken);
        }
        let Verified { stored, admission, .. } = match self.verify_password(caller, Some(email), tag, password).await {
            Err(Error::InvalidCredentials) => return Err(Error::EmailTaken),
            verified => verified?,
        };
        self.withdraw(tag, admission).await;
        self.store.acknowledge_user(tag).await?;
        self.signed_up(caller, email, stored.user.id)
    }

    /// The caller's profile. `email`, if given, must be the caller's own: a token opens no other profile.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::UserNotFound`], or the store's.
    pub async fn current_user(&self, by: &Authorized, email: Option<&Email>) -> Result<Profile, Error> {
        let profile =
            self.store.profile(by.claims.tag, by.claims.sid, by.claims.sub).await?.ok_or_else(|| self.refused(by))?;
        match email {
            Some(email) if email.tag() != by.claims.tag => Err(Error::UserNotFound),
            _ => Ok(profile),
        }
    }

    /// Replaces the caller's password, and in the same step ends every other session.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::WeakPassword`], [`Error::Throttled`], [`Error::Overloaded`], those of tokens, or
    /// the store's.
    pub async fn change_password(
        &self,
        caller: &Caller,
        by: &Authorized,
        current: &Password,
        new: Password,
    ) -> Result<(), Error> {
        let Verified { stored, admission, .. } = self.verify_own_password(caller, by, current).await?;
        let (tag, sid) = (by.claims.tag, by.claims.sid);
        let phc = match self.shared.passwords.hash(new, &stored.user.email).await {
            Ok(phc) => phc,
            Err(error) => {
                self.withdraw(tag, admission).await;
                return Err(match error {
                    Error::WeakPassword { advice, .. } => Error::WeakPassword { field: "new_password", advice },
                    other => other,
                });
            }
        };
        let user = User { phc, ..stored.user.clone() };
        let outcome = self.store.keep_only(tag, sid, Id::random()?, Some((&stored, &user))).await?;
        self.settle(by, admission, outcome).await?;
        self.shared.audit.record(Event::PasswordChanged, caller, by.subject());
        Ok(())
    }

    /// Deletes the caller's account with all its tokens.
    ///
    /// # Errors
    /// As [`Auth::change_password`].
    pub async fn delete_user(&self, caller: &Caller, by: &Authorized, password: &Password) -> Result<(), Error> {
        let Verified { stored, admission, .. } = self.verify_own_password(caller, by, password).await?;
        let outcome = self.store.delete_user(by.claims.tag, Some(&stored), Some(by.claims.sid)).await?;
        self.settle(by, admission, outcome).await?;
        self.shared.audit.record(Event::UserDeleted, caller, by.subject());
        Ok(())
    }

    /// A wrong password here is no 401: the caller's tokens are good, and a client drops them on a 401.
    async fn verify_own_password(
        &self,
        caller: &Caller,
        by: &Authorized,
        password: &Password,
    ) -> Result<Verified, Error> {
        if !self.store.check_access(by.claims.tag, by.claims.sid).await? {
            return Err(self.refused(by));
        }
        match self.verify_password(caller, None, by.claims.tag, password).await {
            Err(Error::InvalidCredentials) => Err(Error::WrongPassword),
            verified => verified,
        }
    }

    /// What a change that the right password allowed came to; what was not done was no failed guess.
    async fn settle(&self, by: &Authorized, admission: Admission, outcome: Outcome) -> Result<(), Error> {
        let error = match outcome {
            Outcome::Done => return Ok(()),
            Outcome::NotThere => Error::Overloaded,
            Outcome::Refused => self.refused(by),
        };
        self.withdraw(by.claims.tag, admission).await;
        Err(error)
    }
}

impl Authorized {
    pub(super) fn subject(&self) -> Subject<'static> {
        Subject::session(self.claims.sub, self.claims.sid)
    }
}
