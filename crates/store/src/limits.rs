//! The operations on the limits: guesses at a password, and calls from one address.

use auth_service_records::{
    error::Error,
    throttle::{Admission, Counter, Limit},
};
use auth_service_token::Id;

use crate::store::Store;

impl Store {
    /// Admits a guess at the password of an account and counts the guess as failed. Both happen in one step, so that
    /// simultaneous guesses count too. An address that the account knows has a count of its own, and `known` names that
    /// address. All other guesses share one count. [`auth_service_records::throttle::wait_seconds`] gives the waits.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn admit_guess(&self, tag: Id, known: Option<Id>) -> Result<Admission, Error> {
        match self {
            Self::Redis(redis) => redis.admit_guess(tag, known).await,
            Self::Embedded(embedded) => Ok(embedded.admit_guess(tag, known)),
        }
    }

    /// Takes back an admitted guess, and the wait that the guess caused.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn withdraw_guess(&self, tag: Id, known: Option<Id>) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.withdraw_guess(tag, known).await,
            Self::Embedded(embedded) => {
                embedded.withdraw_guess(tag, known);
                Ok(())
            }
        }
    }

    /// Compares the count of calls from an address with the limit, and counts the call in the same step. If the limit
    /// is reached, counts nothing and returns the seconds until the count restarts.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn count_call(&self, counter: Counter, address: Id, limit: Limit) -> Result<Option<u64>, Error> {
        match self {
            Self::Redis(redis) => redis.count_call(counter, address, limit).await,
            Self::Embedded(embedded) => Ok(embedded.count_call(counter, address, limit)),
        }
    }

    /// Takes back a call that was counted.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn uncount_call(&self, counter: Counter, address: Id) -> Result<(), Error> {
        match self {
            Self::Redis(redis) => redis.uncount_call(counter, address).await,
            Self::Embedded(embedded) => {
                embedded.uncount_call(counter, address);
                Ok(())
            }
        }
    }
}
