//! The operations on accounts.

use auth_service_records::{error::Error, session::Outcome, user::User};
use auth_service_token::Id;

use crate::{
    change::{Moved, Spent},
    record::{NewUser, StoredUser},
    store::Store,
};

impl Store {
    /// Adds an account, which never expires. Returns `false` and changes nothing if the tag is taken.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.create_user(tag, user).await,
            Self::Embedded(embedded) => embedded.create_user(tag, user).await,
        }
    }

    /// Adds accounts as [`Store::create_user`] does, and is much faster. Returns for each whether it was added. All tags
    /// must be different. After an error, some of the accounts may have been added. A repetition adds the others.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn import_users(&self, users: &[NewUser]) -> Result<Vec<bool>, Error> {
        match self {
            Self::Redis(redis) => redis.import_users(users).await,
            Self::Embedded(embedded) => embedded.import_users(users).await,
        }
    }

    /// Whether the account of each tag exists.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn have_accounts(&self, tags: &[Id]) -> Result<Vec<bool>, Error> {
        match self {
            Self::Redis(redis) => redis.have_accounts(tags).await,
            Self::Embedded(embedded) => embedded.have_accounts(tags),
        }
    }

    /// Whether the sign-up of the account is not acknowledged yet, because too few replicas have confirmed it. A client
    /// may repeat such a sign-up.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn is_unacknowledged(&self, tag: Id) -> Result<bool, Error> {
        match self {
            Self::Redis(redis) => redis.is_unacknowledged(tag).await,
            Self::Embedded(_) => Ok(false),
        }
    }

    /// Returns when enough replicas have confirmed all earlier writes to the account.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn acknowledge_user(&self, tag: Id) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.acknowledge_user(tag).await,
            Self::Embedded(_) => Ok(()),
        }
    }

    /// Reads an account.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        match self {
            Self::Redis(redis) => redis.find_user(tag).await,
            Self::Embedded(embedded) => embedded.find_user(tag),
        }
    }

    /// Replaces the account if it still equals `expected`. The sessions go on, and a token check shows from now on
    /// whether the email is verified. The email stays. Returns [`Outcome::NotThere`] and changes nothing if the account
    /// or the entry to spend has changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn update_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.update_user(tag, expected, user, spent).await,
            Self::Embedded(embedded) => embedded.update_user(tag, expected, user, spent).await,
        }
    }

    /// Replaces the account if it still equals `expected`, and ends all sessions of the user in the same step. Deletes
    /// their entries and the pending entries except [`crate::PendingKind::EmailVerification`]. Resets the failures of the
    /// account, unless it has a second factor: the shared count, and the count of each known address. Returns
    /// [`Outcome::NotThere`] and changes nothing if the account or the entry to spend has changed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn replace_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.replace_user(tag, expected, user, spent).await,
            Self::Embedded(embedded) => embedded.replace_user(tag, expected, user, spent).await,
        }
    }

    /// Moves the account to the tag `to`, with the new record `user`, if it still equals `expected`. Ends all sessions,
    /// and deletes everything at the former tag. No other account can get the new tag in between, and no reader finds
    /// the account at both tags or at none. Returns [`Moved::Taken`] if there is an account at `to`. Then the entry
    /// may be spent, and the sessions may have ended. If `to` equals `tag`, acts like [`Store::replace_user`].
    ///
    /// In a cluster, a failure between the steps leaves the account at either tag, and the next reader of the account
    /// completes the move.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn move_user(
        &self,
        tag: Id,
        to: Id,
        expected: &StoredUser,
        user: &User,
        spent: Spent<'_>,
    ) -> Result<Moved, Error> {
        if tag == to {
            return Ok(match self.replace_user(tag, expected, user, Some(spent)).await? {
                Outcome::Done => Moved::Done,
                _ => Moved::NotThere,
            });
        }
        match self {
            Self::Redis(redis) => redis.move_user(tag, to, expected, user, spent).await,
            Self::Embedded(embedded) => embedded.move_user(tag, to, expected, user, spent).await,
        }
    }

    /// Deletes the account, with every key or row of the user, if the account still equals `expected`. The session
    /// `caller`, if given, must have a live access entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn delete_user(&self, tag: Id, expected: &StoredUser, caller: Option<Id>) -> Result<Outcome, Error> {
        match self {
            Self::Redis(redis) => redis.delete_user(tag, expected, caller).await,
            Self::Embedded(embedded) => embedded.delete_user(tag, expected, caller).await,
        }
    }
}
