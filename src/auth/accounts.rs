//! Use cases of accounts.

use auth_service_mail::Message;
use auth_service_password::Password;
use auth_service_records::{
    error::Error,
    session::Outcome,
    throttle::{Counter, KnownAddresses, Limit, address_name, known_address_name},
    user::{Email, PasswordChange, Profile, User},
};
use auth_service_store::{Change, StoredUser};
use auth_service_token::Id;
use uuid::Uuid;

use super::{
    authorize::Authorized,
    guard::{Guess, Verified},
    service::Auth,
};
use crate::audit::{Caller, Event, Subject};

const SECONDS_PER_HOUR: u64 = 60 * 60;
/// How long a client may repeat a password change whose answer was lost, in seconds.
const REPEAT_SECONDS: u64 = 15 * 60;

impl Auth {
    /// Creates an account, and records the address of the sign-up as known.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::WeakPassword`], [`Error::Throttled`], [`Error::Overloaded`], or an error of the
    /// store.
    pub async fn sign_up(&self, caller: &Caller, email: Email, password: Password) -> Result<(), Error> {
        let client = address_name(caller.address);
        self.check_admission(client).await?;
        let limit = Limit { count: self.parts.signup_limit_per_hour, seconds: SECONDS_PER_HOUR };
        self.count_call(caller, Counter::SignUps, limit).await?;
        let tag = email.tag();
        // A taken email costs no hash. `create_user` makes the final decision.
        if self.store.find_user(tag).await?.is_some() {
            return self.sign_up_again(caller, &email, &password).await;
        }
        let password_hash = self.parts.passwords.hash(password.clone(), email.as_str(), client).await?;
        let (id, now) = (Uuid::new_v4(), self.now());
        let mut known_addresses = KnownAddresses::default();
        known_addresses.remember(known_address_name(id, caller.address), now);
        let user = User {
            id,
            email: email.as_str().to_owned(),
            created_at: now,
            password_hash,
            known_addresses,
            password_change: None,
            email_verified_at: None,
            totp: None,
        };
        if self.store.create_user(tag, &user).await? {
            return self.signed_up(caller, &email, &user).await;
        }
        // A client that got no answer repeats its sign-up. The earlier request may have succeeded while this request
        // computed its hash.
        self.sign_up_again(caller, &email, &password).await
    }

    async fn signed_up(&self, caller: &Caller, email: &Email, user: &User) -> Result<(), Error> {
        let subject = Subject { user_id: Some(user.id), email: Some(email), ..Subject::default() };
        let recorded = self.record(Event::SignedUp, caller, subject).await;
        let asked = self.ask_for_verification(caller, user, email.tag()).await;
        recorded.and(asked)
    }

    /// Repeats a sign-up. The repetition succeeds if the earlier sign-up was stored but not acknowledged, and the
    /// password is the same. The limits on guesses apply as at sign-in.
    async fn sign_up_again(&self, caller: &Caller, email: &Email, password: &Password) -> Result<(), Error> {
        let tag = email.tag();
        if !self.store.is_unacknowledged(tag).await? {
            return Err(Error::EmailTaken);
        }
        let Verified { stored, guess, .. } = match self.verify_password(caller, Some(email), tag, password).await {
            Err(Error::InvalidCredentials) => return Err(Error::EmailTaken),
            verified => verified?,
        };
        self.withdraw(guess).await;
        self.store.acknowledge_user(tag).await?;
        self.signed_up(caller, email, &stored.user).await
    }

    /// The caller's profile. `email`, if given, must be the caller's own: a token gives access to no other profile.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::UserNotFound`], or an error of the store.
    pub async fn current_user(&self, by: &Authorized, email: Option<&Email>) -> Result<Profile, Error> {
        let access = self.store.check_access(by.claims.tag, by.claims.sid).await?.ok_or_else(|| self.refused(by))?;
        match email {
            Some(email) if email.tag() != by.claims.tag => Err(Error::UserNotFound),
            _ => Ok(Profile {
                email: access.email,
                id: by.claims.sub,
                created_at: access.created_at,
                email_verified: access.email_verified,
                totp_enabled: access.totp_enabled,
            }),
        }
    }

    /// Replaces the caller's password, and ends every other session in the same step. Returns the caller with a new access
    /// token. A change that is repeated after a lost answer succeeds again.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::WeakPassword`], [`Error::Throttled`], [`Error::Overloaded`],
    /// [`Error::TokenInvalid`], [`Error::TokenExpired`], [`Error::NoSigningKey`], or an error of the store.
    pub async fn change_password(
        &self,
        caller: &Caller,
        by: Authorized,
        current: &Password,
        new: Password,
    ) -> Result<Authorized, Error> {
        self.check_signing()?;
        let epoch = Id::random()?;
        let Verified { stored, guess, .. } = match self.verify_own_password(caller, &by, current).await {
            Err(Error::WrongPassword) => return self.change_password_again(caller, by, &new, epoch).await,
            verified => verified?,
        };
        let password_hash = match self.hash_new_password(caller, new, &stored.user.email).await {
            Ok(password_hash) => password_hash,
            Err(error) => {
                self.withdraw(guess).await;
                return Err(error);
            }
        };
        let password_change = Some(PasswordChange { sid: by.claims.sid, at: self.now() });
        let user = User { password_hash, password_change, ..stored.user.clone() };
        self.store_password(caller, by, epoch, guess, Change { expected: &stored, user: &user, known: guess.known })
            .await
    }

    /// Hashes the password that replaces another one.
    ///
    /// # Errors
    /// [`Error::WeakPassword`] of the field `new_password`, [`Error::Overloaded`].
    pub(super) async fn hash_new_password(&self, caller: &Caller, new: Password, email: &str) -> Result<String, Error> {
        let hashed = self.parts.passwords.hash(new, email, address_name(caller.address)).await;
        hashed.map_err(|error| match error {
            Error::WeakPassword { problem, .. } => Error::WeakPassword { field: "new_password", problem },
            other => other,
        })
    }

    /// Repeats a password change. The current password of the request is wrong, because it was the password before the
    /// change, and the new one is already in force.
    ///
    /// The comparison with the new password is a second guess, and is counted as one. Only the session that has just
    /// changed the password gets this second guess, so that a thief of an access token has one guess for each request.
    async fn change_password_again(
        &self,
        caller: &Caller,
        by: Authorized,
        new: &Password,
        epoch: Id,
    ) -> Result<Authorized, Error> {
        let stored = self.store.find_user(by.claims.tag).await?;
        let latest = stored.and_then(|stored| stored.user.password_change);
        let is_own = |change: PasswordChange| change.sid == by.claims.sid && self.now() < change.at + REPEAT_SECONDS;
        if !latest.is_some_and(is_own) {
            return Err(Error::WrongPassword);
        }
        let Verified { stored, guess, .. } = self.verify_own_password(caller, &by, new).await?;
        // The first guess, at the former password, was no failure. `store_password` closes the second one.
        self.withdraw(guess).await;
        // Writes the same account again, because too few replicas may have the first change.
        let change = Change { expected: &stored, user: &stored.user, known: guess.known };
        self.store_password(caller, by, epoch, guess, change).await
    }

    async fn store_password(
        &self,
        caller: &Caller,
        by: Authorized,
        epoch: Id,
        guess: Guess,
        change: Change<'_>,
    ) -> Result<Authorized, Error> {
        let outcome = self.store.keep_only(by.claims.tag, by.claims.sid, epoch, Some(change)).await;
        self.settle(&by, guess, change.expected, outcome).await?;
        self.notify(caller, by.claims.tag, change.user, |to| Message::PasswordChanged { to }).await;
        self.record(Event::PasswordChanged, caller, by.subject()).await?;
        self.moved(by, epoch)
    }

    /// Deletes the caller's account and everything that the store holds about the user.
    ///
    /// # Errors
    /// The errors of [`Auth::change_password`], except [`Error::WeakPassword`].
    pub async fn delete_user(&self, caller: &Caller, by: &Authorized, password: &Password) -> Result<(), Error> {
        let Verified { stored, guess, .. } = self.verify_own_password(caller, by, password).await?;
        let outcome = self.store.delete_user(by.claims.tag, &stored, Some(by.claims.sid)).await;
        self.settle(by, guess, &stored, outcome).await?;
        self.record(Event::UserDeleted, caller, by.subject()).await
    }

    /// Verifies the caller's password. A wrong password must not be a 401 here: the caller's tokens are valid, and a
    /// client drops its tokens on a 401.
    pub(super) async fn verify_own_password(
        &self,
        caller: &Caller,
        by: &Authorized,
        password: &Password,
    ) -> Result<Verified, Error> {
        if self.store.check_access(by.claims.tag, by.claims.sid).await?.is_none() {
            return Err(self.refused(by));
        }
        match self.verify_password(caller, None, by.claims.tag, password).await {
            Err(Error::InvalidCredentials) => Err(Error::WrongPassword),
            verified => verified,
        }
    }

    /// Closes the guess after the change. If the change has failed, the guess does not count as a failure.
    async fn settle(
        &self,
        by: &Authorized,
        guess: Guess,
        stored: &StoredUser,
        outcome: Result<Outcome, Error>,
    ) -> Result<(), Error> {
        let error = match outcome {
            Ok(Outcome::Done) => {
                if stored.user.password_resets_failures() {
                    self.succeeded(guess).await;
                } else {
                    self.withdraw(guess).await;
                }
                return Ok(());
            }
            // The account has changed since it was read: the client may try again.
            Ok(Outcome::NotThere) => Error::Overloaded,
            Ok(Outcome::Refused) => self.refused(by),
            Err(error) => error,
        };
        self.withdraw(guess).await;
        Err(error)
    }
}
