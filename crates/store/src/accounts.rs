//! The operations on accounts.

use auth_service_records::{error::Error, session::Outcome, user::User};
use auth_service_token::Id;

use crate::{record::StoredUser, store::Store};

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
